"""Keeps a writer that was replaced from writing: a pod cut off by a partition may wake when its successor is at work.

Each attempt leaves a lock file with its number when it begins; whoever finds a higher number, there or in a manifest, writes
nothing more. The kernel's lock on the file (released by any death) keeps two processes of one attempt apart on one
machine; network file systems without locks lose that second guard only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path

from lightgpt.checkpoint.faults import BrokenFile, fenced_off
from lightgpt.checkpoint.filesystem import FileSystem
from lightgpt.checkpoint.places import committed_steps, lock_path, locks
from lightgpt.checkpoint.whole import read_manifest
from runcontract.faults import CheckpointFault, Fault
from runcontract.manifest import checkpoint_name

_NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS}


def highest_attempt(folder: Path, *, run_uid: str) -> int:
    """The highest attempt of the run that has begun to write into `folder`; 0 when none has."""
    return max(
        (*locks(folder), *(_attempt_of(folder, step, run_uid) for step in committed_steps(folder))),
        default=0,
    )


def _attempt_of(folder: Path, step: int, run_uid: str) -> int:
    with suppress(BrokenFile, OSError):
        manifest, _ = read_manifest(folder / checkpoint_name(step))
        # Another run's attempts, in a folder that was copied, are counted on another clock.
        return manifest.attempt if manifest.run_uid == run_uid else 0
    return 0


class Fence:
    """The right of one attempt to write into `folder`, for as long as no later attempt asks for it."""

    def __init__(self, folder: Path, *, attempt: int, run_uid: str, files: FileSystem) -> None:
        self._folder = folder
        self._attempt = attempt
        self._run_uid = run_uid
        self.check()
        self._release = weakref.finalize(self, os.close, self._lock())
        self.check()
        for number, path in locks(folder).items():
            if number < attempt:
                with suppress(OSError):  # a lower number is in nobody's way
                    files.remove_file(path)

    def check(self) -> None:
        """Raises `CheckpointFault` when a later attempt has begun."""
        newer = highest_attempt(self._folder, run_uid=self._run_uid)
        if newer > self._attempt:
            raise fenced_off(self._folder, attempt=self._attempt, newer=newer)

    def release(self) -> None:
        """Lets another process of the same attempt in."""
        self._release()

    def _lock(self) -> int:
        path = lock_path(self._folder, self._attempt)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS_HERE:
                return descriptor
            os.close(descriptor)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise
            raise CheckpointFault(
                Fault(
                    where=str(path),
                    found="another process that writes checkpoints here",
                    expected="one training at a time in an output folder",
                    action="Wait for it or stop it, or choose another output folder.",
                )
            ) from error
        return descriptor
