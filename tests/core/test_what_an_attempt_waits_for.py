"""An attempt that does not run yet: what is said of it, how long it is waited for, and where the next one may go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lightcompute.api.came_out import MAX_MESSAGE
from lightcompute.api.reasons import Reason
from lightcompute.api.status import AttemptState
from lightcompute.api.words import ConditionType, Phase
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
    an_offer,
    at,
)

FULL = "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
NO_ROOM: dict[str, Any] = {
    "state": ChildState.PENDING,
    "waiting_reason": Reason.NO_CAPACITY,
    "waiting": FULL,
}
NO_IMAGE: dict[str, Any] = {"waiting_reason": Reason.IMAGE_UNAVAILABLE, "waiting": "ErrImagePull"}
NO_POD: dict[str, Any] = {
    "state": ChildState.PENDING,
    "waiting_reason": Reason.POD_REFUSED,
    "waiting": "exceeded quota",
}
ORD, EUR = a_place("A100-40GB"), a_place("L40S", "EU-FRA1", cluster="fra")
BOTH = (an_offer("1.00", place=ORD), an_offer("2.00", place=EUR))


def starting(**parts: Any) -> RunBuilder:
    return a_run().with_attempts(an_attempt(**parts), phase=Phase.STARTING)


def conditions(decision: Decision) -> dict[str, tuple[str, str, str]]:
    return {c.type: (c.status, c.reason, c.message) for c in decision.status.conditions}


def stop_reason(decision: Decision) -> str | None:
    stops = [action for action in decision.actions if isinstance(action, StopAttempt)]
    attempt = decision.status.attempts[-1]
    assert bool(stops) == (attempt.state is AttemptState.STOPPING)
    return attempt.stop_reason


@pytest.mark.parametrize(
    "unexplained",
    [
        {"state": ChildState.PENDING},
        {"state": ChildState.PENDING, "waiting": "its container waits: ContainerCreating"},
    ],
)
def test_while_nobody_says_why_it_does_not_begin_that_is_asked_again_within_half_a_minute(
    unexplained: dict[str, Any],
) -> None:
    asked = decide(a_snapshot(starting(), a_child(**unexplained), now=at(10)))
    assert asked.look_again_at == at(20)
    told = decide(a_snapshot(starting(), a_child(**NO_POD), now=at(20)))
    assert told.look_again_at is not None
    assert told.look_again_at > at(50)


def test_what_it_waits_for_is_told_in_its_places_own_words() -> None:
    decision = decide(a_snapshot(starting(), a_child(**NO_ROOM), now=at(30)))
    told = f"attempt 1 waits on local/CPU: NoCapacity, {FULL}"
    assert (decision.status.phase, decision.reason) == (Phase.STARTING, Reason.NO_CAPACITY)
    assert decision.status.message == told
    found = conditions(decision)
    assert found[ConditionType.SCHEDULED] == ("False", Reason.NO_CAPACITY, told)
    assert found[ConditionType.RUNNING] == ("False", Reason.NO_CAPACITY, told)


def test_an_attempt_that_holds_its_place_and_waits_for_its_image_is_charged_and_starting() -> None:
    decision = decide(a_snapshot(starting(price="2.00"), a_child(**NO_IMAGE), now=at(60)))
    assert (decision.status.phase, decision.reason) == (Phase.STARTING, Reason.IMAGE_UNAVAILABLE)
    assert decision.status.cost.spent_usd > 0
    found = conditions(decision)
    assert found[ConditionType.SCHEDULED][0] == "True"
    assert found[ConditionType.RUNNING][:2] == ("False", Reason.IMAGE_UNAVAILABLE)


def test_waiting_for_no_bad_reason_is_told_as_starting() -> None:
    child = a_child(waiting="its container waits: ContainerCreating")
    decision = decide(a_snapshot(starting(), child, now=at(300)))
    assert (decision.status.phase, decision.reason) == (Phase.STARTING, Reason.ATTEMPT_STARTING)
    assert decision.message.endswith("ContainerCreating")
    assert decision.actions == ()


def test_nothing_is_written_while_it_waits_for_the_same() -> None:
    first = decide(a_snapshot(starting(), a_child(**NO_ROOM), now=at(10)))
    run = a_run().with_status(first.status)
    assert decide(a_snapshot(run, a_child(**NO_ROOM), now=at(119))).status == first.status


def test_the_longest_and_strangest_words_of_a_place_fit_a_status() -> None:
    child = a_child(**(NO_ROOM | {"waiting": "many\n\twords " * 100_000}))
    decision = decide(a_snapshot(starting(), child, now=at(10)))
    assert "many words many" in decision.status.message
    assert all(len(c.message) <= MAX_MESSAGE for c in decision.status.conditions)


@pytest.mark.parametrize(
    ("child", "since", "reason"),
    [
        (NO_ROOM, 120, Reason.NO_CAPACITY),
        (NO_POD, 180, Reason.POD_REFUSED),
        (NO_IMAGE | {"state": ChildState.PENDING}, 180, Reason.IMAGE_UNAVAILABLE),
    ],
)
def test_what_does_not_begin_is_given_up_in_time_since_it_was_reserved(
    child: dict[str, Any], since: int, reason: Reason
) -> None:
    early = decide(a_snapshot(starting(), a_child(**child), now=at(since - 1)))
    assert stop_reason(early) is None
    assert early.look_again_at == at(since)
    late = decide(a_snapshot(starting(), a_child(**child), now=at(since)))
    assert (stop_reason(late), late.reason) == (reason, reason)
    assert child["waiting"] in late.message


def test_an_image_may_be_mended_for_three_minutes_from_when_the_place_was_got() -> None:
    run = a_run().with_attempts(a_running_attempt(reserved_time=at(-100)), phase=Phase.STARTING)
    assert stop_reason(decide(a_snapshot(run, a_child(**NO_IMAGE), now=at(179)))) is None
    late = decide(a_snapshot(run, a_child(**NO_IMAGE), now=at(180)))
    assert stop_reason(late) == Reason.IMAGE_UNAVAILABLE


def test_a_stop_is_told_with_its_cause_until_it_is_done() -> None:
    first = decide(a_snapshot(starting(), a_child(**NO_POD), now=at(180)))
    run = a_run().with_status(first.status)
    then = decide(a_snapshot(run, a_child(**NO_POD, stopping=True), now=at(185)))
    assert then.status == first.status
    assert "exceeded quota" in then.message


@pytest.mark.parametrize(("child", "seconds"), [(NO_POD, 180), (NO_IMAGE, 180)])
def test_what_could_not_begin_is_free_and_its_place_is_left_alone_for_a_while(
    child: dict[str, Any], seconds: int
) -> None:
    reserved = decide(a_snapshot(a_run(), now=at(0)))
    run = a_run().with_status(reserved.status)
    stopped = decide(a_snapshot(run, a_child(**child), now=at(seconds)))
    run = a_run().with_status(stopped.status)
    decision = decide(a_snapshot(run, now=at(seconds + 2)))
    attempt = decision.status.attempts[0]
    assert (attempt.reason, attempt.counts) == (child["waiting_reason"], False)
    assert decision.reason == Reason.WAITING_FOR_PLACE
    assert decision.status.restarts_count_towards_max == 0
    [candidate] = decision.status.placement.candidates
    assert candidate.reason == child["waiting_reason"]
    assert child["waiting"] in candidate.message


@pytest.mark.parametrize(("child", "seconds"), [(NO_POD, 180), (NO_IMAGE, 180)])
def test_after_a_place_where_it_could_not_begin_the_next_one_is_tried_at_once(
    child: dict[str, Any], seconds: int
) -> None:
    reserved = decide(a_snapshot(a_run(), offers=BOTH, now=at(0)))
    run = a_run().with_status(reserved.status)
    stopped = decide(a_snapshot(run, a_child(**child), offers=BOTH, now=at(seconds)))
    run = a_run().with_status(stopped.status)
    decision = decide(a_snapshot(run, offers=BOTH, now=at(seconds + 2)))
    first, second = decision.status.attempts
    assert decision.reason == Reason.ATTEMPT_STARTING
    assert second.place != first.place
    assert decision.status.placement.waiting_since == at(0), "one search, with one deadline"


def given_up(run: RunBuilder, *, now: float, offers: Any = BOTH) -> tuple[RunBuilder, Decision]:
    """The newest attempt, which was just reserved, is not taken in; the run after that, and what is decided then."""
    reserved = decide(a_snapshot(run, offers=offers, now=at(now)))
    number = reserved.status.attempts[-1].number
    child = a_child(number, **(NO_ROOM | {"start_time": None}))
    stopped = decide(a_snapshot(a_run_of(run, reserved), child, offers=offers, now=at(now + 120)))
    assert stop_reason(stopped) == Reason.NO_CAPACITY
    gone = decide(a_snapshot(a_run_of(run, stopped), offers=offers, now=at(now + 121)))
    return a_run_of(run, gone), gone


def a_run_of(run: RunBuilder, decision: Decision) -> RunBuilder:
    return run.with_status(decision.status)


def test_after_a_place_took_nothing_in_the_next_one_is_tried_at_once() -> None:
    _, then = given_up(a_run(), now=0)
    assert [(a.place, a.state) for a in then.status.attempts] == [
        (ORD, AttemptState.ENDED),
        (EUR, AttemptState.RESERVED),
    ]
    assert then.status.attempts[0].reason == Reason.NEVER_STARTED
    assert then.status.restarts_count_towards_max == 0


def test_a_place_that_took_nothing_in_is_left_alone_until_the_interval_is_over() -> None:
    run, then = given_up(a_run(), now=0, offers=BOTH[:1])
    assert (then.status.phase, then.reason) == (Phase.PENDING, Reason.WAITING_FOR_PLACE)
    assert then.look_again_at is not None
    assert "1 NoCapacity" in then.message
    assert FULL in then.message
    (candidate,) = then.status.placement.candidates
    assert (candidate.reason, FULL in candidate.message) == (Reason.NO_CAPACITY, True)
    later = decide(a_snapshot(run, offers=BOTH[:1], now=at(599)))
    assert later.status == then.status
    again = decide(a_snapshot(run, offers=BOTH[:1], now=at(600)))
    assert isinstance(again.actions[-1], StartAttempt)


def test_each_place_waits_for_its_own_interval() -> None:
    run, _ = given_up(a_run(), now=0)
    child = a_child(2, **(NO_ROOM | {"start_time": None}))
    stopped = decide(a_snapshot(run, child, offers=BOTH, now=at(241)))
    then = decide(a_snapshot(a_run_of(run, stopped), offers=BOTH, now=at(242)))
    assert then.reason == Reason.WAITING_FOR_PLACE
    assert "next round at 2030-01-01T12:10:00Z" in then.message
    waiting = a_run_of(run, then)
    first = decide(a_snapshot(waiting, offers=BOTH, now=at(600)))
    assert first.status.attempts[-1].place == ORD
    # With the first place really full by then, the second is not tried before its own time.
    full = (replace(BOTH[0], unavailable=Reason.NO_CAPACITY), BOTH[1])
    assert decide(a_snapshot(waiting, offers=full, now=at(720))).reason == Reason.WAITING_FOR_PLACE
    second = decide(a_snapshot(waiting, offers=full, now=at(721)))
    assert second.status.attempts[-1].place == EUR


def test_no_try_makes_the_search_longer() -> None:
    run = a_run().with_spec(placement={"preRunningDeadlineSeconds": 700})
    run, then = given_up(run, now=0, offers=BOTH[:1])
    assert then.status.placement.waiting_since == NOON
    again = decide(a_snapshot(run, offers=BOTH[:1], now=at(600)))
    child = a_child(2, **(NO_ROOM | {"start_time": None}))
    run = a_run_of(run, again)
    assert stop_reason(decide(a_snapshot(run, child, offers=BOTH[:1], now=at(699)))) is None
    stopped = decide(a_snapshot(run, child, offers=BOTH[:1], now=at(700)))
    assert stop_reason(stopped) == Reason.NO_CAPACITY
    over = decide(a_snapshot(a_run_of(run, stopped), offers=BOTH[:1], now=at(702)))
    assert (over.status.phase, over.reason) == (
        Phase.FAILED,
        Reason.PRE_RUNNING_DEADLINE_EXCEEDED,
    )
    assert FULL in over.message
    assert over.status.completion_time == at(702)


def test_a_run_that_is_resumed_searches_anew_even_where_nothing_was_taken_in() -> None:
    run, _ = given_up(a_run(), now=0, offers=BOTH[:1])
    held = decide(a_snapshot(run.suspended(), offers=BOTH[:1], now=at(130)))
    resumed = decide(a_snapshot(run.with_status(held.status), offers=BOTH[:1], now=at(140)))
    assert isinstance(resumed.actions[-1], StartAttempt)
    assert resumed.status.placement.waiting_since == at(140)


def test_an_attempt_that_is_taken_in_as_it_is_given_up_does_not_begin_the_search_anew() -> None:
    reserved = decide(a_snapshot(a_run(), offers=BOTH[:1]))
    child = a_child(**(NO_ROOM | {"start_time": None}))
    stopped = decide(
        a_snapshot(a_run().with_status(reserved.status), child, offers=BOTH[:1], now=at(120))
    )
    late = a_child(start_time=at(120), stopping=True)
    run = a_run().with_status(stopped.status)
    running = decide(a_snapshot(run, late, offers=BOTH[:1], now=at(121)))
    assert running.status.placement.waiting_since == NOON
    left = replace(late, state=ChildState.EXITED, exit_code=13, end_time=at(125))
    gone = decide(
        a_snapshot(a_run().with_status(running.status), left, offers=BOTH[:1], now=at(125))
    )
    assert gone.reason == Reason.WAITING_FOR_PLACE
    assert gone.status.attempts[0].reason == Reason.PREEMPTED


def test_a_changed_spec_is_told_of_with_a_new_table_of_places() -> None:
    full = (replace(BOTH[0], unavailable=Reason.NO_CAPACITY),)
    waiting = decide(a_snapshot(a_run(), offers=full))
    run = a_run().with_spec(placement={"regions": ["EU-FRA1"]}).with_metadata(generation=2)
    then = decide(a_snapshot(run.with_status(waiting.status), offers=full, now=at(60)))
    assert [c.reason for c in then.status.placement.candidates] == [Reason.REGION_NOT_ALLOWED]
    assert then.status.placement.round_time == NOON
