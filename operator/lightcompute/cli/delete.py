"""`lightcompute delete`: stops a run if it lives and removes its folder. Checkpoints are kept unless a person says otherwise."""

from __future__ import annotations

from pathlib import Path

import click

from lightcompute.cli.options import name_argument, runs_dir_option
from lightcompute.cli.stop import stopped
from lightcompute.local.controller import rests
from lightcompute.local.folder import controlling, runs_root
from lightcompute.local.removal import remove
from lightcompute.local.store import RunStore
from runcontract.exit_codes import ExitCode


@click.command()
@name_argument
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@click.option(
    "--checkpoints",
    is_flag=True,
    help="Delete its checkpoints too. [default: as spec.checkpoints.whenDeleted says]",
)
@runs_dir_option
def delete(name: str, yes: bool, checkpoints: bool, runs_dir: Path | None) -> int:
    """Delete the run NAME: its documents, logs and curves."""
    runs = runs_root(runs_dir)
    folder = runs.existing(name)
    run = RunStore(folder).read()
    keep = run.spec.checkpoints.when_deleted == "Retain" and not checkpoints
    kept_or_not = "its checkpoints are kept elsewhere" if keep else "with its checkpoints"
    if not yes:
        click.confirm(f"Delete {folder.path} ({kept_or_not})?", abort=True)
    if any(attempt.is_live for attempt in run.status.attempts):
        run = stopped(runs, folder, for_good=False)
        if not rests(run):
            click.echo(f"{name} still runs, so it was not deleted.", err=True)
            return int(ExitCode.INTERNAL_ERROR)
    with controlling(folder):
        kept = remove(folder, run_uid=run.metadata.uid, keep_checkpoints=keep)
    click.echo(f"{name} is deleted." + (f" Its checkpoints are in {kept}." if kept else ""))
    return int(ExitCode.DONE)
