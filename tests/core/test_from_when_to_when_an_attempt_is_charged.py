"""From when an attempt holds its place, whatever it does there, to when it is confirmed gone, whoever looks and when."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from lightcompute.api.status import AttemptState, Charge, TrainingRunStatus
from lightcompute.core import ledger
from lightcompute.core.budget import LATEST_START_SECONDS
from lightcompute.core.decide import decide
from lightcompute.core.snapshot import Child, ChildState
from lightcompute.testing.builders import (
    NOON,
    RunBuilder,
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_attempt,
    an_exited_child,
    an_offer,
    at,
)

PRICE = "2.00"
OFFERS = (an_offer(PRICE, any_placement=True),)


def recorded(**parts: Any) -> RunBuilder:
    """A run with an attempt of which nothing was seen yet. It is suspended, so that no other one follows."""
    return a_run().suspended().with_attempts(an_attempt(price=PRICE, **parts))


def running(**parts: Any) -> RunBuilder:
    return a_run().suspended().with_attempts(a_running_attempt(price=PRICE, **parts))


def look(run: RunBuilder, *children: Child, now: datetime, **parts: Any) -> TrainingRunStatus:
    return decide(a_snapshot(run, *children, now=now, **parts)).status


def charged(status: TrainingRunStatus) -> list[tuple[datetime, datetime | None]]:
    return [(each.start_time, each.end_time) for each in status.attempts[0].charges]


def test_the_time_in_which_an_image_is_fetched_is_charged() -> None:
    child = a_child(start_time=at(3), began_time=at(200))
    assert charged(look(recorded(), child, now=at(300))) == [(at(3), None)]


def test_time_before_the_first_look_is_charged() -> None:
    assert charged(look(recorded(), a_child(start_time=at(3)), now=at(9000))) == [(at(3), None)]


@pytest.mark.parametrize("state", [ChildState.EXITED, ChildState.VANISHED])
def test_one_that_began_and_ended_between_two_looks_is_charged(state: ChildState) -> None:
    child = a_child(state=state, exit_code=1, start_time=at(3), end_time=at(60))
    assert charged(look(recorded(), child, now=at(90))) == [(at(3), at(60))]


def test_one_that_ended_and_does_not_say_when_it_began_is_charged_from_its_record() -> None:
    child = a_child(state=ChildState.EXITED, exit_code=1, start_time=None, end_time=at(60))
    assert charged(look(recorded(), child, now=at(90))) == [(NOON, at(60))]


def test_one_that_held_no_place_costs_nothing() -> None:
    child = a_child(state=ChildState.VANISHED, start_time=None)
    assert charged(look(recorded(), child, now=at(90))) == []


def test_the_time_of_grace_is_charged() -> None:
    run = running(state=AttemptState.STOPPING, stop_time=at(60))
    assert charged(look(run, an_exited_child(code=13, seconds=88), now=at(90))) == [(NOON, at(88))]
    still = a_child(stopping=True)
    assert charged(look(run, still, now=at(75))) == [(NOON, None)]


def test_nothing_is_charged_after_the_end_however_late_it_is_seen() -> None:
    assert charged(look(running(), an_exited_child(seconds=60), now=at(9000))) == [(NOON, at(60))]


def test_an_end_takes_nothing_off_what_was_told() -> None:
    told = look(running(), a_child(), now=at(100))
    assert told.cost.spent_usd == 55_556
    run = a_run().suspended().with_status(told)
    ended = look(run, an_exited_child(seconds=60), now=at(110))
    assert charged(ended) == [(NOON, at(100))]
    assert ended.cost.spent_usd == 55_556


def test_what_cannot_be_seen_is_charged_from_look_to_look() -> None:
    unseen = a_child(state=ChildState.UNKNOWN)
    first = look(running(), unseen, now=at(900))
    assert charged(first) == [(NOON, None)]
    second = look(a_run().suspended().with_status(first), unseen, now=at(1800))
    assert charged(second) == [(NOON, None)]
    assert second.cost.spent_usd == 1_000_000


def test_one_that_may_have_run_where_nobody_saw_it_is_charged_as_if_it_had() -> None:
    unseen = a_child(state=ChildState.UNKNOWN, start_time=None)
    run = recorded(deadline_seconds=100)
    # It may have been created late, and may have taken all of its grace; but it was not there for longer than that.
    longest = 100 + 30 + 1
    gone = LATEST_START_SECONDS + longest
    assert look(run, unseen, now=at(gone - 1)).attempts[0].is_live
    assert charged(look(run, unseen, now=at(gone))) == [(at(gone - longest), at(gone))]


def test_one_that_may_have_run_where_nobody_saw_it_is_not_charged_more_than_its_cap() -> None:
    unseen = a_child(state=ChildState.UNKNOWN, start_time=None)
    started = decide(a_snapshot(a_run().limited_to("0.10"), offers=OFFERS)).status
    run = a_run().limited_to("0.10").with_status(started)
    cost = look(run, unseen, now=at(9000), offers=()).cost
    assert 99_000 < cost.spent_usd <= 100_000


def test_a_new_price_under_a_clock_that_went_back_takes_nothing_off_what_was_told() -> None:
    told = look(running(), a_child(), now=at(600))
    dearer = (an_offer("3.00", any_placement=True),)
    run = a_run().suspended().with_status(told)
    changed = look(run, a_child(), now=at(100), offers=dearer)
    assert charged(changed) == [(NOON, at(600)), (at(600), None)]
    assert changed.cost.spent_usd == told.cost.spent_usd


@pytest.mark.parametrize(("price", "from_seconds"), [("1.00", 605), ("3.00", 595)])
def test_as_far_as_clocks_may_differ_the_dearer_price_is_charged(
    price: str, from_seconds: int
) -> None:
    """The start is told by a clock of the place, and the price by ours."""
    offers = (an_offer(price, any_placement=True),)
    changed = look(running(), a_child(), now=at(600), offers=offers, clock_skew_seconds=5)
    assert charged(changed) == [(NOON, at(from_seconds)), (at(from_seconds), None)]


def test_a_price_that_fell_and_rose_while_clocks_may_differ_is_charged_beside_the_first() -> None:
    skew = timedelta(seconds=5)
    attempt = ledger.repriced(a_running_attempt(price=PRICE), at(600), 1_000_000, skew)
    attempt = ledger.repriced(attempt, at(602), 9_000_000, skew)
    assert [(each.start_time, each.end_time) for each in attempt.charges] == [
        (NOON, at(605)),
        (at(605), at(605)),
        (at(597), None),
    ]


def test_a_new_price_before_the_start_holds_from_the_start() -> None:
    attempt = ledger.repriced(a_running_attempt(price=PRICE), at(-90), 3_000_000)
    assert attempt.charges[-1] == Charge(start_time=NOON, rate_per_hour_usd=3_000_000)
    assert ledger.attempt_cost(attempt, at(3600)) == 3_000_000


@pytest.mark.parametrize("price", ["1.00", "3.00"])
def test_a_price_is_charged_whether_it_rose_or_fell(price: str) -> None:
    status = look(running(), a_child(), now=at(60), offers=(an_offer(price, any_placement=True),))
    assert charged(status) == [(NOON, at(60)), (at(60), None)]


def test_the_ledger_of_a_live_attempt_goes_on_from_look_to_look() -> None:
    dearer = {"offers": (an_offer("3.00", any_placement=True),)}
    changed = look(running(), a_child(), now=at(60), **dearer)
    later = look(a_run().suspended().with_status(changed), a_child(), now=at(90), **dearer)
    assert later.attempts[0].charges == changed.attempts[0].charges
