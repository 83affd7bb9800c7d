"""Makes a whole decision of a verdict: conditions, cost, events, the time of the next look, and whether anything changed at all.

Progress and cost change all the time. They are written together with any other change, and on their own only at intervals, so
that a run in which nothing happens causes no writes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lightcompute.api.reasons import Reason, known_reason
from lightcompute.api.status import TrainingRunStatus, Upkeep
from lightcompute.api.words import Phase
from lightcompute.core.conditions import answers, with_answers
from lightcompute.core.cost import budget_warnings, cost_of, is_due, next_poll
from lightcompute.core.decision import Decision, Event
from lightcompute.core.facts import Facts
from lightcompute.core.final import is_about
from lightcompute.core.ledger import open_charge
from lightcompute.core.revise import revised
from lightcompute.core.saves import saves_events
from lightcompute.core.text import cut
from lightcompute.core.verdict import Verdict

PROGRESS_SECONDS = 10
"""Progress alone is written no more often."""

_BAD = frozenset({Phase.FAILED, Phase.BUDGET_EXHAUSTED})
_BAD_REASONS = frozenset(
    {
        Reason.SPEC_REFUSED,
        Reason.START_REFUSED,
        Reason.IMAGE_UNAVAILABLE,
        Reason.POD_REFUSED,
        Reason.HANG,
    }
)
_AT_REST = frozenset(
    {Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED, Phase.SUSPENDED, Phase.BUDGET_EXHAUSTED}
)


def conclude(facts: Facts, verdict: Verdict, *, resync: timedelta) -> Decision:
    """The decision that `verdict` comes to."""
    run, now = facts.run, facts.now
    status = revised(
        verdict.status,
        observed_generation=run.metadata.generation,
        phase=verdict.phase,
        reason=verdict.reason.value,
        message=cut(verdict.message),
        conditions=with_answers(
            run.status.conditions,
            answers(facts, verdict),
            generation=run.metadata.generation,
            now=now,
        ),
    )
    status = _kept_quiet(facts, revised(status, cost=cost_of(facts, status)))
    return Decision(
        status=status,
        reason=verdict.reason,
        message=verdict.message,
        actions=verdict.actions,
        look_again_at=_next_look(facts, verdict, status, resync),
        events=_events(facts, status),
    )


def _kept_quiet(facts: Facts, status: TrainingRunStatus) -> TrainingRunStatus:
    """The recorded status where only progress or cost differ and neither is due."""
    before = facts.run.status
    quiet = revised(status, trainer_status=before.trainer_status, cost=before.cost)
    if quiet != before:
        return status
    progress_due = status.trainer_status != before.trainer_status and _progress_is_due(facts)
    newest = status.attempts[-1] if status.attempts else None
    charged = newest is not None and open_charge(newest) is not None
    # Not charged, cost changes only with the spec (limit) or the terms of the place: told at once.
    cost_due = status.cost != before.cost and (not charged or is_due(facts))
    return status if progress_due or cost_due else before


def _progress_is_due(facts: Facts) -> bool:
    known = facts.run.status.trainer_status
    told = known.last_updated_time if known is not None else None
    return told is None or facts.now >= told + timedelta(seconds=PROGRESS_SECONDS)


def _next_look(
    facts: Facts, verdict: Verdict, status: TrainingRunStatus, resync: timedelta
) -> datetime | None:
    at_rest = status.phase in _AT_REST and not verdict.actions
    times = [verdict.look_again_at, next_poll(facts, status)]
    if not at_rest:
        times.append(facts.now + resync)
    return min((time for time in times if time is not None), default=None)


def _events(facts: Facts, status: TrainingRunStatus) -> tuple[Event, ...]:
    """What is new and worth telling, in the order in which it happened."""
    before = facts.run.status
    events: list[Event] = []
    if facts.reopened:
        told = f"generation {facts.run.metadata.generation} is tried"
        events.append(Event(type="Normal", reason=Reason.SPEC_CHANGED, message=told))
    if facts.ended is not None:
        reason = known_reason(facts.ended.reason, Reason.INTERNAL_ERROR)
        told = f"attempt {facts.ended.number}: {facts.ended.message}"
        ok = reason in {Reason.COMPLETED, Reason.PREEMPTED, Reason.TIME_OVER}
        events.append(Event(type="Normal" if ok else "Warning", reason=reason, message=told))
    events += budget_warnings(before.cost, status.cost)
    events += saves_events(before.saves, status.saves)
    upkeep = status.upkeep
    if upkeep is not None and upkeep.state != "Requested" and upkeep != before.upkeep:
        events.append(_of_upkeep(status, upkeep))
    if (before.phase, before.reason) != (status.phase, status.reason):
        reason = known_reason(status.reason, Reason.ATTEMPT_RUNNING)
        bad = status.phase in _BAD or reason in _BAD_REASONS
        events.append(
            Event(type="Warning" if bad else "Normal", reason=reason, message=status.message)
        )
    return tuple(events)


def _of_upkeep(status: TrainingRunStatus, upkeep: Upkeep) -> Event:
    done = upkeep.state == "Done"
    reason = Reason.CHECKPOINTS_TENDED if done else Reason.CHECKPOINTS_NOT_TENDED
    # Another attempt may be on record by now, which makes again what this one found.
    about = (each for each in status.attempts if is_about(upkeep, each))
    if done and any(each.final_checkpoint == "Broken" for each in about):
        reason = Reason.FINAL_CHECKPOINT_BROKEN
    bad = bool(upkeep.broken_steps) or not done
    return Event(
        type="Warning" if bad else "Normal",
        reason=reason,
        message=f"{upkeep.task}: {upkeep.message}",
    )
