"""A place that refuses an attempt for good: the next place is tried, and only where there is none the spec counts as refused."""

from __future__ import annotations

from typing import Any

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Place
from lightcompute.api.words import Phase
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, StartAttempt
from lightcompute.core.refusal import refused
from lightcompute.testing.builders import a_run, a_snapshot, an_offer, at

ORD = Place(cluster="ord", region="US-ORD1", pool="a", gpu_type="L40S")
EUR = Place(cluster="eur", region="EU-FRA1", pool="a", gpu_type="L40S")
ONE = (an_offer("1.00", place=ORD),)
BOTH = (*ONE, an_offer("2.00", place=EUR))


def taken_back(offers: Any) -> Decision:
    """The first place refused the first attempt."""
    reserved = decide(a_snapshot(a_run(), offers=offers, now=at(0)))
    (start,) = (action for action in reserved.actions if isinstance(action, StartAttempt))
    run = a_run().with_status(reserved.status)
    decision = refused(a_snapshot(run, offers=offers, now=at(0)), start, "a rule forbids it")
    assert decision is not None
    return decision


def next_look(decision: Decision, offers: Any) -> Decision:
    run = a_run().with_status(decision.status)
    return decide(a_snapshot(run, offers=offers, now=at(1)))


def test_where_there_is_no_other_place_nothing_starts_until_the_spec_is_changed() -> None:
    decision = taken_back(ONE)
    again = next_look(decision, ONE)
    assert (again.status.phase, again.reason) == (Phase.PENDING, Reason.START_REFUSED)
    assert again.actions == ()


def test_where_there_is_another_place_it_is_tried_at_once_and_nothing_is_counted() -> None:
    decision = taken_back(BOTH)
    assert decision.look_again_at == at(0)
    again = next_look(decision, BOTH)
    first, second = again.status.attempts
    assert (first.place, first.reason, first.counts) == (ORD, Reason.START_REFUSED, False)
    assert second.place == EUR
    assert again.status.restarts_count_towards_max == 0


def test_the_place_that_refused_is_left_alone_for_the_retry_interval() -> None:
    again = next_look(taken_back(BOTH), BOTH)
    told = {each.place: each for each in again.status.placement.candidates}
    assert told[ORD].reason == Reason.START_REFUSED
    assert "a rule forbids it" in told[ORD].message
