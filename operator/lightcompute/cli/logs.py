"""`lightcompute logs`: what a trainer wrote for people, and its reports when they are asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from lightcompute.cli.options import name_argument, runs_dir_option
from lightcompute.local import records
from lightcompute.local.folder import RunFolder, runs_root
from runcontract.faults import ConfigurationFault, Fault
from runcontract.progress import parse_report

_PIECE_BYTES = 1 << 16
_FOLLOW_SECONDS = 0.3


@click.command()
@name_argument
@click.option("--follow", "-f", is_flag=True, help="Go on printing until the attempt ends.")
@click.option("--attempt", type=click.IntRange(min=1), help="Which attempt. [default: the newest]")
@click.option("--reports", is_flag=True, help="Print the progress reports (JSON lines) too.")
@runs_dir_option
def logs(
    name: str, follow: bool, attempt: int | None, reports: bool, runs_dir: Path | None
) -> None:
    """Print what the trainer of the run NAME wrote."""
    run = runs_root(runs_dir).existing(name)
    folder = run.attempt(attempt or _newest(run))
    if not folder.is_dir():
        known = ", ".join(str(number) for number in run.attempts())
        raise ConfigurationFault(
            Fault(where="--attempt", found=str(attempt), expected=f"one of: {known}")
        )
    readers = (_Lines(folder / records.STDERR), _Lines(folder / records.STDOUT))
    while True:
        # Whether it has ended is asked before the rest is read, so that nothing said before the end is missed.
        ended = not follow or records.read_exit(folder) is not None
        for reader in readers:
            for line in reader.new(to_the_end=ended):
                if reports or parse_report(line) is None:
                    click.echo(line)
        if ended:
            return
        time.sleep(_FOLLOW_SECONDS)


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
