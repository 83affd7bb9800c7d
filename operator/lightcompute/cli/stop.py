"""`lightcompute stop`: asks whoever acts for a run, or acts where nobody does, until the run has saved and left."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click

from lightcompute.api import TrainingRun, labels
from lightcompute.cli.display import PlainDisplay
from lightcompute.cli.options import name_argument, runs_dir_option
from lightcompute.cli.view import view_of
from lightcompute.core.progress import Progress
from lightcompute.local import records
from lightcompute.local.backend import GRACE_SECONDS, LocalBackend
from lightcompute.local.controller import Controller, rests
from lightcompute.local.folder import RunFolder, Runs, controlling, runs_root
from lightcompute.local.store import RunStore, with_spec
from runcontract.exit_codes import ExitCode

_WAIT_SECONDS = GRACE_SECONDS + 30
_POLL_SECONDS = 0.2


@click.command()
@name_argument
@click.option(
    "--for-good", is_flag=True, help="End the run: it cannot be gone on with. [default: hold it]"
)
@runs_dir_option
def stop(name: str, for_good: bool, runs_dir: Path | None) -> int:
    """Ask the run NAME to save and leave; `lightcompute run` goes on with it later."""
    runs = runs_root(runs_dir)
    run = stopped(runs, runs.existing(name), for_good=for_good)
    click.echo(f"{name}: {run.status.phase}. {run.status.message}".rstrip())
    return int(ExitCode.DONE if rests(run) else ExitCode.INTERNAL_ERROR)


def stopped(runs: Runs, folder: RunFolder, *, for_good: bool) -> TrainingRun:
    """The run after it was asked to stop and did, or after the time that this takes at most."""
    store = RunStore(folder)
    run = store.read()
    if rests(run) and not for_good:
        return run
    store.change(_ended if for_good else _held)
    if not folder.has_controller():
        with controlling(folder):
            return _act(runs, folder)
    end = time.monotonic() + _WAIT_SECONDS
    while not rests(run := store.read()) and folder.has_controller():
        if time.monotonic() > end:
            click.echo(f"{folder.name} has not stopped in {_WAIT_SECONDS} s.", err=True)
            return run
        time.sleep(_POLL_SECONDS)
    if rests(run := store.read()):
        return run
    with controlling(folder):  # Its controller died meanwhile.
        return _act(runs, folder)


def _act(runs: Runs, folder: RunFolder) -> TrainingRun:
    display = PlainDisplay(write=lambda line: click.echo(line, err=True))

    def show(run: TrainingRun, progress: Progress | None, trouble: str) -> None:
        display.show(view_of(run, progress, records.now()), trouble)

    return asyncio.run(Controller(LocalBackend(runs, display.tell), folder, show).to_rest())


def _held(run: TrainingRun) -> TrainingRun:
    return with_spec(run, suspend=True)


def _ended(run: TrainingRun) -> TrainingRun:
    notes = {**run.metadata.annotations, labels.STOP: "lightcompute stop"}
    metadata = run.metadata.model_copy(update={"annotations": notes})
    return run.model_copy(update={"metadata": metadata})
