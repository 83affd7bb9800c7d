"""Ends as a cluster tells them: who took the machine away, whether memory ran out, and what the place says about it."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api.came_out import MAX_MESSAGE
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt
from lightcompute.api.words import Phase
from lightcompute.core.decide import decide
from lightcompute.core.snapshot import ChildState
from lightcompute.testing.builders import (
    RunBuilder,
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_ended_attempt,
    an_exited_child,
    at,
)
from runcontract.results import TerminationMessage

GONE: dict[str, Any] = {"state": ChildState.VANISHED, "end_time": at(60)}


def ended(child: dict[str, Any], run: RunBuilder | None = None, **attempt: Any) -> Attempt:
    run = (run or a_run()).with_attempts(a_running_attempt(**attempt))
    end: dict[str, Any] = {"state": ChildState.EXITED, "end_time": at(60)}
    seen = a_child(**(end | child))
    return decide(a_snapshot(run, seen, now=at(60))).status.attempts[0]


@pytest.mark.parametrize("reason", [Reason.PREEMPTED, Reason.EVICTED, Reason.NODE_LOST])
@pytest.mark.parametrize(
    "end",
    [
        {"exit_code": 13},
        {"exit_code": 1},
        {"exit_code": 137, "out_of_memory": False},
        {"signal": 9},
        {"exit_code": 12},
        GONE,
    ],
)
def test_who_took_the_machine_away_is_named_and_nothing_is_counted(
    reason: Reason, end: dict[str, Any]
) -> None:
    attempt = ended(end | {"interruption": reason, "cause": "the node was low on memory"})
    assert (attempt.reason, attempt.counts) == (reason, False)
    assert attempt.message.endswith("; the node was low on memory")


@pytest.mark.parametrize(
    ("code", "reason"), [(0, Reason.COMPLETED), (10, Reason.CONFIGURATION_FAULT)]
)
def test_what_a_trainer_says_itself_goes_before_who_took_its_machine_away(
    code: int, reason: Reason
) -> None:
    assert ended({"exit_code": code, "interruption": Reason.EVICTED}).reason == reason


def test_what_we_asked_for_is_no_eviction() -> None:
    child = {"exit_code": 13, "interruption": Reason.EVICTED}
    attempt = ended(child, a_run().suspended(), stop_reason=Reason.RUN_SUSPENDED.value)
    assert (attempt.reason, attempt.counts) == (Reason.PREEMPTED, False)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ({"signal": 9, "out_of_memory": None}, Reason.OUT_OF_MEMORY),
        ({"signal": 9, "out_of_memory": False}, Reason.KILLED),
        ({"exit_code": 137, "out_of_memory": False}, Reason.KILLED),
        ({"exit_code": 137, "out_of_memory": True}, Reason.OUT_OF_MEMORY),
        ({"exit_code": 1, "out_of_memory": True}, Reason.OUT_OF_MEMORY),
        ({"exit_code": 1, "out_of_memory": False}, Reason.INTERNAL_ERROR),
        ({"exit_code": 16, "out_of_memory": False}, Reason.STORAGE_FAULT),
    ],
)
@pytest.mark.parametrize("foreign", [False, True])
def test_memory_is_blamed_where_the_place_confirms_it_or_cannot_tell(
    end: dict[str, Any], reason: Reason, foreign: bool
) -> None:
    attempt = ended(end, a_run().foreign() if foreign else a_run())
    if foreign and reason is Reason.STORAGE_FAULT:
        reason = Reason.INTERNAL_ERROR
    assert (attempt.reason, attempt.counts) == (reason, True)


@pytest.mark.parametrize("end", [{"exit_code": 137}, {"exit_code": 143}, {"signal": 9}])
@pytest.mark.parametrize("foreign", [False, True])
def test_what_somebody_else_asked_to_leave_and_then_killed_is_not_counted(
    end: dict[str, Any], foreign: bool
) -> None:
    run = a_run().foreign() if foreign else a_run()
    asked = ended(end | {"stopping": True, "out_of_memory": False}, run)
    assert (asked.reason, asked.counts) == (Reason.PREEMPTED, False)
    memory = ended(end | {"stopping": True, "out_of_memory": True}, run)
    assert (memory.reason, memory.counts) == (Reason.OUT_OF_MEMORY, True)
    failed = ended({"exit_code": 1, "stopping": True, "out_of_memory": False}, run)
    assert (failed.reason, failed.counts) == (Reason.INTERNAL_ERROR, True)


@pytest.mark.parametrize(
    "end",
    [
        {"exit_code": 13},
        {"exit_code": 137, "out_of_memory": False, "stopping": True},
        {"signal": 9, "stopping": True},
        GONE,
    ],
)
def test_whatever_ended_it_at_its_deadline_its_time_was_over(end: dict[str, Any]) -> None:
    attempt = ended(end, deadline_seconds=58)
    assert (attempt.reason, attempt.counts) == (Reason.TIME_OVER, False)
    before = ended(end, deadline_seconds=61)
    assert before.reason in {Reason.PREEMPTED, Reason.VANISHED}


def test_of_what_vanished_at_a_time_that_nobody_knows_nobody_says_that_its_time_was_over() -> None:
    attempt = ended({"state": ChildState.VANISHED, "end_time": None}, deadline_seconds=58)
    assert attempt.reason == Reason.VANISHED


@pytest.mark.parametrize("code", [1, 2, 10, 11, 12, 13, 14, 15, 16, 42, 127, 255])
def test_any_code_but_zero_of_a_program_without_contract_is_an_error_that_counts(
    code: int,
) -> None:
    attempt = ended({"exit_code": code, "out_of_memory": False}, a_run().foreign())
    assert (attempt.reason, attempt.counts) == (Reason.INTERNAL_ERROR, True)


@pytest.mark.parametrize(
    ("reason", "counts"),
    [(Reason.HANG, True), (Reason.IMAGE_UNAVAILABLE, False), (Reason.POD_REFUSED, False)],
)
@pytest.mark.parametrize("end", [{"exit_code": 13}, {"signal": 9}, GONE])
def test_what_was_stopped_for_a_failure_ends_by_that_reason_and_counts_if_it_was_its_own(
    reason: Reason, counts: bool, end: dict[str, Any]
) -> None:
    attempt = ended(end, stop_reason=reason.value, message="why it was stopped")
    assert (attempt.reason, attempt.counts) == (reason, counts)
    assert attempt.message.startswith("why it was stopped; ")


def test_ten_evictions_in_a_row_without_progress_fail_the_run() -> None:
    free: dict[str, Any] = {"reason": Reason.EVICTED.value, "counts": False}
    attempts = [an_ended_attempt(number, **free) for number in range(1, 10)]
    run = a_run().with_attempts(*attempts, a_running_attempt(10))
    child = an_exited_child(10, code=137, interruption=Reason.EVICTED)
    decision = decide(a_snapshot(run, child, now=at(60)))
    assert (decision.status.phase, decision.reason) == (Phase.FAILED, Reason.NO_PROGRESS)


def test_a_cause_of_any_length_leaves_room_for_the_rest() -> None:
    word = TerminationMessage(exit_code=1, reason="InternalError", message="x" * 1024)
    attempt = ended({"exit_code": 1, "termination": word, "cause": "long\n words " * 100_000})
    assert len(attempt.message) <= MAX_MESSAGE
    assert "x..." in attempt.message
    assert "long words long" in attempt.message
