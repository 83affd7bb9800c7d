"""What an attempt reserves in TrainingBudgets before it starts, what a live one may use, and what waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from lightcompute.api.money import charge, parse_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, AttemptState
from lightcompute.api.words import Phase
from lightcompute.core.budget import LATEST_START_SECONDS, STOP_EARLY_SECONDS, Terms
from lightcompute.core.claim import claim_of
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, RenewDeadline, StartAttempt, StopAttempt
from lightcompute.core.period import EVER, Calendar, Span
from lightcompute.core.snapshot import Allowance
from lightcompute.testing.builders import (
    NOON,
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

PRICE, RATE = "3.60", 3_600_000
"""A tenth of a cent a second: nothing is rounded."""
OFFERS = (an_offer(PRICE, any_placement=True),)
TERMS = Terms(grace_seconds=30)
RESERVE = 31
"""Seconds of grace and granularity, which are held back."""
DAILY = Calendar(span=Span.DAY)
MIDNIGHT = datetime(2030, 1, 2, tzinfo=UTC)
TODAY = datetime(2030, 1, 1, tzinfo=UTC)


def allowance(limit: str, **parts: Any) -> Allowance:
    return Allowance(name="team", limit=parse_usd(limit), **parts)


def decided(run: RunBuilder, *allowances: Allowance, seconds: float = 0, **parts: Any) -> Decision:
    return decide(a_snapshot(run, now=at(seconds), offers=OFFERS, allowances=allowances, **parts))


def started(decision: Decision) -> tuple[StartAttempt, Attempt]:
    (start,) = (each for each in decision.actions if isinstance(each, StartAttempt))
    return start, decision.status.attempts[-1]


def test_an_attempt_reserves_all_that_its_own_limit_leaves() -> None:
    start, attempt = started(decided(a_run().limited_to("0.09"), allowance("0.09")))
    assert start.deadline_seconds == 90 - RESERVE
    assert (attempt.reserved_usd, attempt.budgets) == (90_000, ("team",))


def test_without_a_training_budget_nothing_is_reserved_in_one() -> None:
    _, attempt = started(decided(a_run().limited_to("0.09")))
    assert (attempt.reserved_usd, attempt.budgets) == (None, ())


def test_what_does_not_fit_waits_for_money_and_for_no_place() -> None:
    taken = {EVER.start: 1}
    decision = decided(a_run().limited_to("0.09"), allowance("0.09", taken=taken))
    assert (decision.status.phase, decision.reason) == (Phase.PENDING, Reason.WAITING_FOR_BUDGET)
    assert decision.actions == ()
    assert decision.status.placement.waiting_since is None
    assert [each.reason for each in decision.status.placement.candidates] == ["WaitingForBudget"]
    assert "TrainingBudget team has $0.089999 of $0.09 left" in decision.message
    assert "an attempt reserves $0.09" in decision.message


def test_it_waits_for_ever_rather_than_fail() -> None:
    run = a_run().limited_to("0.09").with_spec(placement={"preRunningDeadlineSeconds": 60})
    full = allowance("0.09", taken={EVER.start: 90_000})
    first = decided(run, full)
    later = decided(run.with_status(first.status), full, seconds=10_000)
    assert later.reason is Reason.WAITING_FOR_BUDGET
    assert later.status == first.status, "nothing is written while nothing changes"


def test_a_run_without_a_limit_says_what_it_lacks() -> None:
    decision = decided(a_run(), allowance("5.00"))
    assert decision.reason is Reason.WAITING_FOR_BUDGET
    assert "budget.limitUSD" in decision.message
    assert "reservationUSD" in decision.message


def test_a_run_whose_limit_is_above_that_of_the_budget_is_told_so() -> None:
    decision = decided(a_run().limited_to("6.00"), allowance("5.00"))
    assert "allows $5.00, and an attempt reserves $6.00" in decision.message


def test_a_reservation_is_what_one_attempt_takes_and_the_next_takes_another() -> None:
    pieces = allowance("1.00", reservation=90_000)
    start, attempt = started(decided(a_run(), pieces))
    assert (start.deadline_seconds, attempt.reserved_usd) == (59, 90_000)
    last = an_ended_attempt(
        seconds=50,
        price=PRICE,
        reason=Reason.TIME_OVER.value,
        counts=False,
        fruitful=True,
        deadline_seconds=59,
        stop_after_seconds=59 - STOP_EARLY_SECONDS,
        reserved_usd=90_000,
        budgets=("team",),
    )
    start, attempt = started(decided(a_run().with_attempts(last), pieces, seconds=60))
    assert (start.attempt, start.deadline_seconds, attempt.reserved_usd) == (2, 59, 90_000)


def test_the_last_piece_may_be_smaller_but_not_useless() -> None:
    for left, seconds in ((70_000, 39), (61_000, 30)):
        pieces = allowance("1.00", reservation=90_000, taken={EVER.start: 1_000_000 - left})
        start, attempt = started(decided(a_run(), pieces))
        assert (start.deadline_seconds, attempt.reserved_usd) == (seconds, left)
    pieces = allowance("1.00", reservation=90_000, taken={EVER.start: 1_000_000 - 60_999})
    assert decided(a_run(), pieces).reason is Reason.WAITING_FOR_BUDGET


def test_of_several_budgets_each_must_have_room() -> None:
    run = a_run().limited_to("0.09")
    assert started(decided(run, allowance("1.00"), allowance("0.09")))
    assert decided(run, allowance("1.00"), allowance("0.089")).reason is Reason.WAITING_FOR_BUDGET


def test_a_run_without_an_end_takes_all_that_is_left() -> None:
    run = a_run().limited_to("0.09")
    assert decided(run, allowance("1.00", endless="other")).reason is Reason.WAITING_FOR_BUDGET


def test_a_budget_that_cannot_be_kept_lets_nothing_start() -> None:
    decision = decided(a_run().limited_to("0.09"), allowance("1.00", fault="no time zone"))
    assert decision.reason is Reason.WAITING_FOR_BUDGET
    assert "no time zone" in decision.message


def test_what_costs_nothing_reserves_nothing() -> None:
    run = a_run()
    full = allowance("0.00")
    decision = decide(a_snapshot(run, allowances=(full,)))
    assert started(decision)[1].reserved_usd == 0


def test_each_period_pays_for_its_own_part() -> None:
    """A minute before midnight: what comes after it is the next day's."""
    run = a_run().limited_to("0.391")  # 6 minutes
    before = MIDNIGHT - timedelta(seconds=60)
    today = allowance("0.391", calendar=DAILY, taken={TODAY: 391_000 - 60_000})
    snapshot = a_snapshot(run, now=before, offers=OFFERS, allowances=(today,))
    assert started(decide(snapshot))[0].deadline_seconds == 360
    for start, left in ((MIDNIGHT, 299_999), (TODAY, 59_999)):
        taken = {TODAY: 391_000 - 60_000, start: 391_000 - left}
        short = allowance("0.391", calendar=DAILY, taken=taken)
        snapshot = a_snapshot(run, now=before, offers=OFFERS, allowances=(short,))
        assert decide(snapshot).reason is Reason.WAITING_FOR_BUDGET, start


