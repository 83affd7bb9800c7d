"""What went wrong with checkpoints, in words for a person: one place for the texts of storage and checkpoint faults."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runcontract.faults import CheckpointFault, Fault, StorageFault

MOST_FAILED_SAVES = 3
"""Saves in a row that may fail before the run ends: the work at stake is then this many checkpoint intervals."""

_ACTIONS = {
    errno.ENOSPC: "Free some space or lower checkpoints.keepLatest, and start the run again: it goes on from its newest checkpoint.",
    errno.EROFS: "The file system is read-only: mount it writable, or choose another output folder.",
    errno.EACCES: "Give this user the right to read and write there, or choose another output folder.",
    errno.EIO: "The device or network volume fails: look into the system's log, or choose another output folder.",
    errno.ENOENT: "Something removed it while the run was writing: make sure that only this run uses the folder.",
}
_ACTIONS |= {errno.EDQUOT: _ACTIONS[errno.ENOSPC], errno.EPERM: _ACTIONS[errno.EACCES]}


class TooLittleSpace(OSError):
    """The device has less free space than a checkpoint needs; found before anything was written."""

    def __init__(self, path: Path, *, free_bytes: int, needed_bytes: int) -> None:
        super().__init__(
            errno.ENOSPC,
            f"{megabytes(free_bytes)} free, {megabytes(needed_bytes)} needed for a checkpoint",
            str(path),
        )


class BrokenFile(ValueError):
    """A file is not what it should be; the text says what is wrong, without the file's name."""


@dataclass(frozen=True, kw_only=True)
class CheckpointWarning:
    """Something that training goes on in spite of; `reason` is a CamelCase word for a `Warned` report."""

    reason: str
    message: str


class BucketFault(OSError):
    """A bucket's service refused, failed or was not there; `action` says what a person can do about it."""

    def __init__(self, where: str, found: str, *, code: str = "", action: str = "") -> None:
        super().__init__(errno.EIO, found, where)
        self.code = code
        self.action = action


def storage_fault(
    path: Path, error: OSError, *, expected: str = "a folder that can be written"
) -> StorageFault:
    """The fault for an operation on `path`, or on a bucket for it, that failed."""
    if isinstance(error, BucketFault):
        return StorageFault(
            Fault(
                where=str(error.filename),
                found=error.strerror or str(error),
                expected="a bucket that can be listed, read, written and deleted in",
                action=error.action,
            )
        )
    return StorageFault(
        Fault(
            where=str(path),
            found=error.strerror or str(error),
            expected=expected,
            action=_ACTIONS.get(error.errno or 0, ""),
        )
    )


def fenced_off(folder: Path | str, *, attempt: int, newer: int) -> CheckpointFault:
    """The fault of a writer that a newer attempt has replaced."""
    return CheckpointFault(
        Fault(
            where=str(folder),
            found=f"attempt {newer} has begun to write here",
            expected=f"no attempt after this one, which is attempt {attempt}",
            action=f"Let attempt {newer} go on; to replace it, stop it and set LIGHTCOMPUTE_ATTEMPT to at least {newer}.",
        )
    )


def only_broken(where: Path | str, names: Iterable[str]) -> CheckpointFault:
    """The fault of a run that has saved, and nothing that it could go on from."""
    return CheckpointFault(
        Fault(
            where=str(where),
            found=f"only broken checkpoints: {', '.join(list(names)[:5])}",
            expected="at least one whole checkpoint to go on from",
            action="Restore one from a copy, or delete the broken ones to begin again from step 0.",
        )
    )


def megabytes(size_bytes: int) -> str:
    """A size for a person."""
    return f"{size_bytes / 1e6:,.1f} MB"
