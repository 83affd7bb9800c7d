"""What a check says when it speaks: phase, reason, message and actions, and the status that goes with them.

It is half a decision: `conclude` makes the whole one of it, the same way for every check.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, AttemptState, TrainingRunStatus
from lightcompute.api.words import Phase
from lightcompute.core.decision import Action, StopAttempt
from lightcompute.core.facts import Facts
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import ChildState
from lightcompute.core.text import clock, cut

SOON_SECONDS = 5
"""Time until the next look at something that is about to happen."""
KILL_MARGIN_SECONDS = 10
"""An attempt that is still there so long after its grace is killed once more."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check says."""

    phase: Phase
    reason: Reason
    message: str
    status: TrainingRunStatus
    actions: tuple[Action, ...] = ()
    look_again_at: datetime | None = None
    refusal: Reason | None = None
    """Why the spec is not accepted; None when it is."""


def with_attempt(status: TrainingRunStatus, attempt: Attempt) -> TrainingRunStatus:
    """`status` with the newest attempt replaced by `attempt`, or `attempt` added when its number is new."""
    kept = tuple(known for known in status.attempts if known.number != attempt.number)
    return revised(status, attempts=(*kept, attempt))


def stop(facts: Facts, attempt: Attempt, reason: Reason, why: str) -> Verdict:
    """The live `attempt` is asked to save and leave."""
    stopping = revised(
        attempt,
        state=AttemptState.STOPPING,
        stop_time=facts.now,
        stop_reason=reason.value,
        message=cut(why),  # what it is asked for is told until it is gone, and in its end
    )
    return await_stop(facts, stopping, reason, why)


def await_stop(facts: Facts, attempt: Attempt, reason: Reason, why: str) -> Verdict:
    """The Stopping `attempt` is waited for; asked again where that is not seen to have been done, killed when it overstays."""
    terms = facts.terms.of(attempt)
    grace = terms.grace_seconds
    patience = terms.overrun + timedelta(seconds=KILL_MARGIN_SECONDS)
    child = facts.child
    # A place that was away heard of it later than it was recorded, and its trainer has all of its grace to save.
    heard = child.stopping_time if child is not None else None
    asked = attempt.stop_time or facts.now
    kill_time = max(asked, heard or asked) + patience
    actions: tuple[Action, ...] = ()
    if child is None or not child.stopping:
        actions = (StopAttempt(attempt=attempt.number, grace_seconds=grace),)
    elif facts.now >= kill_time:
        actions = (StopAttempt(attempt=attempt.number, grace_seconds=0),)
    unseen = child is not None and child.state is ChildState.UNKNOWN
    soon = facts.now + timedelta(seconds=SOON_SECONDS)
    return Verdict(
        phase=Phase.STOPPING,
        reason=reason,
        message=f"{why}; attempt {attempt.number} was asked at {clock(attempt.stop_time or facts.now)} to save and "
        f"leave within {grace} s{' (it cannot be seen now)' if unseen else ''}",
        status=with_attempt(facts.status, attempt),
        actions=actions,
        look_again_at=soon if facts.now >= kill_time or child is None else min(kill_time, soon),
    )
