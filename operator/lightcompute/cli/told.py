"""A run's status told as text: why it is where it is, what was tried, how attempts ended; in the words of the status itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lightcompute.api import TrainingRun
from lightcompute.api.money import show_usd
from lightcompute.api.reasons import Reason, known_reason
from lightcompute.api.status import Attempt, Candidate
from lightcompute.core.ledger import attempt_cost
from lightcompute.core.text import clock


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
        yield "Places, as of the last round"
        yield from (f"  {_candidate(each)}" for each in status.placement.candidates)
    if status.attempts:
        yield "Attempts"
        yield from (f"  {_attempt(attempt, now)}" for attempt in status.attempts)


def _candidate(candidate: Candidate) -> str:
    price = f"{show_usd(candidate.rate_per_hour_usd)} an hour"
    numbers = f", {candidate.message}" if candidate.message else ""
    return f"{candidate.place} at {price}: {candidate.reason}{numbers}"


def _attempt(attempt: Attempt, now: datetime) -> str:
    spent = show_usd(attempt_cost(attempt, now))
    text = f"{attempt.number} on {attempt.place}: {attempt.state}"
    if attempt.reason is not None:
        reason = known_reason(attempt.reason, Reason.INTERNAL_ERROR)
        counts = "counts" if attempt.counts else "does not count"
        text += f", {reason} ({counts}), {attempt.message}"
    if attempt.first_step is not None:
        text += f", steps {attempt.first_step} to {attempt.last_step}"
    return f"{text}, {spent}"
