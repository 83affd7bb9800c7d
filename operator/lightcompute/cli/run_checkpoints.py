"""The checkpoints of one run, as the commands about them want them; behind it this machine or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from lightcompute.cli import text
from lightcompute.cli.other_cluster import OtherCluster
from runcontract.losses import Loss

HEADER = ("STEP", "EPOCH", "VALIDATION LOSS", "SIZE", "SAVED", "WHOLE", "KEPT BECAUSE", "DIGEST")
_DIGEST_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class CheckpointRow:
    """A checkpoint in a list; None for what is not known where the run is.

    `verified`: it is whole by what was seen of it, which compares no hash anew. `kept_because`: reasons of the retention rule.
    """

    name: str
    step: int
    verified: bool
    pinned: bool
    kept_because: tuple[str, ...]
    size_bytes: int | None = None
    digest: str = ""
    epoch: float | None = None
    validation: Loss | None = None
    created_time: datetime | None = None

    def document(self) -> dict[str, Any]:
        """As plain JSON, without what is not known."""
        values = {
            "name": self.name,
            "step": self.step,
            "epoch": self.epoch,
            "createdTime": None if self.created_time is None else self.created_time.isoformat(),
            "validation": None if self.validation is None else self.validation.document(),
            "sizeBytes": self.size_bytes,
            "digest": self.digest or None,
            "verified": self.verified,
            "pinned": self.pinned,
            "keptBecause": list(self.kept_because),
        }
        return {key: value for key, value in values.items() if value is not None}


class RunCheckpoints(Protocol):
    """What can be asked of a run about its checkpoints. Each raises a ContractFault that says why it cannot be."""

    def rows(self) -> tuple[CheckpointRow, ...]:
        """All of them, oldest first."""

    def verify(self, *, step: int | None, everything: bool, as_json: bool) -> int:
        """Compares every hash of the newest one, of that at `step` or of all, and tells; the exit code."""

    def pin(self, step: int) -> str:
        """Keeps the one at `step` from retention; what to say of it."""

    def unpin(self, step: int) -> str:
        """Leaves the one at `step` to retention again; what to say of it."""

    def save_now(self, timeout_seconds: float) -> int:
        """Has one saved, waits for it where that can be seen, and tells; the exit code."""

    def prune(self, *, dry_run: bool, as_json: bool) -> int:
        """Deletes what retention gives up, and tells; the exit code."""

    def copy(
        self,
        destination: Path,
        *,
        step: int | None,
        as_json: bool,
        other: OtherCluster,
    ) -> int:
        """Copies the newest one or that at `step` into a folder of this machine, and tells; the exit code.

        `other` leads to the run's pods, where they are in another cluster than the run.
        """


def table(rows: tuple[CheckpointRow, ...]) -> str:
    """The list for a person."""
    return text.columns(HEADER, (tuple(_cells(row)) for row in rows))


def _cells(row: CheckpointRow) -> Iterator[str]:
    yield text.count(row.step)
    yield "" if row.epoch is None else f"{row.epoch:.2f}"
    yield "" if row.validation is None else text.loss_in(row.validation, "NatsPerToken")
    yield "" if row.size_bytes is None else text.size(row.size_bytes)
    yield "" if row.created_time is None else text.clock(row.created_time)
    yield "yes" if row.verified else "no"
    yield ", ".join(row.kept_because) or "-"
    yield row.digest[:_DIGEST_SHOWN]
