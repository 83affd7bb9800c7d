"""One checkpoint handed out over HTTP on the loopback address: to whoever may reach into this machine or pod, and to nobody else."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from lightgpt.checkpoint.faults import BrokenFile, storage_fault
from lightgpt.checkpoint.filesystem import FileSystem
from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.whole import read_manifest
from lightgpt.vault.vault import Vault
from runcontract import folder as layout
from runcontract.faults import CheckpointFault, ConfigurationFault, Fault
from runcontract.manifest import checkpoint_name
from runcontract.order import Checkpoints

if TYPE_CHECKING:
    from lightgpt.vault.objects import Objects

HOST = "127.0.0.1"


def checkpoint_at_hand(run: Path, step: int, objects: Objects | None) -> Path:
    """The folder of the checkpoint at `step` below the run's folder; brought there first where it is in a bucket.

    Raises `CheckpointFault` where there is none, or a broken one, and `StorageFault` where bucket or folder fail.
    """
    folder = run / layout.CHECKPOINTS
    checkpoint = folder / checkpoint_name(step)
    try:
        if objects is not None and not checkpoint.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _bring(run, step, objects)
        read_manifest(checkpoint)
    except (BrokenFile, FileNotFoundError) as error:
        raise CheckpointFault(
            Fault(
                where=str(checkpoint),
                found=str(error) if isinstance(error, BrokenFile) else "no checkpoint",
                expected="a committed checkpoint",
            )
        ) from error
    except OSError as error:
        raise storage_fault(checkpoint, error, expected="a checkpoint that can be read") from error
    return checkpoint


def _bring(run: Path, step: int, objects: Objects) -> None:
    identity = CheckpointIdentity.of_writer(run_uid="", attempt=1)
    vault = Vault(objects, run, identity=identity, settings=Checkpoints(), warn=lambda _: None)
    vault.fetch(step, run / layout.CHECKPOINTS, FileSystem())


def serving(checkpoint: Path, port: int) -> ThreadingHTTPServer:
    """A server of the files in the folder `checkpoint`, at `port` of this machine alone."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(checkpoint))
    try:
        return ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise ConfigurationFault(
            Fault(
                where=f"--port {port}",
                found=error.strerror or str(error),
                expected="a port that is free",
            )
        ) from error
