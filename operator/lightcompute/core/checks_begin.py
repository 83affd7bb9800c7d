"""Checks about a live attempt that has not begun: started where nothing of it is seen, given up where it will not begin.

Waiting for a place costs nothing but time; waiting at a place, for an image or a Secret, is charged.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt
from lightcompute.api.words import Phase
from lightcompute.core.budget import REQUEST_ANEW_SECONDS
from lightcompute.core.checks_end import releases
from lightcompute.core.decision import Action, RenewDeadline, StartAttempt
from lightcompute.core.facts import Facts
from lightcompute.core.placement import look_for_place
from lightcompute.core.revise import revised
from lightcompute.core.search import search_end
from lightcompute.core.snapshot import ChildState
from lightcompute.core.verdict import SOON_SECONDS, Verdict, stop, with_attempt
from lightcompute.core.waiting import Waiting, waiting

UNSCHEDULED_SECONDS = 120
"""An attempt whose processes hold no place so long after they were asked for is given up, and places are looked at again."""
CANNOT_BEGIN_SECONDS = 180
"""An image that cannot be fetched, or processes that are refused, may be mended so long."""
ASK_SECONDS = 10
"""So often an attempt that does not begin is looked at until its place says why: within 30 s of `apply` a person is told."""

_CANNOT_BEGIN = frozenset({Reason.IMAGE_UNAVAILABLE, Reason.POD_REFUSED})


def an_attempt_that_cannot_begin_is_given_up(facts: Facts) -> Verdict | None:
    """Its image cannot be fetched, or its place refuses its processes: another place is tried, and what waited there was paid for."""
    live, waits = facts.live, waiting(facts)
    if live is None or waits is None or waits.reason not in _CANNOT_BEGIN:
        return None
    if facts.now < begin_due(facts, live):
        return None
    told = f"attempt {live.number} did not begin on {live.place} within {CANNOT_BEGIN_SECONDS} s"
    return stop(facts, live, waits.reason, f"{told}: {waits.words}")


def an_attempt_that_finds_no_place_is_given_up(facts: Facts) -> Verdict | None:
    """Its processes exist, but the place does not take them in."""
    live, child, waits = facts.live, facts.child, waiting(facts)
    if live is None or child is None or child.state is not ChildState.PENDING:
        return None
    if live.start_time is not None:
        return None  # it was taken in
    if waits is not None and waits.reason in {*_CANNOT_BEGIN, Reason.NOT_ADMITTED}:
        return None
    if facts.now < _placement_due(facts, live):
        return None
    told = f"{live.place} did not take attempt {live.number} in"
    words = f": {waits.words}" if waits is not None else f" within {UNSCHEDULED_SECONDS} s"
    return stop(facts, live, Reason.NO_CAPACITY, f"{told}{words}")


def an_attempt_that_is_not_admitted_is_given_up(facts: Facts) -> Verdict | None:
    """Its queue lets it not in. It keeps its turn there until another place would take it, or the search ends."""
    live, waits = facts.live, waiting(facts)
    if live is None or waits is None or waits.reason is not Reason.NOT_ADMITTED:
        return None
    if live.start_time is not None or facts.now < _admission_due(facts, live):
        return None
    told = f"the queue {live.queue_name} did not admit attempt {live.number} on {live.place}"
    seconds = int((facts.now - live.reserved_time).total_seconds())
    return stop(facts, live, Reason.NOT_ADMITTED, f"{told} within {seconds} s")


def a_recorded_attempt_is_started(facts: Facts) -> Verdict | None:
    """Recorded and not seen: it was not started yet, or whoever was to start it died; it is started, again if need be."""
    live, waits = facts.live, waiting(facts)
    if live is None or live.start_time is not None:
        return None
    if facts.snapshot.faults and not facts.seen:  # recorded under a spec that is no more
        return stop(facts, live, Reason.SPEC_REFUSED, " ".join(facts.snapshot.faults))
    offers = facts.snapshot.offers
    if not facts.seen and offers and all(offer.place != live.place for offer in offers):
        return stop(facts, live, Reason.PLACE_REMOVED, f"{live.place} is not offered any more")
    start = StartAttempt(
        attempt=live.number,
        place=live.place,
        deadline_seconds=facts.deadline_seconds,
        stop_after_seconds=live.stop_after_seconds,
        grace_seconds=facts.terms.of(live).grace_seconds,
        queue_name=live.queue_name,
    )
    actions: tuple[Action, ...] = (*releases(facts), start)
    if facts.seen:
        actions = renewal(facts, live)
    else:
        live = _requested(live, facts.now)
    told = f"attempt {live.number} is being started on {live.place}"
    queued = waits is not None and waits.reason is Reason.NOT_ADMITTED
    return Verdict(
        phase=Phase.PENDING if queued else Phase.STARTING,
        reason=waits.reason if waits is not None else Reason.ATTEMPT_STARTING,
        message=waits.message if waits is not None else told,
        status=with_attempt(facts.status, live),
        actions=actions,
        look_again_at=_next_look(facts, live, waits),
    )


def _requested(live: Attempt, now: datetime) -> Attempt:
    """`live` with the request for it on record, where that comes late: whoever loses sight of it then knows for how long it may be there."""
    known = live.requested_time or live.reserved_time
    if now < known + timedelta(seconds=REQUEST_ANEW_SECONDS):
        return live
    return revised(live, requested_time=now)


def _next_look(facts: Facts, live: Attempt, waits: Waiting | None) -> datetime:
    """Soon, until something of it is seen; then a watch tells what changes, and a look is due when patience ends.

    Of what keeps a place from making its processes at all, no watch tells: that is asked for.
    """
    if not facts.seen:
        return facts.now + timedelta(seconds=SOON_SECONDS)
    if waits is not None and waits.reason is Reason.NOT_ADMITTED:
        dues = [live.reserved_time + timedelta(seconds=UNSCHEDULED_SECONDS), search_end(facts)]
    else:
        dues = [_placement_due(facts, live), begin_due(facts, live)]
    if waits is None or waits.reason is Reason.ATTEMPT_STARTING:
        dues.append(facts.now + timedelta(seconds=ASK_SECONDS))
    ahead = [due for due in dues if due > facts.now]
    return min(ahead, default=facts.now + timedelta(seconds=SOON_SECONDS))


def begin_due(facts: Facts, live: Attempt) -> datetime:
    """Until when what keeps `live` from beginning may be mended; no try goes on beyond the end of the search that it began in."""
    due = (live.start_time or _asked_time(facts, live)) + timedelta(seconds=CANNOT_BEGIN_SECONDS)
    end = search_end(facts)
    return min(due, end) if live.reserved_time < end else due


def _placement_due(facts: Facts, live: Attempt) -> datetime:
    """Until when the place may take `live` in; no try goes on beyond the end of the search that it began in."""
    due = _asked_time(facts, live) + timedelta(seconds=UNSCHEDULED_SECONDS)
    end = search_end(facts)
    return min(due, end) if live.reserved_time < end else due


def _admission_due(facts: Facts, live: Attempt) -> datetime:
    """Until when its queue may let `live` in: a turn in it is given up for a better prospect only."""
    due, end = live.reserved_time + timedelta(seconds=UNSCHEDULED_SECONDS), search_end(facts)
    others = any(place != live.place for place in look_for_place(facts).takers)
    return min(due, end) if others else end


def _asked_time(facts: Facts, live: Attempt) -> datetime:
    """When its place heard of `live`: one that was away, or a queue, may let that be long after it was recorded."""
    asked = facts.child.asked_time if facts.child is not None else None
    return asked or live.reserved_time


def renewal(facts: Facts, live: Attempt) -> tuple[Action, ...]:
    """The deadline that `live` is to have, where its place has another."""
    child = facts.child
    if child is None or child.state not in {ChildState.PENDING, ChildState.RUNNING}:
        return ()
    if not child.keeps_deadlines or child.deadline_seconds == facts.deadline_seconds:
        return ()
    return (RenewDeadline(attempt=live.number, deadline_seconds=facts.deadline_seconds),)
