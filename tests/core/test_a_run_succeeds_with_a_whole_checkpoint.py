"""A run succeeds when its newest checkpoint has verified where it lies: asked for once, tried again, and made again where it is broken."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api import Phase, Reason, labels
from lightcompute.api.status import Upkeep
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, ReleaseUpkeep, StartAttempt, StartUpkeep
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import SeenUpkeep, UpkeepState
from lightcompute.testing.builders import (
    RunBuilder,
    a_run,
    a_snapshot,
    an_ended_attempt,
    an_exited_child,
    at,
)
from lightcompute.testing.trainer import kept
from runcontract.upkeep import TendedCheckpoint, UpkeepReport, UpkeepTask

NOTHING = SeenUpkeep(number=0, state=UpkeepState.ABSENT)
CLAIM = {"persistentVolumeClaim": {"claimName": "runs"}}
VERIFY = StartUpkeep(number=1, task=UpkeepTask.VERIFY)
DONE = an_ended_attempt(reason="Completed", counts=False, exit_code=0, fruitful=True)


def completed(*steps: int, storage: Any = CLAIM, **spec: Any) -> RunBuilder:
    """A run whose attempt has come to the end, and that left checkpoints at `steps`."""
    run = a_run().with_spec(storage=storage, **spec).with_attempts(DONE, phase=Phase.RUNNING)
    return run.with_status(revised(run.status, checkpoints=tuple(map(kept, steps))))


def decided(run: RunBuilder, seen: SeenUpkeep | None = NOTHING, seconds: float = 100) -> Decision:
    return decide(a_snapshot(run, an_exited_child(), now=at(seconds), upkeep=seen))


def begun(run: RunBuilder) -> RunBuilder:
    return run.with_status(decided(run).status)


def found(number: int = 1, **verdicts: str) -> SeenUpkeep:
    """The upkeep is done and found so of each step, as in s100="Valid"."""
    checkpoints = tuple(
        TendedCheckpoint.model_validate({"step": int(step[1:]), "verdict": verdict})
        for step, verdict in verdicts.items()
    )
    report = UpkeepReport(
        task=UpkeepTask.VERIFY, done=True, message="told", checkpoints=checkpoints
    )
    return SeenUpkeep(number=number, state=UpkeepState.DONE, message="told", report=report)


def upkeep_of(decision: Decision) -> Upkeep:
    assert decision.status.upkeep is not None
    return decision.status.upkeep


def test_a_run_that_came_to_the_end_is_verified_before_it_has_succeeded() -> None:
    run = completed(90, 100)
    first = decided(run)
    assert (first.status.phase, first.reason) == (Phase.VERIFYING, Reason.VERIFYING_CHECKPOINTS)
    assert VERIFY in first.actions
    assert first.status.completion_time is None
    run = run.with_status(first.status)
    waits = decided(run, SeenUpkeep(number=1, state=UpkeepState.RUNNING, message="it has no node"))
    assert waits.status.phase == Phase.VERIFYING
    assert "it has no node" in waits.message
    last = decided(run.with_status(waits.status), found(s90="Valid", s100="ValidWithWarnings"))
    assert (last.status.phase, last.reason) == (Phase.SUCCEEDED, Reason.COMPLETED)
    assert last.status.completion_time == DONE.end_time
    assert [each.verdict for each in last.status.checkpoints] == ["Valid", "ValidWithWarnings"]
    assert ReleaseUpkeep(number=1) in last.actions


@pytest.mark.parametrize(
    ("run", "seen"),
    [
        (completed(100, storage={"ephemeral": {}}), NOTHING),
        (completed(100), None),
        (completed().foreign().with_spec(storage=CLAIM), NOTHING),
        (completed(trainer={"command": ["x"]}, checkpoints={"pattern": "*.pt"}), NOTHING),
    ],
    ids=["its disk is gone", "a laptop", "a program without checkpoints", "without manifests"],
)
def test_where_nobody_else_can_read_it_the_trainers_own_word_counts(
    run: RunBuilder, seen: SeenUpkeep | None
) -> None:
    assert decided(run, seen).status.phase == Phase.SUCCEEDED


def test_an_older_one_that_is_broken_is_told_and_changes_nothing() -> None:
    last = decided(begun(completed(90, 100)), found(s90="Invalid", s100="Valid"))
    assert last.status.phase == Phase.SUCCEEDED
    assert [each.verified for each in last.status.checkpoints] == [False, True]
    assert upkeep_of(last).broken_steps == (90,)


@pytest.mark.parametrize("verdict", ["Invalid", "Unreadable"])
def test_a_broken_one_is_made_again_by_another_attempt_and_counts_as_a_failure(
    verdict: str,
) -> None:
    broken = decided(begun(completed(90, 100)), found(s90="Valid", s100=verdict))
    assert any(isinstance(each, StartAttempt) for each in broken.actions)
    assert broken.status.restarts_count_towards_max == 1
    assert [each.verified for each in broken.status.checkpoints] == [True, False]
    told = [each for each in broken.events if each.reason == Reason.FINAL_CHECKPOINT_BROKEN]
    assert [each.type for each in told] == ["Warning"]


def test_what_was_found_stays_known_whatever_is_done_about_checkpoints_later() -> None:
    """Else a run that holds would be verified again, and what was found be counted again."""
    run = begun(completed(90, 100, failurePolicy={"maxRestarts": 1})).suspended()
    holds = decided(run, found(s90="Valid", s100="Invalid"))
    assert holds.status.phase == Phase.SUSPENDED
    asked = run.with_status(holds.status).with_metadata(
        annotations={labels.VERIFY_CHECKPOINTS: "x"}
    )
    begins = decided(asked)
    assert StartUpkeep(number=2, task=UpkeepTask.VERIFY) in begins.actions
    going_on = decided(
        asked.with_status(begins.status), SeenUpkeep(number=2, state=UpkeepState.RUNNING)
    )
    still = decided(asked.with_status(going_on.status), found(2, s90="Valid", s100="Invalid"))
    for each in (going_on, still):
        assert each.status.phase == Phase.SUSPENDED
        assert each.status.restarts_count_towards_max == 1
    resumed = asked.with_status(still.status).with_spec(suspend=False)
    assert any(isinstance(each, StartAttempt) for each in decided(resumed).actions)


def test_one_that_the_operator_never_heard_of_counts_too() -> None:
    broken = decided(begun(completed(90)), found(s90="Valid", s100="Invalid"))
    assert any(isinstance(each, StartAttempt) for each in broken.actions)


def test_too_many_broken_ones_fail_the_run() -> None:
    run = begun(completed(100, failurePolicy={"maxRestarts": 0}))
    failed = decided(run, found(s100="Invalid"))
    assert (failed.status.phase, failed.reason) == (Phase.FAILED, Reason.FINAL_CHECKPOINT_BROKEN)
    assert "told" in failed.message
    again = decided(run.with_status(failed.status).with_metadata(generation=2), seconds=200)
    assert any(isinstance(each, StartAttempt) for each in again.actions)


@pytest.mark.parametrize(
    "seen",
    [
        SeenUpkeep(number=1, state=UpkeepState.FAILED, message="no such Secret"),
        SeenUpkeep(number=1, state=UpkeepState.DONE, message=""),
    ],
    ids=["failed", "without a report"],
)
def test_a_verification_of_which_nothing_is_known_is_done_again_later(seen: SeenUpkeep) -> None:
    run = begun(completed(100))
    failed = decided(run, seen, seconds=200)
    assert failed.status.phase == Phase.VERIFYING
    assert upkeep_of(failed).failures == 1
    assert failed.look_again_at == at(230)
    run = run.with_status(failed.status)
    assert not any(isinstance(each, StartUpkeep) for each in decided(run, seconds=229).actions)
    again = decided(run, seconds=230)
    assert StartUpkeep(number=2, task=UpkeepTask.VERIFY) in again.actions
    assert upkeep_of(again).failures == 1


def test_it_is_another_request_than_a_persons() -> None:
    note = {labels.VERIFY_CHECKPOINTS: "please"}
    run = begun(completed(100).with_metadata(annotations=note))
    last = decided(run, found(s100="Valid"))
    assert last.status.phase == Phase.SUCCEEDED
    assert upkeep_of(last).verified_request == ""
    assert last.look_again_at == at(100)
    next_one = decided(run.with_status(last.status))
    assert StartUpkeep(number=2, task=UpkeepTask.VERIFY) in next_one.actions
    assert upkeep_of(next_one).verified_request == "please"


def test_a_person_may_end_the_wait_and_then_it_is_no_success() -> None:
    run = begun(completed(100)).with_metadata(annotations={labels.STOP: "yes"})
    away = SeenUpkeep(number=1, state=UpkeepState.UNREACHABLE, message="it is away")
    ended = decided(run, away)
    assert ended.status.phase == Phase.STOPPED
    later = decided(run.with_status(ended.status), found(s100="Valid"))
    assert later.status.phase == Phase.STOPPED
    assert [each.verdict for each in later.status.checkpoints] == ["Valid"]


def test_a_run_that_is_deleted_meanwhile_is_verified_no_more() -> None:
    run = begun(completed(100)).deleted()
    gone = decided(run, SeenUpkeep(number=1, state=UpkeepState.RUNNING))
    assert ReleaseUpkeep(number=1) in gone.actions
    assert "gave way to the deletion" in upkeep_of(gone).message


def test_nothing_is_charged_meanwhile() -> None:
    run = begun(completed(100, budget={"limitUSD": "1.00"}))
    later = decided(run, SeenUpkeep(number=1, state=UpkeepState.RUNNING), seconds=90_000)
    assert later.status.cost.spent_usd == run.status.cost.spent_usd
    assert later.status.phase == Phase.VERIFYING


AWAY = SeenUpkeep(number=1, state=UpkeepState.UNREACHABLE, message="eu cannot be reached")
STOPPING = "; to end it as Stopped without: lightcompute stop baseline -n team --for-good"


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (AWAY, "where they lie: eu cannot be reached" + STOPPING),
        (SeenUpkeep(number=1, state=UpkeepState.FAILED, message="no Secret"), "no Secret" + STOPPING),
        (SeenUpkeep(number=1, state=UpkeepState.RUNNING, message="at work"), "where they lie: at work"),
    ],
    ids=["its cluster is away", "it failed", "it is at work"],
)  # fmt: skip
def test_where_it_may_be_waited_for_for_ever_what_ends_the_wait_is_told(
    seen: SeenUpkeep, told: str
) -> None:
    run = begun(completed(100).with_metadata(name="baseline", namespace="team"))
    assert decided(run, seen).message.endswith(told)
