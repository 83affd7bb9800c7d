"""Holds a committed checkpoint until the bucket has it, whatever the program deletes meanwhile.

By hard links where the file system has them: that costs no space while the program keeps the checkpoint too, and no time.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from lightgpt.checkpoint.faults import BrokenFile
from lightgpt.checkpoint.filesystem import FileSystem, remove_tree
from lightgpt.checkpoint.whole import read_manifest
from runcontract.manifest import MANIFEST, Manifest

_NO_LINKS_HERE = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}


@dataclass(frozen=True, kw_only=True)
class Staged:
    """A checkpoint that is held at `path`, under its own name."""

    path: Path
    manifest: Manifest
    digest: str

    def discard(self) -> None:
        """Lets it go; raises OSError."""
        remove_tree(self.path, FileSystem())


def staged(checkpoint: Path, staging: Path) -> Staged:
    """The checkpoint at the path `checkpoint`, held in the folder `staging`.

    Raises `BrokenFile` when something of it is missing or is no file, and OSError. Its bytes are compared when the bucket is read back.
    """
    manifest, digest = read_manifest(checkpoint)
    target = staging / checkpoint.name
    if target.exists():
        remove_tree(target, FileSystem())
    target.mkdir(parents=True)
    for name in (*(file.name for file in manifest.files), MANIFEST):
        _hold(checkpoint / name, target / name)
    return Staged(path=target, manifest=manifest, digest=digest)


def _hold(source: Path, target: Path) -> None:
    try:
        if not stat.S_ISREG(source.lstat().st_mode):
            raise BrokenFile(f"{source.name} is not a regular file")
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError as error:
        raise BrokenFile(f"{source.name} is missing") from error
    except OSError as error:
        if error.errno not in _NO_LINKS_HERE:
            raise
        shutil.copyfile(source, target, follow_symlinks=False)
