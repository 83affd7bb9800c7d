"""Going on with a run on this machine from its own documents: no file is read anew, so what it was changed to by --set holds."""

from __future__ import annotations

import shlex

import click

from lightcompute.api import Phase, TrainingRun
from lightcompute.api.words import FINISHED
from lightcompute.cli import preview, summary
from lightcompute.cli.intake import Intake
from lightcompute.cli.local_budgets import refuse_unreadable
from lightcompute.cli.run import carry_out
from lightcompute.local.folder import RunFolder, Runs, controlling
from lightcompute.local.store import RunStore, with_spec


def go_on(runs: Runs, folder: RunFolder) -> int:
    """Runs it to rest; the exit code, as that of `run`."""
    store = RunStore(folder)
    command = shlex.join(("lightcompute", "resume", folder.name))
    refuse_unreadable(runs)
    with controlling(folder):
        run = store.read()
        if run.status.phase in FINISHED - {Phase.FAILED}:
            click.echo(
                f"The run {folder.name} is over ({run.status.phase}): nothing to go on with."
            )
            return summary.exit_code(run, None)
        # To go on with a failed run is to say that something was mended, be it outside its document.
        again = run.status.phase is Phase.FAILED
        taken = Intake(run=store.change(_released, again=again), new=False)
        click.echo(preview.preview(taken, folder))
        ended, interrupted_by = carry_out(taken, runs, folder, command)
    return summary.exit_code(ended or taken.run, interrupted_by)


def _released(run: TrainingRun) -> TrainingRun:
    return with_spec(run, suspend=False) if run.spec.suspend else run
