"""The ledger's arithmetic and the deadlines that follow from it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.money import charge
from lightcompute.api.reasons import Reason
from lightcompute.api.status import MAX_ATTEMPTS, MAX_CHARGES, AttemptState, TrainingRunStatus
from lightcompute.core import budget, ledger
from lightcompute.core.decide import decide
from lightcompute.core.revise import revised
from lightcompute.testing.builders import (
    NOON,
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
rates = st.integers(0, 100_000_000)
lengths = st.integers(0, 10_000_000)


@given(
    st.lists(st.tuples(lengths, rates), max_size=MAX_CHARGES)
    | st.lists(st.tuples(lengths, rates), min_size=MAX_CHARGES + 1, max_size=3 * MAX_CHARGES),
    st.integers(0, 10**6),
)
def test_folding_old_segments_changes_no_sum(changes: list[tuple[int, int]], after: int) -> None:
    attempt = ledger.opened(an_attempt(price="1.00"), NOON)
    now, expected, rate = NOON, 0, 1_000_000
    for length, new_rate in changes:
        if new_rate == rate:
            continue
        then = now + timedelta(microseconds=length)
        expected += charge(rate, then - now)
        attempt, now, rate = ledger.repriced(attempt, then, new_rate), then, new_rate
    end = now + timedelta(seconds=after)
    expected += charge(rate, end - now)
    assert ledger.attempt_cost(attempt, end) == expected
    assert ledger.attempt_held(attempt, end) == end - NOON
    assert len(attempt.charges) <= MAX_CHARGES


some_or_too_many = st.lists(
    st.tuples(lengths, rates), min_size=1, max_size=MAX_ATTEMPTS
) | st.lists(st.tuples(lengths, rates), min_size=MAX_ATTEMPTS + 1, max_size=3 * MAX_ATTEMPTS)


@given(some_or_too_many)
def test_folding_old_attempts_changes_no_sum(lives: list[tuple[int, int]]) -> None:
    status, expected = TrainingRunStatus(), 0
    for number, (length, rate) in enumerate(lives, start=1):
        attempt = revised(an_attempt(number), rate_per_hour_usd=rate)
        end = NOON + timedelta(microseconds=length)
        attempt = ledger.closed(ledger.opened(attempt, NOON), end)
        attempt = revised(attempt, state=AttemptState.ENDED)
        expected += charge(rate, end - NOON)
        status = ledger.folded_attempts(revised(status, attempts=(*status.attempts, attempt)))
    assert ledger.total_cost(status, at(10**6)) == expected
    held = timedelta(microseconds=sum(length for length, _ in lives))
    assert ledger.total_held(status, at(10**6)) == held
    assert len(status.attempts) + status.earlier_attempts.count == len(lives)
    assert len(status.attempts) <= MAX_ATTEMPTS


def test_folding_an_attempt_keeps_what_was_folded_of_it() -> None:
    attempt = ledger.opened(an_attempt(price="3.60"), NOON)
    for number in range(1, MAX_CHARGES + 5):
        attempt = ledger.repriced(attempt, at(10 * number), 3_600_000 + number % 2)
    first = revised(ledger.closed(attempt, at(1000)), state=AttemptState.ENDED)
    assert first.folded.count == 5
    others = [an_ended_attempt(number, seconds=0) for number in range(2, MAX_ATTEMPTS + 2)]
    status = ledger.folded_attempts(revised(TrainingRunStatus(), attempts=(first, *others)))
    assert status.earlier_attempts.count == 1
    assert status.earlier_attempts.charges.count == MAX_CHARGES + 5
    assert ledger.total_cost(status, at(1000)) == ledger.attempt_cost(first, at(1000))
    assert ledger.total_held(status, at(1000)) == timedelta(seconds=1000)


def test_a_closed_segment_is_never_charged_on() -> None:
    attempt = ledger.closed(a_running_attempt(price="2.00"), at(90))
    assert ledger.attempt_cost(attempt, at(90)) == ledger.attempt_cost(attempt, at(9000)) == 50_000
    assert ledger.closed(attempt, at(10)) == attempt


def test_a_segment_does_not_end_before_it_starts() -> None:
    attempt = ledger.closed(a_running_attempt(price="2.00"), at(-90))
    assert attempt.charges[0].end_time == NOON
    assert ledger.attempt_cost(attempt, at(90)) == 0


@given(
    limit=st.integers(1, 10**9),
    rate=st.integers(1, 10**8),
    grace=st.integers(0, 600),
    skew=st.integers(0, 60),
)
def test_an_attempt_that_dies_as_late_as_it_may_costs_no_more_than_what_was_left(
    limit: int, rate: int, grace: int, skew: int
) -> None:
    terms = budget.Terms(grace_seconds=grace, clock_skew_seconds=skew)
    seconds = budget.paid_seconds(limit, rate, terms)
    assert seconds is not None
    if seconds > 0:
        assert charge(rate, timedelta(seconds=seconds) + terms.overrun) <= limit
    if seconds < budget.LONGEST_SECONDS:
        longer = timedelta(seconds=seconds + 1) + terms.overrun
        # One second more would not be paid for, but for the rounding of two sums.
        assert charge(rate, longer) >= limit - 1


def test_the_bound_on_overshoot_is_rate_times_grace_skew_and_granularity() -> None:
    terms = budget.Terms(grace_seconds=30, clock_skew_seconds=5)
    assert terms.reserve(3_600_000) == 36_000


def test_a_price_of_next_to_nothing_does_not_reach_beyond_the_calendar() -> None:
    offer = an_offer("0.000001", any_placement=True)
    run = a_run().limited_to("1000000")
    recorded = decide(a_snapshot(run, offers=(offer,)))
    running = decide(a_snapshot(run.with_status(recorded.status), a_child(), offers=(offer,)))
    assert running.status.attempts[0].deadline_seconds == budget.LONGEST_SECONDS


def test_what_costs_nothing_has_no_deadline() -> None:
    run = a_run().limited_to("1.00").build()
    assert budget.new_deadline(run, run.status, rate=0, now=NOON, terms=TERMS) is None


def test_what_costs_nothing_is_stopped_all_the_same_when_the_cap_is_below_what_is_spent() -> None:
    assert budget.paid_seconds(0, 0, TERMS) is None
    assert budget.paid_seconds(-1, 0, TERMS) == 0


def test_a_deadline_after_a_change_of_price_counts_from_the_start_of_the_attempt() -> None:
    live = ledger.repriced(a_running_attempt(price="1.00"), at(600), 2_000_000)
    run = a_run().limited_to("1.00").with_attempts(live).build()
    # 600 s at 1 dollar an hour are spent, rounded up; the rest is paid at 2 dollars an hour.
    left = 1_000_000 - 166_667
    allowed = budget.paid_seconds(left, 2_000_000, TERMS)
    assert allowed is not None
    assert budget.renewed_deadline(run, run.status, live, TERMS) == 600 + allowed


def test_spent_and_reserved_are_together_the_worst_that_a_live_attempt_can_cost() -> None:
    live = a_running_attempt(price="2.00", deadline_seconds=58)
    run = a_run().limited_to("0.05").with_attempts(live)
    cost = decide(a_snapshot(run, a_child(), now=at(10))).status.cost
    worst = charge(2_000_000, timedelta(seconds=58 + 30 + 1))
    assert cost.spent_usd == charge(2_000_000, timedelta(seconds=10))
    assert cost.spent_usd + cost.reserved_usd == worst
    assert cost.overshoot_bound_usd == charge(2_000_000, timedelta(seconds=31))


def test_the_active_deadline_bounds_an_attempt_too() -> None:
    run = a_run().limited_to("1.00").with_spec(activeDeadlineSeconds=100).build()
    assert budget.new_deadline(run, run.status, rate=1, now=NOON, terms=TERMS) == 100


@given(st.integers(0, 10**5), st.integers(1, 10**8), st.integers(1, 10**9))
def test_a_renewed_deadline_does_not_depend_on_when_it_is_computed(
    spent_seconds: int, rate: int, limit: int
) -> None:
    first = an_ended_attempt(1, seconds=spent_seconds, price="1.00")
    live = revised(a_running_attempt(2), rate_per_hour_usd=rate)
    live = revised(live, charges=(revised(live.charges[0], rate_per_hour_usd=rate),))
    run = a_run().limited_to("1.00").with_attempts(first, live).build()
    cap = revised(run.spec, budget=revised(run.spec.budget, limit_usd=limit))  # type: ignore[type-var]
    run = revised(run, spec=cap)
    deadline = budget.renewed_deadline(run, run.status, live, TERMS)
    left = limit - ledger.attempt_cost(first, NOON)
    assert deadline == budget.paid_seconds(left, rate, TERMS)


@pytest.mark.parametrize(
    ("old", "new", "worth"),
    [
        (100, 100, False),
        (100, 99, True),
        (100, 159, False),
        (100, 160, True),
        (None, 5, True),
        (5, None, True),
        (None, None, False),
    ],
)
def test_a_deadline_moves_to_an_earlier_time_always_and_to_a_later_one_if_it_gains(
    old: int | None, new: int | None, worth: bool
) -> None:
    assert budget.worth_moving(old, new) is worth


def test_another_attempt_needs_what_the_last_one_left_unused_to_save() -> None:
    last = an_ended_attempt(
        1, seconds=40, reason=Reason.TIME_OVER.value, deadline_seconds=95, stop_after_seconds=90
    )
    assert budget.useful_seconds(last) == 30 + 55
    assert budget.useful_seconds(None) == 30
