"""The search for a place as it stands: since when, until when, and which places that were said to be free took nothing in.

A place that took nothing in is left alone for placement.retryIntervalSeconds, counted from when it was tried; others are tried
meanwhile. All of it follows from the status, so that a search goes on over crashes, and no try makes it longer.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, Place
from lightcompute.core.facts import Facts
from lightcompute.core.retry import NOT_HONOURED
from lightcompute.core.snapshot import Snapshot


def search_end(facts: Facts) -> datetime:
    """When the search ends without a place, preRunningDeadlineSeconds after it began."""
    began = facts.status.placement.waiting_since or facts.now
    return began + timedelta(seconds=facts.run.spec.placement.pre_running_deadline_seconds)


def retry_interval(facts: Facts) -> timedelta:
    """Time from one try of a place to the next, and between two rounds over all places."""
    return timedelta(seconds=facts.run.spec.placement.retry_interval_seconds)


def round_is_due(facts: Facts) -> bool:
    """Whether a search begins, or all places are to be looked at again."""
    known = facts.status.placement
    if known.waiting_since is None or known.round_time is None:
        return True
    return facts.now >= known.round_time + retry_interval(facts)


def next_round(facts: Facts) -> datetime:
    """When places are looked at again at the latest: all of them, or one that took nothing in."""
    began = facts.status.placement.round_time or facts.now
    due = began + retry_interval(facts)
    return min(due, next_try(facts) or due)


def tried_in_vain(facts: Facts, place: Place) -> Attempt | None:
    """The newest attempt of this search that `place` took not in; None where there is none."""
    tries = (attempt for attempt in _vain_tries(facts) if attempt.place == place)
    return max(tries, key=lambda attempt: attempt.number, default=None)


def next_try(facts: Facts) -> datetime | None:
    """When the first of the places that took nothing in may be tried again; None where none has to wait for that."""
    times = (retry_time(facts, attempt) for attempt in _vain_tries(facts))
    return min((time for time in times if time > facts.now), default=None)


def retry_time(facts: Facts, attempt: Attempt) -> datetime:
    """When the place that took `attempt` not in may be tried again."""
    return attempt.reserved_time + retry_interval(facts)


def was_promised_in_vain(facts: Facts) -> bool:
    """Places said to be free took nothing in until the search was to end: another try would go on for ever."""
    newest, began = facts.newest, facts.status.placement.waiting_since
    if newest is None or began is None or newest.reserved_time < began:
        return False
    in_vain = took_nothing_in(newest) or newest.reason == Reason.NEVER_STARTED
    return in_vain and facts.now >= search_end(facts)


def took_nothing_in(attempt: Attempt) -> bool:
    """Whether `attempt` was given up because its place did not take it in, or let it not begin."""
    return attempt.stop_reason in NOT_HONOURED


def _vain_tries(facts: Facts) -> tuple[Attempt, ...]:
    began = facts.status.placement.waiting_since
    if began is None:
        return ()
    return tuple(
        attempt
        for attempt in facts.status.attempts
        if not attempt.is_live and took_nothing_in(attempt) and attempt.reserved_time >= began
    )


def has_other_places(snapshot: Snapshot) -> bool:
    """Whether there is more than one place: then the refusal of one is no verdict on the spec."""
    return len({offer.place for offer in snapshot.offers}) > 1
