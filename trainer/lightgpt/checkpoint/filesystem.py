"""Every operation by which a checkpoint changes the disk, one method each.

It exists so that tests can stop, fill or lose the disk at each of them; it is no abstraction over other storage.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

_CANNOT_SYNC_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}


class FileSystem:
    """The operations of the machine's own file system."""

    def make_folder(self, path: Path) -> None:
        """Makes a folder that is not there."""
        path.mkdir()

    def create(self, path: Path) -> int:
        """Opens a new file for writing; raises FileExistsError when it exists."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)

    def write(self, descriptor: int, data: memoryview) -> None:
        """Writes all of `data`."""
        while data:
            data = data[os.write(descriptor, data) :]

    def sync_file(self, descriptor: int) -> None:
        """Returns when the file's content is on the device."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Closes the file."""
        os.close(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Returns when the folder's names are on the device, where the file system has a way to say so."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC_FOLDERS:
                raise
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Gives a file or folder another name; `target` is not there."""
        source.rename(target)

    def remove_file(self, path: Path) -> None:
        """Removes a file."""
        path.unlink()

    def remove_folder(self, path: Path) -> None:
        """Removes an empty folder."""
        path.rmdir()

    def free_bytes(self, path: Path) -> int:
        """Space that this user may still fill on the device of `path`."""
        state = os.statvfs(path)
        return state.f_bavail * state.f_frsize


def remove_tree(path: Path, files: FileSystem) -> None:
    """Removes a folder of files; what is gone already does not matter, for two may clean up at once."""
    with suppress(FileNotFoundError):
        for entry in sorted(path.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                remove_tree(entry, files)
                continue
            with suppress(FileNotFoundError):
                files.remove_file(entry)
        files.remove_folder(path)
