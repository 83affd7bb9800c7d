"""What stands in a checkpoint folder, at a glance: manifests are read, tensors are not. And the pins, which are files there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from lightgpt.checkpoint.faults import BrokenFile, megabytes, storage_fault
from lightgpt.checkpoint.places import committed_steps, leftovers, pin_path, quarantined
from lightgpt.checkpoint.whole import read_manifest
from runcontract.base import ReportModel
from runcontract.losses import Loss
from runcontract.manifest import Manifest, checkpoint_name


class ListedCheckpoint(ReportModel):
    """A line of `lightgpt checkpoint list`."""

    name: str = Field(description="Name of the folder.")
    state: Literal["Committed", "BrokenManifest", "Quarantined", "Leftover"] = Field(
        description="Committed: its manifest is sealed; whether the files match only `verify` tells."
    )
    step: int | None = Field(default=None, description="Optimizer steps done.")
    attempt: int | None = Field(default=None, description="Attempt that wrote it.")
    size_bytes: int | None = Field(default=None, description="Size of its files.")
    validation: Loss | None = Field(default=None, description="Validation loss at this step.")
    pinned: bool = Field(default=False, description="Whether retention leaves it alone.")
    problem: str | None = Field(default=None, description="Why the manifest is no good.")

    def text(self) -> str:
        """The line for a person."""
        parts = [self.name, self.state if self.state != "Committed" else ""]
        if self.size_bytes is not None:
            parts.append(megabytes(self.size_bytes))
        if self.attempt is not None:
            parts.append(f"attempt {self.attempt}")
        if self.validation is not None:
            parts.append(f"validation {self.validation.nats_per_token:.4f} nats/token")
        parts += ["pinned" if self.pinned else "", self.problem or ""]
        return "  ".join(part for part in parts if part)


def listed(folder: Path) -> list[ListedCheckpoint]:
    """The committed checkpoints in `folder`, newest first, then what was set aside, then leftovers."""
    aside = [ListedCheckpoint(name=path.name, state="Quarantined") for path in quarantined(folder)]
    left = [
        ListedCheckpoint(name=path.name, state="Leftover")
        for path in leftovers(folder, up_to_attempt=10**7)
    ]
    return [_listed(folder, step) for step in committed_steps(folder)] + aside + left


def pin(folder: Path, step: int) -> None:
    """Keeps the checkpoint at `step` from retention; raises `StorageFault`."""
    path = pin_path(folder, step)
    try:
        path.touch()
    except OSError as error:
        raise storage_fault(path, error) from error


def unpin(folder: Path, step: int) -> None:
    """Takes the pin away; none is fine. Raises `StorageFault`."""
    path = pin_path(folder, step)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_fault(path, error) from error


def _listed(folder: Path, step: int) -> ListedCheckpoint:
    name = checkpoint_name(step)
    pinned = pin_path(folder, step).exists()
    try:
        manifest, _ = read_manifest(folder / name)
    except (BrokenFile, OSError) as error:
        return ListedCheckpoint(
            name=name, state="BrokenManifest", step=step, pinned=pinned, problem=str(error)
        )
    return _from_manifest(name, manifest, pinned=pinned)


def _from_manifest(name: str, manifest: Manifest, *, pinned: bool) -> ListedCheckpoint:
    return ListedCheckpoint(
        name=name,
        state="Committed",
        step=manifest.step,
        attempt=manifest.attempt,
        size_bytes=manifest.size_bytes,
        validation=manifest.validation,
        pinned=pinned,
    )
