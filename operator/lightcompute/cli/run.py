"""`lightcompute run`: says what it is about to do, does it, and says what came out."""

from __future__ import annotations

import asyncio
import shlex
import signal
from pathlib import Path

import click

from lightcompute.api import TrainingRun
from lightcompute.cli import preview, summary
from lightcompute.cli.display import display_for_output
from lightcompute.cli.intake import Intake, take_in, wanted_run
from lightcompute.cli.local_budgets import refuse_unreadable
from lightcompute.cli.options import assignments_option, price_option, runs_dir_option
from lightcompute.cli.view import view_of
from lightcompute.core.progress import Progress
from lightcompute.local import records
from lightcompute.local.backend import LocalBackend
from lightcompute.local.controller import Controller, Interrupted
from lightcompute.local.folder import RunFolder, Runs, acting, runs_root


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@assignments_option
@click.option("--name", help="Name of the run. [default: metadata.name of the file]")
@price_option
@runs_dir_option
def run(
    file: Path,
    assignments: tuple[str, ...],
    name: str | None,
    price: str | None,
    runs_dir: Path | None,
) -> int:
    """Train what FILE orders, on this machine, or go on with it.

    FILE is a TrainingRun, as `kubectl apply` takes it. The same command again goes on where the run was left, whoever left
    it. Ctrl-C saves and leaves. A run waits while the TrainingBudgets of this machine (`lightcompute budgets`) have no room for it.

    What decides the numbers of a training that has begun cannot be changed; what can: its length and its reports
    (maxSteps, maxEpochs, evaluation, samples, target, earlyStopping), budget, checkpoints, failurePolicy, suspend.
    """
    wanted = wanted_run(file, assignments, name, price)
    runs = runs_root(runs_dir)
    folder = runs.folder(wanted.metadata.name)
    command = _command(file, assignments, name, price, runs_dir)
    refuse_unreadable(runs)
    with acting(folder):
        taken = take_in(folder, wanted)
        if taken.over:
            click.echo(summary.how_to_begin_anew(taken.run, command))
            return summary.exit_code(taken.run, None)
        click.echo(preview.preview(taken, folder))
        ended, interrupted_by = carry_out(taken, runs, folder, command)
    return summary.exit_code(ended or taken.run, interrupted_by)


def carry_out(
    taken: Intake, runs: Runs, folder: RunFolder, command: str
) -> tuple[TrainingRun | None, signal.Signals | None]:
    """Runs it to rest and says what came out. None for the run when a person left before it had ended."""
    with display_for_output() as display:

        def show(run: TrainingRun, progress: Progress | None, trouble: str) -> None:
            display.show(view_of(run, progress, records.now()), trouble)

        controller = Controller(LocalBackend(runs, display.tell), folder, show)
        try:
            ended = asyncio.run(controller.to_rest())
        except Interrupted:
            ended = None
    if ended is None:
        click.echo(summary.left_behind(taken.run.metadata.name, command))
    else:
        click.echo(summary.summary(ended, folder, command))
    return ended, controller.interrupted_by


def _command(
    file: Path,
    assignments: tuple[str, ...],
    name: str | None,
    price: str | None,
    runs_dir: Path | None,
) -> str:
    """The very command, to be given again."""
    words = ["lightcompute", "run", str(file)]
    for assignment in assignments:
        words += ["--set", assignment]
    for option, value in (
        ("--name", name),
        ("--price-per-hour-usd", price),
        ("--runs-dir", runs_dir),
    ):
        if value is not None:
            words += [option, str(value)]
    return shlex.join(words)
