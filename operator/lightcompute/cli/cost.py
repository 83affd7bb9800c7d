"""`lightcompute cost`: the ledger of a run, line by line, so that anybody can add it up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

import click

from lightcompute.api.money import charge
from lightcompute.api.status import Attempt, TrainingRunStatus
from lightcompute.cli import text
from lightcompute.cli.options import name_argument, target_options
from lightcompute.cli.target import Target
from lightcompute.core.ledger import total_cost

LEDGER_HEADER = ("ATTEMPT", "FROM", "TO", "HELD", "PRICE PER HOUR", "COST")


@click.command()
@name_argument
@click.option(
    "--json", "as_json", is_flag=True, help="Print the cost section of the status as JSON."
)
@target_options
def cost(name: str, as_json: bool, target: Target) -> None:
    """Show what the run NAME has cost, and what it may still cost."""
    sight = target.run(name).sight()
    status, now = sight.run.status, sight.now
    if as_json:
        click.echo(json.dumps(status.cost.document(), indent=1))
        return
    click.echo(text.columns(LEDGER_HEADER, ledger_lines(status, now)))
    click.echo(text.table(_sums(status, now), indent=""))


def ledger_lines(status: TrainingRunStatus, now: datetime) -> Iterator[tuple[str, ...]]:
    """A line for each charge that the status lists, and one for all it no longer does."""
    folded = status.earlier_attempts.charges
    if folded.count:
        held = text.duration(folded.held_microseconds / 1e6)
        yield (
            f"the first {status.earlier_attempts.count}",
            "",
            "",
            held,
            "",
            text.usd(folded.cost_usd),
        )
    for attempt in status.attempts:
        yield from _lines(attempt, now)


def _lines(attempt: Attempt, now: datetime) -> Iterator[tuple[str, ...]]:
    number = str(attempt.number)
    if attempt.folded.count:
        held = text.duration(attempt.folded.held_microseconds / 1e6)
        yield (number, "", "", held, "several", text.usd(attempt.folded.cost_usd))
    for segment in attempt.charges:
        end = segment.end_time or now
        time = end - segment.start_time
        yield (
            number,
            text.clock(segment.start_time),
            text.clock(end) if segment.end_time else "now",
            text.duration(time.total_seconds()),
            text.usd(segment.rate_per_hour_usd),
            text.usd(charge(segment.rate_per_hour_usd, time)),
        )
    if not attempt.charges:
        yield (number, "", "", "never started", "", text.usd(0))


def _sums(status: TrainingRunStatus, now: datetime) -> Iterator[tuple[str, str]]:
    cost = status.cost
    yield "spent", text.usd(total_cost(status, now))
    yield "reserved", text.usd(cost.reserved_usd) if cost.reserved_usd else ""
    yield "forecast", text.usd(cost.forecast_usd) if cost.forecast_usd is not None else ""
    yield "limit", "none" if cost.limit_usd is None else text.usd(cost.limit_usd)
    if cost.overshoot_bound_usd:
        yield (
            "held back from the limit",
            f"{text.usd(cost.overshoot_bound_usd)} (for the time of grace at the end)",
        )
