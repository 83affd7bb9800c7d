"""What a carrier is told: whose checkpoints, which folder, which bucket, which program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runcontract import folder as layout
from runcontract.environment import AttemptEnvironment
from runcontract.faults import ConfigurationFault, Fault
from runcontract.order import Bucket, Checkpoints, read_order

_STAGING = ".carry"


@dataclass(frozen=True, kw_only=True)
class Terms:
    """`folder` is the run's output folder. `node_rank` is that of this pod: only the pod of rank 0 writes into the bucket."""

    command: tuple[str, ...]
    folder: Path
    bucket: Bucket
    run_uid: str
    environment: AttemptEnvironment
    variables: Mapping[str, str]
    settings: Checkpoints = field(default_factory=Checkpoints)
    node_rank: int = 0

    @property
    def checkpoints(self) -> Path:
        """Where the program keeps them."""
        return self.folder / layout.CHECKPOINTS

    @property
    def staging(self) -> Path:
        """Where they are held until the bucket has them; the name is none of a document's."""
        return self.folder / _STAGING


def bucket_of_order(path: Path | None) -> tuple[Bucket, Checkpoints, str]:
    """Bucket, retention and the run's uid as the order at `path` says; raises `ConfigurationFault` where it names no bucket."""
    if path is None:
        raise _no_bucket("no --s3 and no order")
    order = read_order(path)
    if order.storage.s3 is None:
        raise _no_bucket(f"{path} without storage.s3")
    return order.storage.s3, order.checkpoints, order.run.uid


def _no_bucket(found: str) -> ConfigurationFault:
    expected = "a bucket to keep the checkpoints in, by --s3 or by the order"
    return ConfigurationFault(Fault(where="lightgpt carry", found=found, expected=expected))