def test_whoever_waits_looks_again_when_the_next_period_begins() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    full = allowance(
        "0.09",
        calendar=Calendar(span=Span.DAY, zone=zone),
        taken={datetime(2029, 12, 31, 18, 30, tzinfo=UTC): 90_000},
    )
    now = datetime(2030, 1, 1, 18, 29, 30, tzinfo=UTC)
    waits = decide(
        a_snapshot(a_run().limited_to("0.09"), now=now, offers=OFFERS, allowances=(full,))
    )
    # The end of the attempt falls into the next day, but its beginning finds nothing.
    assert waits.look_again_at == datetime(2030, 1, 1, 18, 30, tzinfo=UTC)
    assert "until 2030-01-01T18:30:00Z" in waits.message


def live(**parts: Any) -> RunBuilder:
    values: dict[str, Any] = {
        "price": PRICE,
        "deadline_seconds": 3569,
        "reserved_usd": 3_600_000,
        "budgets": ("team",),
    }
    return a_run().limited_to("3.60").with_attempts(a_running_attempt(**(values | parts)))


def test_a_live_attempt_keeps_what_it_reserved() -> None:
    child = a_child(deadline_seconds=3569)
    decision = decide(a_snapshot(live(), child, now=at(60), allowances=(allowance("3.60"),)))
    assert decision.actions == ()
    assert decision.status.attempts[-1].deadline_seconds == 3569


def test_a_limit_that_is_lowered_shortens_it_and_ends_it_with_its_reason() -> None:
    child = a_child(deadline_seconds=3569)
    lowered = (allowance("1.80"),)
    decision = decide(a_snapshot(live(), child, now=at(60), allowances=lowered))
    assert decision.actions == (RenewDeadline(attempt=1, deadline_seconds=1800 - RESERVE),)
    child = a_child(deadline_seconds=1800 - RESERVE)
    over = decide(a_snapshot(live(), child, now=at(1800 - RESERVE), allowances=lowered))
    assert over.reason is Reason.TRAINING_BUDGET_EXHAUSTED
    assert over.actions == (StopAttempt(attempt=1, grace_seconds=30),)
    assert "TrainingBudget team" in over.message
    gone = decide(a_snapshot(live(), child, now=at(3000), allowances=(allowance("0.00"),)))
    assert gone.reason is Reason.TRAINING_BUDGET_EXHAUSTED


def test_a_budget_that_is_gone_lets_it_run_for_its_own_limit() -> None:
    short = live(deadline_seconds=100, reserved_usd=131_000)
    child = a_child(deadline_seconds=100)
    kept = decide(a_snapshot(short, child, now=at(60), allowances=(allowance("9.00"),)))
    assert kept.status.attempts[-1].deadline_seconds == 100
    free = decide(a_snapshot(short, child, now=at(60)))
    assert free.status.attempts[-1].deadline_seconds == 3569


