"""A run with placement.queueName: its Job waits in Kueue's queue, is charged from its start, and goes on after it was taken back."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.api.status import AttemptState
from lightcompute.api.words import Phase
from lightcompute.core.budget import Terms, certain_end
from lightcompute.core.checks_begin import UNSCHEDULED_SECONDS
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, StartAttempt, StopAttempt
from lightcompute.core.snapshot import ChildState
from lightcompute.testing.builders import (
    NOON,
    RunBuilder,
    a_child,
    a_place,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_attempt,
    an_exited_child,
    an_offer,
    at,
)
from runcontract.exit_codes import ExitCode

ORD, EUR = a_place("A100-40GB"), a_place("L40S", "EU-FRA1", cluster="fra")
HERE, BOTH = (
    (an_offer("1.00", place=ORD),),
    (
        an_offer("1.00", place=ORD),
        an_offer("2.00", place=EUR),
    ),
)
QUEUED: dict[str, Any] = {
    "state": ChildState.PENDING,
    "start_time": None,
    "waiting_reason": Reason.NOT_ADMITTED,
    "waiting": "the queue team of Kueue has not admitted it yet",
}
WISH = {"queueName": "team", "preRunningDeadlineSeconds": 3600}


def queued_run(**attempt: Any) -> RunBuilder:
    recorded = an_attempt(place=ORD, queue_name="team", **attempt)
    run = a_run().with_spec(placement=WISH).with_attempts(recorded, phase=Phase.PENDING)
    status = run.status
    placement = status.placement.model_copy(update={"waiting_since": NOON})
    return run.with_status(status.model_copy(update={"placement": placement}))


def stopped_for(decision: Decision) -> str | None:
    stops = [action for action in decision.actions if isinstance(action, StopAttempt)]
    attempt = decision.status.attempts[-1]
    assert bool(stops) == (attempt.state is AttemptState.STOPPING)
    return attempt.stop_reason


def test_an_attempt_is_recorded_with_its_queue_and_started_in_it() -> None:
    decision = decide(a_snapshot(a_run().with_spec(placement=WISH), offers=HERE))
    (start,) = [action for action in decision.actions if isinstance(action, StartAttempt)]
    assert (start.queue_name, decision.status.attempts[-1].queue_name) == ("team", "team")


def test_the_only_place_that_there_is_has_no_queue() -> None:
    decision = decide(a_snapshot(a_run().with_spec(placement=WISH)))
    (start,) = [action for action in decision.actions if isinstance(action, StartAttempt)]
    assert (start.queue_name, decision.status.attempts[-1].queue_name) == (None, None)


@pytest.mark.parametrize("seconds", [1, UNSCHEDULED_SECONDS + 1, 3599])
def test_it_keeps_its_turn_where_there_is_no_other_place(seconds: float) -> None:
    decision = decide(a_snapshot(queued_run(), a_child(**QUEUED), now=at(seconds), offers=HERE))
    assert stopped_for(decision) is None
    assert (decision.status.phase, decision.reason) == (Phase.PENDING, Reason.NOT_ADMITTED)
    assert decision.status.cost.spent_usd == 0
    assert decision.look_again_at is not None
    assert decision.look_again_at > at(seconds)


def test_it_is_given_up_when_the_search_ends() -> None:
    decision = decide(a_snapshot(queued_run(), a_child(**QUEUED), now=at(3600), offers=HERE))
    assert stopped_for(decision) == Reason.NOT_ADMITTED
    assert "the queue team did not admit attempt 1" in decision.message


def test_it_is_given_up_early_for_a_place_that_would_take_it() -> None:
    before = a_snapshot(
        queued_run(), a_child(**QUEUED), now=at(UNSCHEDULED_SECONDS - 1), offers=BOTH
    )
    after = a_snapshot(queued_run(), a_child(**QUEUED), now=at(UNSCHEDULED_SECONDS), offers=BOTH)
    assert stopped_for(decide(before)) is None
    assert stopped_for(decide(after)) == Reason.NOT_ADMITTED


def test_the_next_attempt_goes_to_the_other_place_and_no_restart_is_counted() -> None:
    run = queued_run(
        state=AttemptState.STOPPING, stop_time=at(120), stop_reason=Reason.NOT_ADMITTED.value
    )
    decision = decide(a_snapshot(run, now=at(121), offers=BOTH))
    first, second = decision.status.attempts
    assert (first.reason, first.counts, first.charges) == (Reason.NEVER_STARTED, False, ())
    assert (second.place, second.queue_name) == (EUR, "team")
    assert decision.status.restarts_count_towards_max == 0


def test_a_place_has_its_usual_time_from_the_admission_and_not_from_the_record() -> None:
    late = 1000 + UNSCHEDULED_SECONDS
    waits: dict[str, Any] = {
        "state": ChildState.PENDING,
        "start_time": None,
        "asked_time": at(1000),
    }
    early = a_snapshot(queued_run(), a_child(**waits), now=at(late - 1), offers=HERE)
    due = a_snapshot(queued_run(), a_child(**waits), now=at(late), offers=HERE)
    assert stopped_for(decide(early)) is None
    assert stopped_for(decide(due)) == Reason.NO_CAPACITY


def test_what_its_queue_takes_back_is_stopped_at_once_and_counts_as_preempted() -> None:
    running = a_running_attempt(place=ORD, queue_name="team", price="3.6")
    run = a_run().with_spec(placement=WISH).with_attempts(running)
    taken = a_child(interruption=Reason.PREEMPTED, waiting="the queue team took it back")
    decision = decide(a_snapshot(run, taken, now=at(50), offers=(an_offer("3.6", place=ORD),)))
    assert stopped_for(decision) == Reason.PREEMPTED
    stopping = run.with_status(decision.status)
    left = an_exited_child(code=ExitCode.PREEMPTED, seconds=60)
    ended = decide(
        a_snapshot(stopping, left, now=at(61), offers=(an_offer("3.6", place=ORD),))
    ).status
    assert (ended.attempts[0].reason, ended.attempts[0].counts) == (Reason.PREEMPTED, False)
    assert ended.attempts[1].queue_name == "team"
    assert ended.cost.spent_usd == 60_000, "a minute at a tenth of a cent a second"


@pytest.mark.parametrize(
    ("held_until", "seconds_charged"),
    [(40, 40), (5000, 131), (90, 90)],
    ids=["as it is told", "no longer than its deadline and grace", "before now"],
)
def test_what_was_taken_back_while_nobody_looked_is_charged_for_what_it_held(
    held_until: int, seconds_charged: int
) -> None:
    running = a_running_attempt(place=ORD, queue_name="team", price="3.6", deadline_seconds=100)
    run = a_run().with_spec(placement=WISH).with_attempts(running)
    back = a_child(interruption=Reason.PREEMPTED, waiting="taken", held_until=at(held_until))
    found = decide(a_snapshot(run, back, now=at(6000), offers=(an_offer("3.6", place=ORD),))).status
    assert found.attempts[0].state is AttemptState.STOPPING
    assert found.cost.spent_usd == seconds_charged * 1000


def test_what_was_never_seen_to_start_in_a_queue_is_never_certainly_over() -> None:
    terms = Terms(grace_seconds=30)
    plain = an_attempt(deadline_seconds=100)
    assert certain_end(plain, terms) is not None
    assert certain_end(plain.model_copy(update={"queue_name": "team"}), terms) is None
    begun = a_running_attempt(deadline_seconds=100, queue_name="team")
    assert certain_end(begun, terms) == at(100 + 30 + 1)
