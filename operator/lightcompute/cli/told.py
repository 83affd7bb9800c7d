"""A run's status told as text: why it is where it is, what was tried, how attempts ended; in the words of the status itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lightcompute.api import TrainingRun
from lightcompute.api.money import show_usd
from lightcompute.api.reasons import Reason, known_reason
from lightcompute.api.status import Attempt, Placement
from lightcompute.cli.places import places_table
from lightcompute.core.facts import Facts
from lightcompute.core.ledger import attempt_cost
from lightcompute.core.search import next_round, search_end
from lightcompute.core.snapshot import Snapshot
from lightcompute.core.text import clock, span


def told(run: TrainingRun, now: datetime) -> Iterator[str]:
    """The lines."""
    status = run.status
    yield f"{run.label}: {status.phase}{status.reason and f' ({status.reason})'}"
    if status.message:
        yield f"  {status.message}"
    if status.reason in Reason.__members__.values():
        yield f"  {Reason(status.reason).sentence}"
    if status.conditions:
        yield "Conditions"
        for condition in status.conditions:
            since = clock(condition.last_transition_time)
            yield f"  {condition.type} {condition.status} since {since}: {condition.reason}, {condition.message}"
    if status.placement.candidates:
        yield _as_of(status.placement)
        yield from f"{places_table(status.placement.candidates)}".splitlines()
    if status.reason == Reason.WAITING_FOR_PLACE:
        yield from _waits(run, now)
    if status.attempts:
        yield "Attempts"
        yield from (f"  {_attempt(attempt, now)}" for attempt in status.attempts)


def _as_of(placement: Placement) -> str:
    time = placement.round_time
    return f"Places, as of the last round{f' at {clock(time)}' if time else ''}"


def _waits(run: TrainingRun, now: datetime) -> Iterator[str]:
    """Where it stands, and when it is looked at again: what the operator does by, worked out from what it wrote."""
    placement, facts = (
        run.status.placement,
        Facts(snapshot=Snapshot(run=run, now=now), status=run.status),
    )
    if placement.line_position is not None and placement.line_length is not None:
        ahead = placement.line_position - 1
        yield (
            f"In the line of waiting runs it was number {placement.line_position} of {placement.line_length} at that round: "
            f"{f'{ahead} stood' if ahead else 'none stood'} before it"
        )
    yield (
        f"Next round at {clock(next_round(facts))}, or earlier if a place is seen to be free; "
        f"given up at {clock(search_end(facts))}"
    )


def _attempt(attempt: Attempt, now: datetime) -> str:
    spent = show_usd(attempt_cost(attempt, now))
    text = f"{attempt.number} on {attempt.place}: {attempt.state}"
    if attempt.reason is not None:
        reason = known_reason(attempt.reason, Reason.INTERNAL_ERROR)
        counts = "counts" if attempt.counts else "does not count"
        text += f", {reason} ({counts}), {attempt.message}"
    if attempt.first_step is not None:
        reached = "" if attempt.last_step is None else f" to {attempt.last_step}"
        text += f", from step {attempt.first_step}{reached}"
    if attempt.lost_steps:
        text += f" ({attempt.lost_steps} done again)"
    if attempt.is_live and attempt.grace_seconds is not None:
        text += f", has {span(attempt.grace_seconds)} to save and leave when asked"
    return f"{text}, {spent}"
