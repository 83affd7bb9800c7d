"""The rest of a run's folder in the bucket: rows, curves, reports, results. They are what a person looks at, and what the next attempt adds to.

A document is sent when it changed, and before the checkpoint that is not to be ahead of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from runcontract.folder import CHECKPOINTS

if TYPE_CHECKING:
    from lightgpt.vault.objects import Objects

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}")
_MOST_PARTS = 8

_Touched = tuple[int, int]


class Documents:
    """The documents of the run in `folder`. Raises `BucketFault`, and OSError where the folder fails."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        self._objects = objects
        self._folder = folder
        self._sent: dict[str, _Touched] = {}

    def bring(self) -> None:
        """Fetches what this folder lacks. Names that lead out of the folder are not ours and are left."""
        for each in self._objects.listed():
            path = self._folder / each.key
            if not _is_document(each.key) or path.exists():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.tmp")
            with partial.open("wb") as file:
                for piece in self._objects.pieces(each.key, each.size_bytes):
                    file.write(piece)
            partial.replace(path)

    def send(self) -> None:
        """Writes what changed since the last time."""
        for path in sorted(self._files(self._folder)):
            key = path.relative_to(self._folder).as_posix()
            if not _is_document(key):
                continue
            # What another program removes meanwhile was no document.
            with suppress(FileNotFoundError):
                state = path.stat()
                touched = (state.st_size, state.st_mtime_ns)
                if self._sent.get(key) != touched:
                    self._objects.put_file(key, path)
                    self._sent[key] = touched

    def _files(self, folder: Path) -> Iterator[Path]:
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                if entry != self._folder / CHECKPOINTS:
                    yield from self._files(entry)
            elif entry.is_file() and not entry.is_symlink():
                yield entry


def _is_document(key: str) -> bool:
    parts = key.split("/")
    return (
        len(parts) <= _MOST_PARTS
        and parts[0] != CHECKPOINTS
        and all(_PART.fullmatch(part) for part in parts)
    )
