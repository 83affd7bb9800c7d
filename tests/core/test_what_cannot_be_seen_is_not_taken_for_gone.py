"""Attempts at a place that is away, or was: how long they may live there unseen, and what they are owed when it is back."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.api.status import AttemptState
from lightcompute.api.words import Phase
from lightcompute.core.budget import LATEST_START_SECONDS, REQUEST_ANEW_SECONDS, STOP_EARLY_SECONDS
from lightcompute.core.checks_begin import UNSCHEDULED_SECONDS
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, RenewDeadline, StartAttempt, StopAttempt
from lightcompute.core.snapshot import Child, ChildState
from lightcompute.core.verdict import KILL_MARGIN_SECONDS
from lightcompute.testing.builders import (
    RunBuilder,
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_attempt,
    an_offer,
    at,
)

PRICE = "3.60"
"""A tenth of a cent a second."""
OFFERS = (an_offer(PRICE, any_placement=True),)
LONG, SHORT = 3569, 59
"""Seconds that 3.60 and 0.09 dollars pay for, less the reserve of 31 s."""
OVERRUN = 30 + 1
PATIENCE = OVERRUN + KILL_MARGIN_SECONDS
UNSEEN = Child(attempt=1, state=ChildState.UNKNOWN, waiting_reason=Reason.CLUSTER_UNREACHABLE)


def lowered(**parts: Any) -> RunBuilder:
    """A run that was given a long deadline, and a cap for a short one since."""
    attempt = a_running_attempt(price=PRICE, deadline_seconds=LONG, **parts)
    return a_run().limited_to("0.09").with_attempts(attempt)


def deadline(decision: Decision) -> int | None:
    return decision.status.attempts[-1].deadline_seconds


def test_an_earlier_deadline_is_on_record_once_its_place_keeps_it() -> None:
    run = lowered()
    untold = decide(a_snapshot(run, a_child(deadline_seconds=LONG), now=at(5)))
    assert deadline(untold) == LONG
    assert untold.actions == (RenewDeadline(attempt=1, deadline_seconds=SHORT),)
    unseen = decide(a_snapshot(run, UNSEEN, now=at(5)))
    assert (deadline(unseen), unseen.actions) == (LONG, ())
    told = decide(a_snapshot(run, a_child(deadline_seconds=SHORT), now=at(5)))
    assert (deadline(told), told.actions) == (SHORT, ())


def test_one_that_cannot_be_seen_is_alive_until_the_deadline_that_it_was_given_is_over() -> None:
    run = lowered(state=AttemptState.STOPPING, stop_time=at(60), stop_reason="BudgetExhausted")
    for seconds, live in (
        (SHORT + OVERRUN, True),
        (LONG + OVERRUN - 1, True),
        (LONG + OVERRUN, False),
    ):
        decision = decide(a_snapshot(run, UNSEEN, now=at(seconds)))
        assert decision.status.attempts[-1].is_live == live, seconds


def test_it_is_asked_to_leave_at_the_earlier_deadline_all_the_same() -> None:
    child = a_child(deadline_seconds=LONG)
    assert decide(a_snapshot(lowered(), child, now=at(SHORT - 1))).status.phase is Phase.RUNNING
    decision = decide(a_snapshot(lowered(), child, now=at(SHORT)))
    assert decision.reason is Reason.BUDGET_EXHAUSTED
    assert decision.actions == (StopAttempt(attempt=1, grace_seconds=30),)


def test_a_later_deadline_is_on_record_before_anybody_is_told() -> None:
    attempt = a_running_attempt(price=PRICE, deadline_seconds=SHORT)
    run = a_run().limited_to("3.60").with_attempts(attempt)
    unseen = decide(a_snapshot(run, UNSEEN, now=at(5)))
    assert deadline(unseen) == LONG
    seen = decide(a_snapshot(run, a_child(deadline_seconds=SHORT), now=at(5)))
    assert (deadline(seen), seen.actions) == (
        LONG,
        (RenewDeadline(attempt=1, deadline_seconds=LONG),),
    )


def test_one_that_waits_for_a_node_has_its_deadline_moved_too() -> None:
    attempt = an_attempt(price=PRICE, deadline_seconds=LONG)
    run = a_run().limited_to("0.09").with_attempts(attempt)
    child = a_child(state=ChildState.PENDING, start_time=None, deadline_seconds=LONG)
    decision = decide(a_snapshot(run, child, now=at(5)))
    assert decision.actions == (RenewDeadline(attempt=1, deadline_seconds=SHORT),)


def test_a_request_to_start_it_that_is_on_its_way_may_bring_the_old_deadline() -> None:
    attempt = an_attempt(price=PRICE, deadline_seconds=LONG, stop_after_seconds=LONG - 5)
    run = a_run().limited_to("0.09").with_attempts(attempt)
    decision = decide(a_snapshot(run, offers=OFFERS, now=at(1)))
    (start,) = (each for each in decision.actions if isinstance(each, StartAttempt))
    assert (start.deadline_seconds, start.stop_after_seconds) == (SHORT, SHORT - STOP_EARLY_SECONDS)
    assert deadline(decision) == LONG
    run = a_run().limited_to("0.09").with_status(decision.status)
    end = LATEST_START_SECONDS + LONG + OVERRUN
    for seconds, live in ((end - 1, True), (end, False)):
        assert decide(a_snapshot(run, UNSEEN, now=at(seconds))).status.attempts[-1].is_live == live


def test_one_that_is_asked_for_again_after_minutes_may_live_so_much_longer() -> None:
    """Its place was away, is there for a moment, takes the request, and is away again: another one elsewhere would be the second."""
    run = (
        a_run()
        .limited_to("0.09")
        .with_attempts(
            an_attempt(price=PRICE, deadline_seconds=SHORT, stop_after_seconds=SHORT - 5)
        )
    )
    soon = decide(a_snapshot(run, offers=OFFERS, now=at(REQUEST_ANEW_SECONDS - 1)))
    assert soon.status.attempts[-1].requested_time is None
    late = decide(a_snapshot(run, offers=OFFERS, now=at(600)))
    assert any(isinstance(each, StartAttempt) for each in late.actions)
    run = a_run().limited_to("0.09").with_status(late.status)
    end = 600 + LATEST_START_SECONDS + SHORT + OVERRUN
    for seconds, live in ((end - 1, True), (end, False)):
        (attempt,) = decide(a_snapshot(run, UNSEEN, now=at(seconds))).status.attempts
        assert attempt.is_live == live


def test_a_deadline_that_was_over_before_the_start_is_recorded_as_one_of_no_length() -> None:
    """A negative number is none that a status can hold: no API server would take it, and the run stood still for ever."""
    child = a_child(
        state=ChildState.EXITED,
        exit_code=143,
        start_time=at(20),
        end_time=at(21),
        deadline_seconds=-2,
    )
    run = a_run().limited_to("3.60").with_attempts(an_attempt(price=PRICE, deadline_seconds=LONG))
    (attempt,) = decide(a_snapshot(run, child, now=at(30))).status.attempts
    assert (attempt.deadline_seconds, attempt.reason) == (0, Reason.TIME_OVER)


def test_one_that_its_place_ended_at_its_deadline_is_over_by_that_though_nobody_recorded_it() -> (
    None
):
    child = a_child(
        state=ChildState.EXITED,
        exit_code=143,
        start_time=at(0),
        end_time=at(SHORT),
        deadline_seconds=SHORT,
    )
    (attempt,) = decide(a_snapshot(lowered(), child, now=at(SHORT + 1))).status.attempts
    assert (attempt.deadline_seconds, attempt.reason) == (SHORT, Reason.TIME_OVER)
    assert not attempt.counts


@pytest.mark.parametrize(
    ("heard", "now", "grace"),
    [
        (None, 500, 30),  # it was away, and has not been asked
        (500, 500 + PATIENCE - 1, None),
        (500, 500 + PATIENCE, 0),
    ],
)
def test_one_that_hears_late_of_its_stop_has_all_of_its_grace(
    heard: float | None, now: float, grace: int | None
) -> None:
    attempt = a_running_attempt(
        state=AttemptState.STOPPING, stop_time=at(10), stop_reason="RunSuspended"
    )
    child = a_child(stopping=heard is not None, stopping_time=None if heard is None else at(heard))
    decision = decide(a_snapshot(a_run().with_attempts(attempt), child, now=at(now)))
    stops = [each.grace_seconds for each in decision.actions if isinstance(each, StopAttempt)]
    assert stops == ([] if grace is None else [grace])


def test_patience_counts_from_when_the_place_heard_of_it() -> None:
    run = a_run().with_attempts(an_attempt(price=PRICE))
    child = a_child(
        state=ChildState.PENDING,
        start_time=None,
        asked_time=at(500),
        waiting_reason=Reason.NO_CAPACITY,
        waiting="0/1 nodes are available",
    )
    waits = decide(a_snapshot(run, child, now=at(500 + UNSCHEDULED_SECONDS - 1), offers=OFFERS))
    assert waits.status.phase is Phase.STARTING
    over = decide(a_snapshot(run, child, now=at(500 + UNSCHEDULED_SECONDS), offers=OFFERS))
    assert over.reason is Reason.NO_CAPACITY
