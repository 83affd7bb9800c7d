"""The folder for downloaded data sets and prepared shards, and how things get into it: whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from runcontract import environment
from runcontract.faults import Fault, StorageFault


def default_cache_folder(variables: Mapping[str, str]) -> Path:
    """The folder that the environment names, or the user's own cache."""
    if named := variables.get(environment.CACHE_FOLDER):
        return Path(named)
    user_cache = variables.get("XDG_CACHE_HOME")
    return (Path(user_cache) if user_cache else Path.home() / ".cache") / "lightcompute"


@contextlib.contextmanager
def storage_faults(where: Path) -> Iterator[None]:
    """Turns the system's refusals to write below `where` into a `StorageFault`."""
    try:
        yield
    except OSError as error:
        raise StorageFault(
            Fault(
                where=str(error.filename or where),
                found=error.strerror or str(error),
                expected="a folder that can be written, with room",
                action=f"Another folder can be named by {environment.CACHE_FOLDER}.",
            )
        ) from error


@contextlib.contextmanager
def held_lock(path: Path) -> Iterator[bool]:
    """Holds the lock file at `path` against other processes; the system frees it when its holder dies.

    False where the file system knows no locks: then several may work at once, and renaming still keeps the outcome whole.
    """
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            yield False
            return
        yield True


def sync_folder(folder: Path) -> None:
    """Waits until the disk has the names in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name and renames it: readers see all of it or nothing."""
    with storage_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
