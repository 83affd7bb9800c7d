"""`lightcompute budgets`: what runs may cost together, what was spent and what is left; and on this machine, how that is said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from lightcompute.api.training_budget import TrainingBudget
from lightcompute.cli import text
from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.target import Target
from lightcompute.core.text import clock

_HEADER = ("BUDGET", "LIMIT", "PERIOD", "SPENT", "RESERVED", "LEFT", "RUNS", "WAITING", "UNTIL", "STATE")  # fmt: skip
_PAST_HEADER = ("BUDGET", "FROM", "UNTIL", "SPENT", "LIMIT")


class _ListsByDefault(click.Group):
    """`budgets` and `budgets --option` mean `budgets list`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """With the verb that was left out."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListsByDefault)
def budgets() -> None:
    """List, set and delete TrainingBudgets: what runs may cost together. Without a verb: list them."""


@budgets.command(name="list", short_help="List budgets, what is spent and what is left.")
@click.option("--history", is_flag=True, help="List the periods that are over, too.")
@click.option("--output", "-o", "form", type=click.Choice(["json"]), help="Print the documents.")
@click.option("--json", "form", flag_value="json", help="The same as -o json.")
@target_options
def list_(history: bool, form: str | None, target: Target) -> None:
    """List the TrainingBudgets that runs draw from, of a namespace or of this machine."""
    found = target.budgets()
    if form == "json":
        documents = [each.document() for each in found]
        click.echo(json.dumps(documents, ensure_ascii=False, indent=1))
        return
    if not found:
        click.echo(target.no_budgets())
        return
    click.echo(text.columns(_HEADER, map(_row, found)))
    for line in (*_troubles(found), *target.notes_on_budgets()):
        click.echo(line)
    if history:
        click.echo("\n" + _history(found))


@budgets.command(name="set", short_help="Make or change a budget on this machine.")
@click.argument("file", type=click.Path(path_type=Path))
@target_options
def set_(file: Path, target: Target) -> None:
    """Make the TrainingBudget of FILE for the runs of this machine, or change it to what FILE says.

    FILE is what `kubectl apply` takes; its namespace is passed over. It holds from now on, for runs that are alive too.
    """
    click.echo(target.set_budget(file))


@budgets.command(short_help="Delete a budget on this machine.")
@name_argument
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@target_options
def delete(name: str, yes: bool, target: Target) -> None:
    """Delete the TrainingBudget NAME of this machine. Its runs go on to their own limits."""
    if not yes:
        click.confirm(f"Delete the TrainingBudget {name}, with its record of deleted runs and past periods?", abort=True)  # fmt: skip
    click.echo(target.delete_budget(name))


def _row(budget: TrainingBudget) -> tuple[str, ...]:
    spec, status = budget.spec, budget.status
    amounts = (status.spent_usd, status.reserved_usd, status.remaining_usd)
    return (
        budget.metadata.name,
        text.usd(spec.limit_usd),
        spec.period.value,
        *(text.usd(amount) if status.conditions else "" for amount in amounts),
        str(status.runs),
        str(status.waiting_runs),
        "" if status.period_end is None else clock(status.period_end),
        _state(budget),
    )


def _state(budget: TrainingBudget) -> str:
    if not budget.status.conditions:
        return "not looked at yet"
    condition = budget.status.conditions[0]
    return "ok" if condition.status == "True" else condition.reason


def _troubles(found: Iterable[TrainingBudget]) -> Iterator[str]:
    for budget in found:
        for condition in budget.status.conditions:
            if condition.message:
                yield f"{budget.metadata.name}: {condition.message}"


def _history(found: Iterable[TrainingBudget]) -> str:
    rows = [
        (
            budget.metadata.name,
            clock(past.period_start),
            clock(past.period_end),
            text.usd(past.spent_usd),
            text.usd(past.limit_usd),
        )
        for budget in found
        for past in budget.status.history
    ]
    return text.columns(_PAST_HEADER, rows) if rows else "No period is over yet."
