"""Where a run that a file wants would go on this machine: it is one cluster of one pool, and nobody stands in a line for it."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from lightcompute.api import TrainingRun
from lightcompute.cli import summary
from lightcompute.cli.foresight import (
    Foresight,
    Row,
    alive_already,
    as_if_resumed,
    expected_by_place,
)
from lightcompute.cli.intake import Intake, considered, wanted_run
from lightcompute.cli.preview import machine_of, training_rows
from lightcompute.cli.target import FileOrder
from lightcompute.core.estimate import cpu_flops
from lightcompute.core.facts import establish
from lightcompute.core.prospect import prospect_at
from lightcompute.core.snapshot import Snapshot
from lightcompute.local import command, records
from lightcompute.local.attempts import GRACE_SECONDS
from lightcompute.local.backend import LocalBackend, local_offer
from lightcompute.local.books import Books
from lightcompute.local.folder import RunFolder, Runs
from lightcompute.local.machine import this_machine

if TYPE_CHECKING:
    from lightcompute.cli.target import Listed


def foreseen(runs: Runs, order: FileOrder, listed: tuple[Listed, ...]) -> Iterator[str]:
    """The lines; `listed` are the runs of the folder."""
    wanted = wanted_run(order.file, order.assignments, order.name, order.price)
    folder = runs.folder(wanted.metadata.name)
    taken = considered(folder, wanted)
    if taken.over:
        yield summary.how_to_begin_anew(taken.run, shlex.join(("lightcompute", *_run_words(order))))
        return
    run, notes = as_if_resumed(taken.run)
    snapshot = _snapshot(runs, folder, replace(taken, run=run))
    name = taken.run.metadata.name
    if establish(snapshot).live is not None:
        anew = shlex.join(("lightcompute", "explain", "-f", str(order.file), "--name", f"{name}-2"))
        yield from alive_already(taken.run, f"lightcompute explain {shlex.quote(name)}", anew)
        return
    yield from _foresight(taken, snapshot, listed, notes).lines()


def _run_words(order: FileOrder) -> tuple[str, ...]:
    assignments = (word for each in order.assignments for word in ("--set", each))
    return ("run", str(order.file), *assignments)


def _snapshot(runs: Runs, folder: RunFolder, taken: Intake) -> Snapshot:
    """The run as it would be, with what is seen of the one that is there."""
    allowances = Books(runs).allowances(taken.run, records.now())
    seen = None if taken.new else asyncio.run(LocalBackend(runs).observe(folder.name))
    if seen is not None:
        return replace(
            seen,
            run=taken.run,
            allowances=allowances,
            offers=(local_offer(taken.run),),
            faults=command.faults(taken.run),
        )
    return Snapshot(
        run=taken.run,
        now=records.now(),
        allowances=allowances,
        offers=(local_offer(taken.run),),
        faults=command.faults(taken.run),
        grace_seconds=GRACE_SECONDS,
    )


def _foresight(
    taken: Intake, snapshot: Snapshot, listed: tuple[Listed, ...], notes: tuple[Row, ...]
) -> Foresight:
    run, machine, prospect = snapshot.run, this_machine(), prospect_at(snapshot)
    sights = [each.sight for each in listed if each.sight is not None]
    alive = sum(sight.is_live for sight in sights)
    training = run.spec.training
    flops = None if training is None else cpu_flops(machine.threads, training)
    return Foresight(
        what="a new run" if taken.new else "a run that is there and would go on",
        shape=tuple(_shape(run)),
        snapshot=snapshot,
        prospect=prospect,
        expected=expected_by_place(
            run, prospect.found.candidates, (run, *(each.run for each in sights)), lambda _: flops
        ),
        before=f"nobody: there is no line for this machine{_alive(alive)}",
        notes=notes,
        changes=taken.changes,
    )


def _alive(runs: int) -> str:
    if not runs:
        return ""
    return ", and 1 run is alive on it" if runs == 1 else f", and {runs} runs are alive on it"


def _shape(run: TrainingRun) -> Iterator[tuple[str, str]]:
    if run.spec.trainer.command:
        yield "program", " ".join((*run.spec.trainer.command, *run.spec.trainer.args))
    elif run.spec.training is not None:
        yield from training_rows(run.spec.training)
    yield "on", machine_of(run)
