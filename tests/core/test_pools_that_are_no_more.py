"""A pool is removed, renamed or changed under a run: what lives goes on at a stated price, and what looks for a place is told why not there."""

from __future__ import annotations

import pytest

from lightcompute.api.money import parse_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, Place
from lightcompute.api.words import Phase
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, StartAttempt, StopAttempt
from lightcompute.core.facts import establish
from lightcompute.core.placement import look_for_place
from lightcompute.core.snapshot import Child, ChildState, Offer
from lightcompute.testing.builders import (
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_attempt,
    an_ended_attempt,
    an_offer,
    at,
)

OLD = Place(cluster="iad", region="US-IAD1", pool="a", gpu_type="A100-80GB")
RENAMED = OLD.model_copy(update={"pool": "b"})
OTHER_TYPE = OLD.model_copy(update={"gpu_type": "H100-80GB"})
OTHER_REGION = OLD.model_copy(update={"region": "US-IAD2"})
OTHER_POOL = OLD.model_copy(update={"pool": "c", "gpu_type": "L40S"})

CHANGES = [
    pytest.param((an_offer("9.00", place=OTHER_POOL),), "2.00", id="removed"),
    pytest.param((an_offer("9.00", place=RENAMED),), "2.00", id="renamed"),
    pytest.param((an_offer("9.00", place=OTHER_TYPE),), "2.00", id="another type"),
    pytest.param((an_offer("9.00", place=OTHER_REGION),), "2.00", id="another region"),
    pytest.param((an_offer("9.00", place=OLD),), "9.00", id="another price"),
    pytest.param((), "2.00", id="nothing is offered at all"),
]


ALIVE = a_child(heard_until=None)
MADE = a_child(state=ChildState.PENDING, start_time=None)


def running() -> Attempt:
    return a_running_attempt(price="2.00", place=OLD)


def looked_at(
    attempt: Attempt, offers: tuple[Offer, ...], *seen: Child, seconds: float = 3600
) -> Decision:
    """The run with `attempt`, so many seconds after NOON."""
    run = a_run().with_attempts(attempt)
    return decide(a_snapshot(run, *seen, offers=offers, now=at(seconds)))


@pytest.mark.parametrize(("offers", "price"), CHANGES)
def test_what_runs_goes_on_and_is_charged_at_the_last_known_price(
    offers: tuple[Offer, ...], price: str
) -> None:
    first = looked_at(running(), offers, ALIVE)
    assert (first.status.phase, first.actions) == (Phase.RUNNING, ())
    run = a_run().with_status(first.status)
    status = decide(a_snapshot(run, ALIVE, offers=offers, now=at(7200))).status
    attempt = status.attempts[-1]
    assert (attempt.place, attempt.charges[-1].rate_per_hour_usd) == (OLD, parse_usd(price))
    # The hour before the change was told costs what it did; the one after it what the place costs now, as far as known.
    assert status.cost.spent_usd == pytest.approx(
        parse_usd("2.00") + parse_usd(price), abs=parse_usd("0.01")
    )


@pytest.mark.parametrize(("offers", "price"), CHANGES[:4])
def test_it_is_stopped_as_anywhere_else(offers: tuple[Offer, ...], price: str) -> None:
    del price
    run = a_run().stopped_by_a_person().with_attempts(running())
    decision = decide(a_snapshot(run, ALIVE, offers=offers, now=at(3600)))
    assert [type(each) for each in decision.actions] == [StopAttempt]


@pytest.mark.parametrize(("offers", "price"), CHANGES[:4])
def test_one_that_was_recorded_and_not_made_is_given_up_and_the_next_goes_where_there_is_a_pool(
    offers: tuple[Offer, ...], price: str
) -> None:
    del price
    reserved = an_attempt(price="2.00", place=OLD, reserved_time=at(0))
    stopping = looked_at(reserved, offers, seconds=2)
    assert stopping.reason == Reason.PLACE_REMOVED
    again = decide(a_snapshot(a_run().with_status(stopping.status), offers=offers, now=at(4)))
    first, second = again.status.attempts
    assert (first.reason, first.counts, first.charges) == (Reason.NEVER_STARTED, False, ())
    assert f"{OLD} is not offered any more" in first.message
    assert second.place == offers[0].place
    assert [type(each) for each in again.actions][-1:] == [StartAttempt]


@pytest.mark.parametrize(("offers", "price"), CHANGES[:4])
def test_one_that_was_made_already_is_let_begin(offers: tuple[Offer, ...], price: str) -> None:
    del price
    reserved = an_attempt(price="2.00", place=OLD, reserved_time=at(0))
    decision = looked_at(reserved, offers, MADE, seconds=2)
    assert decision.status.phase == Phase.STARTING
    assert not any(isinstance(action, StopAttempt) for action in decision.actions)


@pytest.mark.parametrize(("offers", "price"), CHANGES[:4])
def test_the_next_look_for_a_place_tells_what_became_of_the_last_one(
    offers: tuple[Offer, ...], price: str
) -> None:
    del price
    ended = an_ended_attempt(place=OLD)
    full = tuple(
        an_offer("9.00", place=each.place, unavailable=Reason.NO_CAPACITY) for each in offers
    )
    found = look_for_place(establish(a_snapshot(a_run().with_attempts(ended), offers=full)))
    told = {each.place: (each.reason, each.message) for each in found.candidates}
    assert told.keys() == {OLD, full[0].place}
    assert told[OLD] == (Reason.PLACE_REMOVED, "it is not offered any more; attempt 1 was there")
    assert (found.chosen, found.takers) == (None, ())
    assert found.reasons[Reason.PLACE_REMOVED] == 1


@pytest.mark.parametrize(
    ("offers", "attempts"),
    [
        pytest.param((an_offer("9.00", place=OLD),), (an_ended_attempt(place=OLD),), id="there"),
        pytest.param((an_offer("9.00", place=OLD),), (), id="no attempt yet"),
        pytest.param((), (an_ended_attempt(place=OLD),), id="nothing is known of any place"),
    ],
)
def test_nothing_is_called_removed_that_is_there_or_may_be(
    offers: tuple[Offer, ...], attempts: tuple[Attempt, ...]
) -> None:
    run = a_run().with_attempts(*attempts, phase=Phase.PENDING)
    found = look_for_place(establish(a_snapshot(run, offers=offers)))
    assert not found.reasons[Reason.PLACE_REMOVED]
