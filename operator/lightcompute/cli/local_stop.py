"""Stopping a run on this machine: through whoever acts for it, or by acting where nobody does, until it has saved and left."""

from __future__ import annotations

import asyncio
import time

import click

from lightcompute.api import TrainingRun, labels
from lightcompute.cli.display import PlainDisplay
from lightcompute.cli.target import Halt
from lightcompute.cli.view import view_of
from lightcompute.core.progress import Progress
from lightcompute.local import records
from lightcompute.local.attempts import GRACE_SECONDS
from lightcompute.local.backend import LocalBackend
from lightcompute.local.controller import Controller, rests
from lightcompute.local.folder import RunFolder, Runs, controlling
from lightcompute.local.store import RunStore, with_spec

_WAIT_SECONDS = GRACE_SECONDS + 30
_POLL_SECONDS = 0.2


def stopped(runs: Runs, folder: RunFolder, *, for_good: bool) -> Halt:
    """The run after it was asked to stop and did, or after the time that this takes at most."""
    store = RunStore(folder)
    run = store.read()
    if rests(run) and not for_good:
        return Halt(run=run, rests=True)
    store.change(_ended if for_good else _held)
    if not folder.has_controller():
        return _act(runs, folder)
    end = time.monotonic() + _WAIT_SECONDS
    # Whoever acts for it leaves after it rests, and until then nobody else may: what is asked for next would be refused.
    while folder.has_controller() and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    run = store.read()
    if rests(run):
        return Halt(run=run, rests=True)
    if folder.has_controller():
        why_not = f"{folder.name} has not stopped in {_WAIT_SECONDS} s."
        return Halt(run=run, rests=False, why_not=why_not)
    return _act(runs, folder)  # Its controller died meanwhile.


def _act(runs: Runs, folder: RunFolder) -> Halt:
    display = PlainDisplay(write=lambda line: click.echo(line, err=True))

    def show(run: TrainingRun, progress: Progress | None, trouble: str) -> None:
        display.show(view_of(run, progress, records.now()), trouble)

    with controlling(folder):
        backend = LocalBackend(runs, display.tell)
        run = asyncio.run(Controller(backend, folder, show).to_rest())
    return Halt(run=run, rests=rests(run))


def _held(run: TrainingRun) -> TrainingRun:
    return with_spec(run, suspend=True)


def _ended(run: TrainingRun) -> TrainingRun:
    notes = {**run.metadata.annotations, labels.STOP: "lightcompute stop"}
    metadata = run.metadata.model_copy(update={"annotations": notes})
    return run.model_copy(update={"metadata": metadata})
