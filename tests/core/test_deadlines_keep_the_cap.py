"""Which deadline an attempt is given, when it moves, and what is told as reserved for it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lightcompute.api.money import charge, format_usd
from lightcompute.api.reasons import Reason
from lightcompute.core import budget
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, RenewDeadline, StartAttempt, StopAttempt
from lightcompute.core.snapshot import ChildState
from lightcompute.testing.builders import (
    RunBuilder,
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_attempt,
    an_ended_attempt,
    an_offer,
    at,
)

TERMS = budget.Terms(grace_seconds=30)
PRICE, RATE = "3.60", 3_600_000
"""A tenth of a cent a second: nothing is rounded."""
OFFERS = (an_offer(PRICE, any_placement=True),)
# 90 s are paid for; 30 s of grace and 1 s of granularity are held back.
NINE_CENTS, PAID_SECONDS = "0.09", 59


def new_deadline(run: RunBuilder) -> int | None:
    built = run.build()
    return budget.new_deadline(built, built.status, rate=RATE, now=at(9000), terms=TERMS)


def start_of(decision: Decision) -> StartAttempt:
    (start,) = [action for action in decision.actions if isinstance(action, StartAttempt)]
    return start


def test_the_difference_of_clocks_at_a_place_is_held_back() -> None:
    run = a_run().limited_to(NINE_CENTS)
    start = start_of(decide(a_snapshot(run, offers=OFFERS, clock_skew_seconds=5)))
    assert start.deadline_seconds == PAID_SECONDS - 5


def test_a_new_attempt_has_what_those_before_it_left() -> None:
    before = an_ended_attempt(1, seconds=60, price=PRICE)
    assert new_deadline(a_run().limited_to(NINE_CENTS)) == PAID_SECONDS
    assert new_deadline(a_run().limited_to("0.15").with_attempts(before)) == PAID_SECONDS
    assert new_deadline(a_run().limited_to(NINE_CENTS).with_attempts(before)) == 0


def test_active_time_of_earlier_attempts_is_gone() -> None:
    run = a_run().with_spec(activeDeadlineSeconds=100)
    assert new_deadline(run.with_attempts(an_ended_attempt(1, seconds=60))) == 40
    assert new_deadline(run.with_attempts(an_ended_attempt(1, seconds=160))) == 0


@pytest.mark.parametrize(("active", "deadline"), [(20, 20), (5000, PAID_SECONDS)])
def test_of_cap_and_active_deadline_the_earlier_holds(active: int, deadline: int) -> None:
    run = a_run().limited_to(NINE_CENTS).with_spec(activeDeadlineSeconds=active)
    assert new_deadline(run) == deadline
    assert start_of(decide(a_snapshot(run, offers=OFFERS))).deadline_seconds == deadline
    live = a_running_attempt(price=PRICE, deadline_seconds=9000)
    renewed = decide(a_snapshot(run.with_attempts(live), a_child(deadline_seconds=9000), now=at(5)))
    assert renewed.actions == (RenewDeadline(attempt=1, deadline_seconds=deadline),)


def test_the_trainer_leaves_a_little_before_its_place_would_end_it() -> None:
    start = start_of(decide(a_snapshot(a_run().limited_to(NINE_CENTS), offers=OFFERS)))
    assert start.stop_after_seconds == PAID_SECONDS - budget.STOP_EARLY_SECONDS


def test_a_cap_that_is_lowered_before_the_start_is_told_to_the_trainer_too() -> None:
    recorded = decide(a_snapshot(a_run().limited_to("3.60"), offers=OFFERS)).status
    lowered = a_run().limited_to(NINE_CENTS).with_status(recorded)
    start = start_of(decide(a_snapshot(lowered, offers=OFFERS, now=at(1))))
    assert (start.deadline_seconds, start.stop_after_seconds) == (PAID_SECONDS, PAID_SECONDS - 5)


def test_what_a_trainer_was_told_stays_on_record_when_its_deadline_moves() -> None:
    live = an_attempt(price=PRICE, deadline_seconds=3569, stop_after_seconds=3564)
    run = a_run().limited_to(NINE_CENTS).with_attempts(live)
    child = a_child(deadline_seconds=PAID_SECONDS)
    moved = decide(a_snapshot(run, child, now=at(1))).status.attempts[0]
    assert (moved.deadline_seconds, moved.stop_after_seconds) == (PAID_SECONDS, 3564)


def test_an_attempt_that_may_not_run_any_more_is_not_started() -> None:
    recorded = decide(a_snapshot(a_run().limited_to("3.60"), offers=OFFERS)).status
    lowered = a_run().limited_to("0.01").with_status(recorded)
    decision = decide(a_snapshot(lowered, offers=OFFERS, now=at(1)))
    assert decision.reason == Reason.BUDGET_EXHAUSTED
    assert not [each for each in decision.actions if isinstance(each, StartAttempt)]


def test_a_cap_that_a_live_attempt_did_not_have_gives_it_a_deadline() -> None:
    run = a_run().limited_to(NINE_CENTS).with_attempts(a_running_attempt(price=PRICE))
    decision = decide(a_snapshot(run, a_child(), now=at(5)))
    assert decision.actions == (RenewDeadline(attempt=1, deadline_seconds=PAID_SECONDS),)
    told = decide(a_snapshot(run, a_child(deadline_seconds=PAID_SECONDS), now=at(6)))
    assert told.status.attempts[0].deadline_seconds == PAID_SECONDS
    assert told.actions == ()


def test_a_deadline_that_could_not_be_moved_is_told_until_it_is() -> None:
    run = a_run().limited_to(NINE_CENTS).with_attempts(a_running_attempt(price=PRICE))
    fault = "failed calling webhook"
    refused = decide(a_snapshot(run, a_child(deadline_fault=fault), now=at(5)))
    assert f"its deadline could not be moved and is tried again: {fault}" in refused.message
    assert refused.actions == (RenewDeadline(attempt=1, deadline_seconds=PAID_SECONDS),)
    kept = a_child(deadline_seconds=PAID_SECONDS, deadline_fault=fault)
    assert fault not in decide(a_snapshot(run, kept, now=at(6))).message


def test_a_cap_that_is_taken_away_takes_the_deadline_away() -> None:
    live = a_running_attempt(price=PRICE, deadline_seconds=PAID_SECONDS)
    run = a_run().with_attempts(live)
    decision = decide(a_snapshot(run, a_child(deadline_seconds=PAID_SECONDS), now=at(5)))
    assert decision.actions == (RenewDeadline(attempt=1, deadline_seconds=None),)
    assert decision.status.attempts[0].deadline_seconds is None
    assert decide(a_snapshot(run.with_status(decision.status), a_child(), now=at(6))).actions == ()


def test_a_cap_that_was_lowered_is_told_to_the_place() -> None:
    live = a_running_attempt(price=PRICE, deadline_seconds=3569)
    run = a_run().limited_to(NINE_CENTS).with_attempts(live)
    decision = decide(a_snapshot(run, a_child(deadline_seconds=3569), now=at(5)))
    assert decision.actions == (RenewDeadline(attempt=1, deadline_seconds=PAID_SECONDS),)


def test_a_place_that_was_told_is_told_again_until_it_has_it() -> None:
    live = a_running_attempt(price=PRICE, deadline_seconds=PAID_SECONDS)
    run = a_run().limited_to(NINE_CENTS).with_attempts(live)
    renewal = (RenewDeadline(attempt=1, deadline_seconds=PAID_SECONDS),)
    for kept, actions in ((3569, renewal), (5, renewal), (PAID_SECONDS, ())):
        decision = decide(a_snapshot(run, a_child(deadline_seconds=kept), now=at(5)))
        assert decision.actions == actions


@pytest.mark.parametrize("is_seen", [True, False], ids=["waits", "is-not-seen"])
def test_a_price_that_rises_before_the_start_brings_the_whole_deadline_forward(
    *, is_seen: bool
) -> None:
    started = decide(a_snapshot(a_run().limited_to("0.18"), offers=OFFERS)).status
    run = a_run().limited_to("0.18").with_status(started)
    waits = a_child(
        state=ChildState.PENDING,
        start_time=None,
        deadline_seconds=started.attempts[0].deadline_seconds,
    )
    dearer = (an_offer("7.20", any_placement=True),)
    decision = decide(a_snapshot(run, *[waits] * is_seen, now=at(5), offers=dearer))
    assert decision.status.attempts[0].rate_per_hour_usd == 7_200_000
    action = decision.actions[-1]
    assert isinstance(action, RenewDeadline if is_seen else StartAttempt)
    assert action.deadline_seconds == PAID_SECONDS


def test_what_has_nothing_left_leaves_at_once_though_its_price_fell() -> None:
    """The lower price counts from a moment that is still to come, as clocks may differ."""
    live = a_running_attempt(price=PRICE, deadline_seconds=3569)
    run = a_run().limited_to("0.09").with_attempts(live)
    cheaper = (an_offer("1.80", any_placement=True),)
    child = a_child(deadline_seconds=3569)
    decision = decide(a_snapshot(run, child, now=at(80), offers=cheaper, clock_skew_seconds=10))
    assert decision.reason == Reason.BUDGET_EXHAUSTED
    assert decision.actions == (StopAttempt(attempt=1, grace_seconds=30),)


def test_a_dearer_price_brings_the_deadline_forward_by_what_it_takes() -> None:
    live = a_running_attempt(price=PRICE, deadline_seconds=3569)
    run = a_run().limited_to("3.60").with_attempts(live)
    dearer = (an_offer("7.20", any_placement=True),)
    decision = decide(a_snapshot(run, a_child(deadline_seconds=3569), now=at(900), offers=dearer))
    # A quarter of the money is spent after a quarter of an hour; the rest is gone twice as fast.
    deadline = 900 + 1350 - 31
    assert decision.actions == (RenewDeadline(attempt=1, deadline_seconds=deadline),)
    run = run.with_status(decision.status)
    child = a_child(deadline_seconds=deadline)
    decision = decide(a_snapshot(run, child, now=at(900), offers=dearer))
    assert decision.status.attempts[0].deadline_seconds == deadline
    cost = decision.status.cost
    assert (cost.spent_usd, cost.rate_per_hour_usd) == (900_000, 7_200_000)
    assert cost.overshoot_bound_usd == charge(7_200_000, timedelta(seconds=31))
    assert cost.spent_usd + cost.reserved_usd == 3_600_000


def test_what_a_recorded_attempt_may_cost_is_reserved() -> None:
    status = decide(a_snapshot(a_run().limited_to(NINE_CENTS), offers=OFFERS)).status
    worst = charge(RATE, timedelta(seconds=PAID_SECONDS + 30 + 1))
    assert status.cost.reserved_usd == worst


def test_without_a_cap_the_end_of_a_live_attempt_is_reserved() -> None:
    run = a_run().with_attempts(a_running_attempt(price=PRICE))
    cost = decide(a_snapshot(run, a_child(), now=at(900))).status.cost
    assert cost.spent_usd == 900_000
    assert cost.reserved_usd == charge(RATE, timedelta(seconds=31))


def test_after_a_crash_it_is_started_with_the_deadline_on_record() -> None:
    first = decide(a_snapshot(a_run().limited_to(NINE_CENTS), offers=OFFERS))
    run = a_run().limited_to(NINE_CENTS).with_status(first.status)
    again = decide(a_snapshot(run, offers=OFFERS, now=at(5)))
    assert start_of(again) == start_of(first)
    assert start_of(again).deadline_seconds == PAID_SECONDS


def test_the_rest_is_not_spent_on_an_attempt_that_would_leave_at_once() -> None:
    """The last one needed 55 s of its 95 to save: 30 s beyond that are asked for."""
    last = an_ended_attempt(
        1,
        seconds=40,
        price=PRICE,
        reason=Reason.TIME_OVER.value,
        counts=False,
        fruitful=True,
        deadline_seconds=95,
        stop_after_seconds=90,
    )
    spent = charge(RATE, timedelta(seconds=40))

    def decided(seconds: int) -> Decision:
        cap = format_usd(spent + charge(RATE, timedelta(seconds=seconds + 31)))
        run = a_run().limited_to(cap).with_attempts(last)
        return decide(a_snapshot(run, offers=OFFERS, now=at(500)))

    assert start_of(decided(85)).attempt == 2
    assert decided(84).reason == Reason.BUDGET_EXHAUSTED
