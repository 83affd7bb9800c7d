"""`explain`: a status told as text. Why a run is where it is, what was tried, what comes next; in the words of the status itself."""

from __future__ import annotations

from collections.abc import Iterator

from lightcompute.api.money import show_usd
from lightcompute.api.reasons import Reason, known_reason
from lightcompute.api.status import Attempt, TrainingRunStatus
from lightcompute.core.decide import decide
from lightcompute.core.ledger import attempt_cost
from lightcompute.core.snapshot import Snapshot
from lightcompute.core.text import clock


def explain(snapshot: Snapshot) -> str:
    """Why the run is where it is, as things stand at `snapshot.now`."""
    decision = decide(snapshot)
    return "\n".join((*_lines(snapshot, decision.status), *_next(snapshot))) + "\n"


def _lines(snapshot: Snapshot, status: TrainingRunStatus) -> Iterator[str]:
    yield f"{snapshot.run.label}: {status.phase} ({status.reason})"
    if status.message:
        yield f"  {status.message}"
    if status.reason in Reason.__members__.values():
        yield f"  {Reason(status.reason).sentence}"
    yield "Conditions"
    for condition in status.conditions:
        yield f"  {condition.type} {condition.status} since {clock(condition.last_transition_time)}: {condition.reason}, {condition.message}"
    if status.placement.candidates:
        yield "Places, as of the last round"
        for each in status.placement.candidates:
            price = f"{show_usd(each.rate_per_hour_usd)} an hour"
            yield f"  {each.place} at {price}: {each.reason}{each.message and ', '}{each.message}"
    if status.attempts:
        yield "Attempts"
        yield from (f"  {_attempt(attempt, snapshot)}" for attempt in status.attempts)


def _attempt(attempt: Attempt, snapshot: Snapshot) -> str:
    spent = show_usd(attempt_cost(attempt, snapshot.now))
    text = f"{attempt.number} on {attempt.place}: {attempt.state}"
    if attempt.reason is not None:
        reason = known_reason(attempt.reason, Reason.INTERNAL_ERROR)
        counts = "counts" if attempt.counts else "does not count"
        text += f", {reason} ({counts}), {attempt.message}"
    if attempt.first_step is not None:
        text += f", steps {attempt.first_step} to {attempt.last_step}"
    return f"{text}, {spent}"


def _next(snapshot: Snapshot) -> Iterator[str]:
    decision = decide(snapshot)
    for action in decision.actions:
        yield f"Next: {type(action).__name__}"
    if decision.look_again_at is not None:
        yield f"Looked at again at {clock(decision.look_again_at)} at the latest"
