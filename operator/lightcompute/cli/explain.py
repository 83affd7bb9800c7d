"""`lightcompute explain`: why a run is where it is, from its status and from what is seen of it now. It changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from lightcompute.cli import text
from lightcompute.cli.cost import ledger_lines
from lightcompute.cli.options import name_argument, runs_dir_option
from lightcompute.core import explain as core
from lightcompute.local.backend import LocalBackend
from lightcompute.local.folder import runs_root

_HEADER = ("ATTEMPT", "FROM", "TO", "HELD", "PRICE PER HOUR", "COST")


@click.command()
@name_argument
@runs_dir_option
def explain(name: str, runs_dir: Path | None) -> None:
    """Say why the run NAME is in the state it is in: conditions, attempts, cost, and what comes next."""
    runs = runs_root(runs_dir)
    folder = runs.existing(name)
    snapshot = asyncio.run(LocalBackend(runs).observe(name))
    assert snapshot is not None, "it existed a moment ago"
    click.echo(core.explain(snapshot), nl=False)
    charged = [line for line in ledger_lines(snapshot.run.status) if any(line[1:])]
    if charged:
        click.echo("Charges")
        click.echo(text.columns(_HEADER, charged))
    if folder.has_controller():
        click.echo("A process acts for it now.")
