"""Reads a growing log for the trainer's reports, a bounded piece at a time, and keeps the newest of each kind.

A log may be huge, hold anything, and end in half a line; what is no report is passed over. The log is the attempt's standard
output, as in a cluster it is the pod's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runcontract.progress import MAX_LINE_BYTES, Report, parse_report

FIRST_BYTES = 1 << 20
"""How much of the end of a log is read by a reader that comes to it late."""
PIECE_BYTES = 1 << 20


class ReportTail:
    """The reports of one log, each once, in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset: int | None = None
        self._rest = b""
        self._passing_over = False
        self.at_end = False
        """Whether the last call came to the end of the log."""

    def read(self) -> tuple[Report, ...]:
        """The reports that came since the last call; at most one piece of the log is looked at."""
        try:
            with self._path.open("rb") as file:
                if self._offset is None:
                    self._offset = max(0, file.seek(0, 2) - FIRST_BYTES)
                    self._passing_over = self._offset > 0
                file.seek(self._offset)
                piece = file.read(PIECE_BYTES)
        except FileNotFoundError:
            self.at_end = True
            return ()
        self.at_end = len(piece) < PIECE_BYTES
        self._offset += len(piece)
        return tuple(report for line in self._lines(piece) if (report := parse_report(line)))

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        *whole, rest = (self._rest + piece).split(b"\n")
        for line in whole:
            # The rest of a line whose beginning was too long, or was not read.
            if not self._passing_over:
                yield line
            self._passing_over = False
        self._passing_over = self._passing_over or len(rest) > MAX_LINE_BYTES
        self._rest = b"" if self._passing_over else rest


def last_lines(path: Path, count: int, limit_bytes: int = 64 * 1024) -> tuple[str, ...]:
    """The last `count` lines of a text file, from at most `limit_bytes` at its end; none when it does not exist."""
    try:
        with path.open("rb") as file:
            begin = max(0, file.seek(0, 2) - limit_bytes)
            file.seek(begin)
            text = file.read(limit_bytes).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    lines = text.splitlines()[1 if begin else 0 :]
    return tuple(lines[-count:])
