"""A file of lines that grows as a run goes on, and goes back to where a resumed run begins.

A full disk does not stop training: lines wait in memory, in their order, and are written when there is space again. The bound
on how long that may last is the loop's, since only checkpoints say how much work is at stake.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lightgpt.train.files import write_atomically


class Journal:
    """An append-only text file. `append` never raises for a full disk."""

    def __init__(self, path: Path, *, header: str | None, keep: Callable[[str], bool]) -> None:
        """Keeps the lines already at `path` that `keep` accepts, whole ones only; raises `StorageFault`."""
        self.path = path
        self._waiting = ""
        self._size = 0
        kept = [line for line in _whole_lines(path) if line != header and keep(line)]
        lines = [*([header] if header is not None else []), *kept]
        write_atomically(path, "".join(f"{line}\n" for line in lines))
        self._size = path.stat().st_size

    def append(self, line: str) -> bool:
        """Adds a line; False when it has to wait."""
        self._waiting += f"{line}\n"
        return self.flush()

    def flush(self) -> bool:
        """Writes what waits; False when that fails again."""
        if not self._waiting:
            return True
        raw = self._waiting.encode()
        try:
            with self.path.open("r+b") as file:
                file.truncate(self._size)  # a failed write may have left half a line
                file.seek(self._size)
                file.write(raw)
        except OSError:
            return False
        self._size += len(raw)
        self._waiting = ""
        return True

    def sync(self) -> bool:
        """Writes what waits and has the device keep it; False when that fails."""
        if not self.flush():
            return False
        try:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
        except OSError:
            return False
        return True


def _whole_lines(path: Path) -> list[str]:
    """The lines of `path` that end; a process that was killed may have left the beginning of another."""
    if not path.exists():
        return []
    text = path.read_bytes().decode("utf-8", errors="replace")
    return text.split("\n")[:-1]