def test_a_budget_that_comes_gives_an_attempt_without_an_end_one() -> None:
    run = a_run().with_attempts(a_running_attempt(price=PRICE))
    decision = decide(a_snapshot(run, a_child(), now=at(60), allowances=(allowance("1.80"),)))
    assert decision.actions == (RenewDeadline(attempt=1, deadline_seconds=1800 - RESERVE),)


def test_after_a_stop_for_a_training_budget_the_run_waits_and_is_not_over() -> None:
    ended = an_ended_attempt(
        seconds=60,
        price=PRICE,
        reason=Reason.PREEMPTED.value,
        stop_reason=Reason.TRAINING_BUDGET_EXHAUSTED.value,
        counts=False,
        fruitful=True,
    )
    run = a_run().limited_to("3.60").with_attempts(ended)
    decision = decided(run, allowance("0.06"), seconds=100)
    assert (decision.status.phase, decision.reason) == (Phase.PENDING, Reason.WAITING_FOR_BUDGET)


@pytest.mark.parametrize(
    ("attempt", "spent", "promised"),
    [
        (an_ended_attempt(seconds=60, price=PRICE), 60_000, 0),
        (a_running_attempt(price=PRICE, deadline_seconds=59), 0, 90_000),
        (an_attempt(price=PRICE, deadline_seconds=59), 0, 90_000),
    ],
    ids=["ended", "running", "recorded"],
)
def test_a_claim_is_what_was_spent_and_what_may_be(
    attempt: Attempt, spent: int, promised: int
) -> None:
    status = a_run().with_attempts(attempt).status
    claim = claim_of(status, Calendar(), TERMS, now=at(70))
    assert (sum(claim.spent.values()), sum(claim.promised.values())) == (spent, promised)
    assert not claim.endless


def test_what_has_no_deadline_is_endless() -> None:
    status = a_run().with_attempts(a_running_attempt(price=PRICE)).status
    assert claim_of(status, Calendar(), TERMS, now=at(70)).endless
    free = a_run().with_attempts(a_running_attempt(price="0")).status
    assert not claim_of(free, Calendar(), TERMS, now=at(70)).endless


def test_what_may_begin_late_is_kept_in_both_periods() -> None:
    moment = MIDNIGHT - timedelta(seconds=30)
    attempt = an_attempt(price=PRICE, deadline_seconds=59, reserved_time=moment)
    claim = claim_of(a_run().with_attempts(attempt).status, DAILY, TERMS, now=moment)
    assert claim.promised == {TODAY: charge(RATE, timedelta(seconds=30)), MIDNIGHT: 90_000}
    assert LATEST_START_SECONDS > 30


def test_a_claim_over_many_periods_adds_up() -> None:
    attempt = a_running_attempt(price="1.234567", deadline_seconds=5 * 86_400)
    status = a_run().with_attempts(attempt).status
    claim = claim_of(status, DAILY, TERMS, now=at(10))
    held = timedelta(seconds=5 * 86_400 + RESERVE)
    assert len(claim.promised) == 6
    # Each part is rounded up by itself.
    assert 0 <= sum(claim.promised.values()) - charge(1_234_567, held) <= 6


def test_a_stopping_attempt_is_promised_until_its_place_ends_it() -> None:
    attempt = a_running_attempt(
        price=PRICE, deadline_seconds=59, state=AttemptState.STOPPING, stop_time=at(10)
    )
    claim = claim_of(a_run().with_attempts(attempt).status, Calendar(), TERMS, now=at(20))
    assert claim.promised == {EVER.start: 90_000}
    assert claim.since == NOON


def test_what_a_run_spent_before_is_gone_for_itself_too() -> None:
    last = an_ended_attempt(seconds=50, price=PRICE, counts=False, fruitful=True)
    run = a_run().with_attempts(last)
    pieces = allowance("0.12", reservation=90_000)
    start, attempt = started(decided(run, pieces, seconds=600))
    assert (start.deadline_seconds, attempt.reserved_usd) == (70 - RESERVE, 70_000)
    full = allowance("0.10", reservation=90_000)
    assert decided(run, full, seconds=600).reason is Reason.WAITING_FOR_BUDGET


def test_a_piece_that_pays_for_nothing_of_use_starts_nothing_and_says_so() -> None:
    decision = decided(a_run(), allowance("5.00", reservation=60_999))
    assert decision.reason is Reason.WAITING_FOR_BUDGET
    assert "reserve $0.060999 (reservationUSD)" in decision.message
    assert "pays for 29 s; 30 s are needed" in decision.message


def test_a_budget_that_cannot_be_kept_changes_nothing_for_what_is_alive() -> None:
    child = a_child(deadline_seconds=3569)
    faulty = allowance("0.00", fault="it cannot be read")
    decision = decide(a_snapshot(live(), child, now=at(60), allowances=(faulty,)))
    assert (decision.status.phase, decision.actions) == (Phase.RUNNING, ())
