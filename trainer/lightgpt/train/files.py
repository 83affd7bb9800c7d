"""Small files of a run, written whole or not at all.

A reader never sees half of one, whenever the process or the machine dies. Checkpoints have a protocol of their own.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runcontract.faults import Fault, StorageFault


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turns an OSError inside the block into a `StorageFault` that names `path`."""
    try:
        yield
    except OSError as error:
        raise StorageFault(
            Fault(
                where=str(path),
                found=error.strerror or str(error),
                expected="a place that can be written",
                action="Free space or choose another folder with --out; the run goes on from its last checkpoint.",
            )
        ) from error


def write_atomically(path: Path, text: str) -> None:
    """Puts `text` at `path` in one step; raises `StorageFault`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage(path):
        try:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_unwritable(folder: Path) -> None:
    """Raises `StorageFault` when `folder` could not be made or written; leaves nothing behind."""
    existing = folder.absolute()
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    with storage(folder):
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{existing} is not a folder")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"no permission to write in {existing}")
        if existing == folder.absolute():
            probe = folder / f".writable.{os.getpid()}.tmp"
            try:
                probe.write_bytes(b"probe")
            finally:
                probe.unlink(missing_ok=True)
