"""`lightcompute cost`: the ledger of a run, line by line, so that anybody can add it up; or what all runs have cost, as a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

import click

from lightcompute.api.money import charge
from lightcompute.api.status import Attempt, Cost, TrainingRunStatus
from lightcompute.cli import text
from lightcompute.cli.cost_table import Form, Grouping, Question, cost_rows, shown
from lightcompute.cli.moments import MOMENT, TIME_ZONE
from lightcompute.cli.options import target_options
from lightcompute.cli.outcome import likelihood_text
from lightcompute.cli.target import Target
from lightcompute.core.ledger import total_cost

LEDGER_HEADER = ("ATTEMPT", "FROM", "TO", "HELD", "PRICE PER HOUR", "COST")


@click.command()
@click.argument("name", required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the cost section of the status of NAME as JSON."
)
@click.option(
    "--by",
    type=click.Choice(["run", "namespace", "day", "week", "month"]),
    help="Without NAME: what a line of the table stands for. [default: run]",
)
@click.option("--since", type=MOMENT, help="Without NAME: count what was charged from then on.")
@click.option("--until", type=MOMENT, help="Without NAME: count what was charged before then.")
@click.option(
    "--time-zone",
    "zone",
    type=TIME_ZONE,
    help="Without NAME: by whose clock days begin, such as Europe/Berlin. [default: UTC]",
)
@click.option(
    "--output",
    "-o",
    "form",
    type=click.Choice(["text", "csv", "json"]),
    help="Without NAME: form of the table. [default: text]",
)
@click.option(
    "--all-namespaces",
    "-A",
    "everywhere",
    is_flag=True,
    help="Without NAME: runs of all namespaces of the cluster.",
)
@target_options
def cost(name: str | None, as_json: bool, target: Target, everywhere: bool, **asked: Any) -> None:
    """Show what the run NAME has cost, and what it may still cost; without NAME, what all runs have cost.

    A table counts runs that still exist: what was deleted is not in it.
    """
    if name is None:
        if as_json:
            raise click.UsageError("--json is about one run: give its NAME, or --output json.")
        _show_table(target, everywhere=everywhere, **asked)
        return
    for_tables = [*(key for key, value in asked.items() if value is not None)]
    if for_tables or everywhere:
        raise click.UsageError(
            "Options for the table of all runs say nothing about one: leave NAME out."
        )
    sight = target.run(name).sight()
    status, now = sight.run.status, sight.now
    if as_json:
        click.echo(json.dumps(status.cost.document(), indent=1))
        return
    click.echo(text.columns(LEDGER_HEADER, ledger_lines(status, now)))
    click.echo(text.table(_sums(status, sight.cost(), now), indent=""))


def _show_table(
    target: Target,
    *,
    everywhere: bool,
    by: Grouping | None,
    zone: tzinfo | None,
    since: datetime | None,
    until: datetime | None,
    form: Form | None,
) -> None:
    zone = zone or UTC
    since, until = (
        None if each is None else each.replace(tzinfo=each.tzinfo or zone)
        for each in (since, until)
    )
    question = Question(by=by or "run", zone=zone, since=since, until=until)
    found = target.listed(everywhere=everywhere)
    click.echo(shown(cost_rows(found, question), question.by, form or "text"))
    unread = [f"{each.namespace}/{each.name}" for each in found if each.sight is None]
    if unread:
        click.echo(f"Not counted, as they cannot be read: {', '.join(unread)}", err=True)


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


def _sums(status: TrainingRunStatus, cost: Cost, now: datetime) -> Iterator[tuple[str, str]]:
    yield "spent", text.usd(total_cost(status, now))
    yield "reserved", text.usd(cost.reserved_usd) if cost.reserved_usd else ""
    yield "forecast", text.usd(cost.forecast_usd) if cost.forecast_usd is not None else ""
    yield "limit", "none" if cost.limit_usd is None else text.usd(cost.limit_usd)
    if cost.cap_reached_time is not None:
        step = cost.cap_reached_step
        at = "" if step is None else f", at about step {text.count(step)}"
        yield "limit reached", f"{text.clock(cost.cap_reached_time)}{at}, before the end"
    yield "target", likelihood_text(cost.target)
    if cost.overshoot_bound_usd:
        yield (
            "held back from the limit",
            f"{text.usd(cost.overshoot_bound_usd)} (for the time of grace at the end)",
        )
