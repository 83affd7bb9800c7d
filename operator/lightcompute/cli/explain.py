"""`lightcompute explain`: why a run is where it is, or where the run of a file would go. It changes nothing."""

from __future__ import annotations

from pathlib import Path

import click

from lightcompute.cli import text
from lightcompute.cli.cost import LEDGER_HEADER, ledger_lines
from lightcompute.cli.options import assignments_option, price_option, target_options
from lightcompute.cli.target import FileOrder, Target
from lightcompute.cli.told import told


@click.command()
@click.argument("name", required=False)
@click.option(
    "--file",
    "-f",
    type=click.Path(path_type=Path),
    help="Say where the run of this file would go now, and what it would cost. Nothing is made.",
)
@assignments_option
@click.option("--name", "new_name", help="With -f: name of the run. [default: metadata.name of the file]")  # fmt: skip
@price_option
@target_options
def explain(
    name: str | None,
    file: Path | None,
    assignments: tuple[str, ...],
    new_name: str | None,
    price: str | None,
    target: Target,
) -> None:
    """Say why the run NAME is in the state it is in: places, line, conditions, attempts, cost, and what comes next.

    With -f FILE: where a run of the file would go if it were made now, who stands before it, how long it would take, what it
    would cost, and whether its cap pays for that. The file is checked as `run` and `submit` do, and nothing is made.
    """
    if (name is None) == (file is None):
        raise click.UsageError("Give the NAME of a run, or a file by -f: one of the two.")
    if file is not None:
        order = FileOrder(file=file, assignments=assignments, name=new_name, price=price)
        for line in target.foresee(order):
            click.echo(line)
        return
    if assignments or new_name is not None or price is not None:
        raise click.UsageError("--set, --name and --price-per-hour-usd go with -f FILE.")
    assert name is not None, "one of the two is given"
    _tell(target, name)


def _tell(target: Target, name: str) -> None:
    account = target.run(name).account()
    click.echo("\n".join(told(account.run, account.now)))
    charged = [line for line in ledger_lines(account.run.status, account.now) if any(line[1:])]
    if charged:
        click.echo("Charges")
        click.echo(text.columns(LEDGER_HEADER, charged))
    for line in account.further:
        click.echo(line)
