"""Why an attempt's processes do not run yet though they were asked for, in the words of its place. Read by checks and conditions."""

from __future__ import annotations

from dataclasses import dataclass

from lightcompute.api.reasons import Reason
from lightcompute.core.facts import Facts
from lightcompute.core.snapshot import ChildState
from lightcompute.core.text import cut

MAX_WORDS = 512
"""A place may say more than a status has room for."""
_ASKED_FOR = frozenset({ChildState.PENDING, ChildState.RUNNING})


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What the live attempt waits for."""

    reason: Reason
    words: str
    """The reason, where the place names one, with what it says."""
    message: str
    """The same with attempt and place."""


def waiting(facts: Facts) -> Waiting | None:
    """What the live attempt waits for; None when it runs, or when nothing is told."""
    live, child = facts.live, facts.child
    if live is None or child is None:
        return None
    unseen = child.state is ChildState.UNKNOWN and live.start_time is None
    if child.state not in _ASKED_FOR and not unseen:
        return None
    said = cut(" ".join(child.waiting.split()), MAX_WORDS)
    words = ", ".join(part for part in (child.waiting_reason, said) if part)
    if not words:
        return None
    return Waiting(
        reason=child.waiting_reason or Reason.ATTEMPT_STARTING,
        words=words,
        message=f"attempt {live.number} waits on {live.place}: {words}",
    )
