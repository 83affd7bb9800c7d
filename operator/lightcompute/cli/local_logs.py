"""The logs of an attempt on this machine: two growing files, read until the attempt ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lightcompute.cli.target import LogsWanted
from lightcompute.local import records
from lightcompute.local.folder import RunFolder
from runcontract.faults import ConfigurationFault, Fault

_PIECE_BYTES = 1 << 16
_FOLLOW_SECONDS = 0.3


def print_logs(run: RunFolder, wanted: LogsWanted, write: Callable[[str], None]) -> None:
    """Hands each line to `write`; standard error first, since a failure is told there."""
    folder = _attempt(run, wanted)
    readers = (_Lines(folder / records.STDERR), _Lines(folder / records.STDOUT))
    while True:
        # Whether it has ended is asked before the rest is read, so that nothing said before the end is missed.
        ended = not wanted.follow or records.read_exit(folder) is not None
        for reader in readers:
            for line in reader.new(to_the_end=ended):
                write(line)
        if ended:
            return
        time.sleep(_FOLLOW_SECONDS)


def _attempt(run: RunFolder, wanted: LogsWanted) -> Path:
    if wanted.rank:
        raise ConfigurationFault(
            Fault(
                where="--rank",
                found=str(wanted.rank),
                expected="0: on this machine all processes of an attempt write one log",
            )
        )
    folder = run.attempt(wanted.attempt or _newest(run))
    if not folder.is_dir():
        known = ", ".join(str(number) for number in run.attempts())
        raise ConfigurationFault(
            Fault(where="--attempt", found=str(wanted.attempt), expected=f"one of: {known}")
        )
    return folder


def _newest(run: RunFolder) -> int:
    attempts = run.attempts()
    if not attempts:
        raise ConfigurationFault(
            Fault(
                where=f"run {run.name}",
                found="no attempt yet",
                expected="a log",
                action=f"`lightcompute explain {run.name}` says why it has not begun.",
            )
        )
    return attempts[-1]


class _Lines:
    """The whole lines of a growing file, each once, and at the end what is left of one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def new(self, *, to_the_end: bool) -> Iterator[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                while piece := file.read(_PIECE_BYTES):
                    *lines, self._rest = (self._rest + piece).split(b"\n")
                    yield from (line.decode("utf-8", errors="replace") for line in lines)
                self._offset = file.tell()
        except FileNotFoundError:
            return
        if to_the_end and self._rest:
            yield self._rest.decode("utf-8", errors="replace")
            self._rest = b""
