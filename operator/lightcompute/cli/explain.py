"""`lightcompute explain`: why a run is where it is, from its status and from what is seen of it now. It changes nothing."""

from __future__ import annotations

import click

from lightcompute.cli import text
from lightcompute.cli.cost import LEDGER_HEADER, ledger_lines
from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.target import Target
from lightcompute.cli.told import told


@click.command()
@name_argument
@target_options
def explain(name: str, target: Target) -> None:
    """Say why the run NAME is in the state it is in: conditions, attempts, cost, and what comes next."""
    account = target.run(name).account()
    click.echo("\n".join(told(account.run, account.now)))
    charged = [line for line in ledger_lines(account.run.status, account.now) if any(line[1:])]
    if charged:
        click.echo("Charges")
        click.echo(text.columns(LEDGER_HEADER, charged))
    for line in account.further:
        click.echo(line)
