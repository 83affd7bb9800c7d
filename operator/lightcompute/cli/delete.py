"""`lightcompute delete`: stops a run if it lives and removes it. Checkpoints are kept unless a person says otherwise."""

from __future__ import annotations

import click

from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.target import Target


@click.command()
@name_argument
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@click.option(
    "--checkpoints",
    is_flag=True,
    help="Delete its checkpoints too. [default: as spec.checkpoints.whenDeleted says]",
)
@click.option(
    "--wait", is_flag=True, help="In a cluster: return when it is gone. On this machine it is then."
)
@target_options
def delete(name: str, yes: bool, checkpoints: bool, wait: bool, target: Target) -> int:
    """Delete the run NAME: its documents, logs and curves."""
    run = target.run(name)
    if not yes:
        click.confirm(run.question(with_checkpoints=checkpoints), abort=True)
    return run.delete(with_checkpoints=checkpoints, wait=wait)
