"""`lightcompute budgets`: what the runs of a namespace may cost together, what was spent and what is left."""

from __future__ import annotations

import click

from lightcompute.api.training_budget import TrainingBudget
from lightcompute.cli import text
from lightcompute.cli.options import target_options
from lightcompute.cli.target import Target
from lightcompute.core.text import clock

_HEADER = ("BUDGET", "LIMIT", "PERIOD", "SPENT", "RESERVED", "LEFT", "RUNS", "WAITING", "UNTIL", "STATE")  # fmt: skip


@click.command()
@target_options
def budgets(target: Target) -> None:
    """List the TrainingBudgets of a namespace, which its runs draw from."""
    rows = target.budgets()
    click.echo(text.columns(_HEADER, map(_row, rows)) if rows else target.no_budgets())


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
