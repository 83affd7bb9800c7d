"""What is done about checkpoints while nothing trains: once for each wish, by number, and never in the way of an attempt."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api import Phase, Reason, labels
from lightcompute.api.status import Attempt, Upkeep
from lightcompute.core.decide import decide
from lightcompute.core.decision import (
    Decision,
    LetGo,
    ReleaseAttempt,
    ReleaseUpkeep,
    StartAttempt,
    StartUpkeep,
    TellAttempt,
)
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import ChildState, SeenUpkeep, UpkeepState
from lightcompute.testing.builders import (
    RunBuilder,
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_ended_attempt,
    at,
)
from runcontract.losses import Loss
from runcontract.results import KeptCheckpoint
from runcontract.upkeep import TendedCheckpoint, UpkeepReport, UpkeepTask

NOTHING = SeenUpkeep(number=0, state=UpkeepState.ABSENT)
STORAGE = {"persistentVolumeClaim": {"claimName": "runs"}}
DONE = an_ended_attempt(reason="Completed", counts=False, exit_code=0)


def kept(step: int, loss: float = 1.0, **parts: Any) -> KeptCheckpoint:
    return KeptCheckpoint(
        name=f"step-{step:08d}", step=step, size_bytes=1, digest="d", verified=True,
        validation=Loss(nats_per_token=loss, nats_per_character=loss, bits_per_byte=loss), **parts,
    )  # fmt: skip


def at_rest(*checkpoints: KeptCheckpoint, upkeep: Upkeep | None = None, **spec: Any) -> RunBuilder:
    """A run that has succeeded and left checkpoints on a claim."""
    run = a_run().with_spec(storage=STORAGE, **spec).with_attempts(DONE, phase=Phase.SUCCEEDED)
    status = revised(
        run.status,
        checkpoints=checkpoints,
        upkeep=upkeep,
        completion_time=at(60),
        reason="Completed",
    )
    return run.with_status(status)


def decided(run: RunBuilder, seen: SeenUpkeep | None = NOTHING, seconds: float = 100) -> Decision:
    return decide(a_snapshot(run, now=at(seconds), upkeep=seen))


def with_annotation(run: RunBuilder, name: str, text: str) -> RunBuilder:
    return run.with_metadata(annotations={name: text})


def upkeep_of(decision: Decision) -> Upkeep:
    assert decision.status.upkeep is not None
    return decision.status.upkeep


def seen(state: UpkeepState, number: int = 1, **parts: Any) -> SeenUpkeep:
    return SeenUpkeep(number=number, state=state, **parts)


def report(task: UpkeepTask, *checkpoints: TendedCheckpoint) -> SeenUpkeep:
    told = UpkeepReport(task=task, done=True, message="all seen to", checkpoints=checkpoints)
    return seen(UpkeepState.DONE, message=told.message, report=told)


# Deletion.


def test_a_run_stays_until_its_checkpoints_are_deleted_when_that_was_asked_for() -> None:
    run = at_rest(kept(10), checkpoints={"whenDeleted": "Delete"}).deleted()
    first = decided(run)
    assert first.reason == Reason.DELETING_CHECKPOINTS
    assert first.actions == (
        StartUpkeep(number=1, task=UpkeepTask.DELETE),
        ReleaseAttempt(attempt=1),
    )
    assert first.look_again_at is not None
    run = run.with_status(first.status)
    going_on = decided(run, seen(UpkeepState.RUNNING, message="it is at work"))
    assert StartUpkeep(number=1, task=UpkeepTask.DELETE) in going_on.actions
    assert not any(isinstance(each, LetGo) for each in going_on.actions)
    assert "it is at work" in going_on.message
    last = decided(run.with_status(going_on.status), report(UpkeepTask.DELETE))
    assert upkeep_of(last).state == "Done"
    assert last.actions[-1] == LetGo()
    assert ReleaseUpkeep(number=1) in last.actions


def test_a_deletion_that_failed_is_tried_again_ever_more_rarely_and_says_why() -> None:
    run = at_rest(kept(10), checkpoints={"whenDeleted": "Delete"}).deleted()
    run = run.with_status(decided(run).status)
    failed = decided(run, seen(UpkeepState.FAILED, message="no such Secret"), seconds=200)
    assert upkeep_of(failed).failures == 1
    assert "no such Secret" in failed.message
    assert failed.look_again_at == at(230)
    [event] = [each for each in failed.events if each.reason == Reason.CHECKPOINTS_NOT_TENDED]
    assert event.type == "Warning"
    run = run.with_status(failed.status)
    assert not any(isinstance(each, StartUpkeep) for each in decided(run, seconds=229).actions)
    again = decided(run, seconds=230)
    assert StartUpkeep(number=2, task=UpkeepTask.DELETE) in again.actions
    run = run.with_status(again.status)
    failed = decided(run, seen(UpkeepState.FAILED, number=2, message="no"), seconds=240)
    assert failed.look_again_at == at(300)


def test_a_person_takes_the_wish_to_delete_back_while_it_cannot_be_done() -> None:
    run = at_rest(kept(10), checkpoints={"whenDeleted": "Delete"}).deleted()
    first = decided(run, seen(UpkeepState.ABSENT, number=0))
    away = decided(
        run.with_status(first.status), seen(UpkeepState.UNREACHABLE, message="eu is away")
    )
    assert "eu is away" in away.message
    assert "(eu is away); to let it go without: kubectl -n " in away.message
    assert """--type merge -p '{"spec":{"checkpoints":{"whenDeleted":"Retain"}}}'""" in away.message
    retained = run.with_status(away.status).with_spec(checkpoints={"whenDeleted": "Retain"})
    assert decided(retained, seen(UpkeepState.UNREACHABLE)).actions[-1] == LetGo()


@pytest.mark.parametrize(
    "run",
    [
        at_rest(kept(10)),
        a_run().with_spec(checkpoints={"whenDeleted": "Delete"}).with_attempts(DONE, phase=Phase.SUCCEEDED),
        a_run().with_spec(checkpoints={"whenDeleted": "Delete"}, storage=STORAGE),
    ],
    ids=["retained", "on the node's own disk", "never begun"],
)  # fmt: skip
def test_nothing_is_deleted_where_nobody_asked_or_nothing_is_kept(run: RunBuilder) -> None:
    decision = decided(run.deleted())
    assert decision.actions[-1] == LetGo()
    assert decision.status.upkeep is None


def test_a_cluster_that_is_away_is_waited_for_when_checkpoints_are_to_be_deleted() -> None:
    attempt = a_running_attempt(state="Stopping", stop_time=at(10), stop_reason="RunDeleted")
    spec = {"storage": STORAGE, "checkpoints": {"whenDeleted": "Delete"}}
    run = a_run().with_spec(**spec).with_attempts(attempt, phase=Phase.STOPPING).deleted()
    child = a_child(state=ChildState.UNKNOWN, stopping=True)
    waiting = decide(a_snapshot(run, child, now=at(5000), upkeep=NOTHING))
    assert not any(isinstance(each, LetGo) for each in waiting.actions)
    assert (
        "once its attempt can be seen to have ended; to let it go without: kubectl"
        in waiting.message
    )
    kept_there = run.with_spec(checkpoints={"whenDeleted": "Retain"})
    [action] = decide(a_snapshot(kept_there, child, now=at(5000), upkeep=NOTHING)).actions
    assert action == LetGo(owed_attempt=1)


# Pruning.


def test_what_breaks_the_rule_is_pruned_once_the_run_is_at_rest() -> None:
    run = at_rest(
        kept(10, 9.0), kept(20, 8.0), kept(30, 1.0), kept(40, 2.0), checkpoints={"keepLatest": 1}
    )
    first = decided(run)
    assert StartUpkeep(number=1, task=UpkeepTask.PRUNE) in first.actions
    gone = [TendedCheckpoint(step=step, deleted=True) for step in (10, 20)]
    stay = [TendedCheckpoint(step=step) for step in (30, 40)]
    last = decided(run.with_status(first.status), report(UpkeepTask.PRUNE, *gone, *stay))
    assert [each.step for each in last.status.checkpoints] == [30, 40]
    [event] = [each for each in last.events if each.reason == Reason.CHECKPOINTS_TENDED]
    assert event.message == "Prune: all seen to"
    after = decided(run.with_status(last.status), seconds=200)
    assert not any(isinstance(each, StartUpkeep) for each in after.actions)


def test_a_prune_that_failed_is_not_repeated_until_something_else_is_wished() -> None:
    run = at_rest(kept(10), kept(20), checkpoints={"keepLatest": 1, "keepBest": False})
    run = run.with_status(decided(run).status)
    failed = decided(run, seen(UpkeepState.FAILED, message="the volume is read-only"))
    run = run.with_status(failed.status)
    assert decided(run, seconds=9000).actions == ()
    pinned = with_annotation(run, labels.PINNED_CHECKPOINTS, "10")
    assert decided(pinned, seconds=9000).actions == ()


def named(*attempts: Attempt, **spec: Any) -> RunBuilder:
    """A run at rest of a trainer that follows no manifest."""
    run = a_run().foreign().with_spec(storage=STORAGE, checkpoints={"pattern": "ckpt-*"}, **spec)
    run = run.with_attempts(*(attempts or (DONE,)), phase=Phase.SUCCEEDED)
    return run.with_status(revised(run.status, completion_time=at(60), reason="Completed"))


def test_what_only_a_pattern_names_is_pruned_once_after_each_attempt_and_each_change() -> None:
    first = decided(named())
    assert StartUpkeep(number=1, task=UpkeepTask.PRUNE) in first.actions
    assert upkeep_of(first).request.startswith("1 3 ckpt-*")
    run = named().with_status(first.status)
    done = decided(run, report(UpkeepTask.PRUNE))
    run = run.with_status(done.status)
    assert not any(isinstance(each, StartUpkeep) for each in decided(run, seconds=200).actions)
    pinned = decided(with_annotation(run, labels.PINNED_CHECKPOINTS, "100"), seconds=200)
    assert StartUpkeep(number=2, task=UpkeepTask.PRUNE) in pinned.actions
    second = named(DONE, revised(DONE, number=2))
    second = second.with_status(revised(second.status, upkeep=done.status.upkeep))
    assert StartUpkeep(number=2, task=UpkeepTask.PRUNE) in decided(second, seconds=200).actions


def test_a_pattern_on_a_disk_that_is_gone_asks_for_nothing() -> None:
    assert decided(named().with_spec(storage={"ephemeral": {}})).actions == ()


def test_nobody_is_promised_that_what_a_pattern_names_can_be_gone_on_from() -> None:
    [told] = [each for each in decided(named()).status.conditions if each.type == "CheckpointReady"]
    assert (told.status, told.reason) == ("Unknown", "CheckpointsByName")
    assert "nothing verifies it" in told.message


def test_what_is_pinned_breaks_no_rule() -> None:
    run = at_rest(kept(10), kept(20), checkpoints={"keepLatest": 1, "keepBest": False})
    assert decided(with_annotation(run, labels.PINNED_CHECKPOINTS, "10,x")).actions == ()


def test_what_keeps_to_the_rule_is_left_alone() -> None:
    assert decided(at_rest(kept(10), kept(20), kept(30))).actions == ()
    assert decided(at_rest(kept(10), kept(20), checkpoints={"keepLatest": 1}), None).actions == ()


# Verification.


def test_each_request_to_verify_is_served_once_and_its_verdicts_are_on_record() -> None:
    run = with_annotation(at_rest(kept(10), kept(20)), labels.VERIFY_CHECKPOINTS, "first")
    begun = decided(run)
    assert StartUpkeep(number=1, task=UpkeepTask.VERIFY) in begun.actions
    told = report(
        UpkeepTask.VERIFY,
        TendedCheckpoint(step=10, verdict="ValidWithWarnings", found="a tensor is all zero"),
        TendedCheckpoint(step=20, verdict="Invalid", found="model.safetensors: 1 NaN"),
    )
    over = decided(run.with_status(begun.status), told)
    assert [(each.verified, each.verdict) for each in over.status.checkpoints] == [
        (True, "ValidWithWarnings"), (False, "Invalid")
    ]  # fmt: skip
    run = run.with_status(over.status)
    assert decided(run, seconds=200).actions == ()
    again = decided(with_annotation(run, labels.VERIFY_CHECKPOINTS, "second"), seconds=200)
    assert StartUpkeep(number=2, task=UpkeepTask.VERIFY) in again.actions


def test_an_upkeep_gives_way_to_an_attempt() -> None:
    run = at_rest(kept(10), kept(20))
    run = with_annotation(run, labels.VERIFY_CHECKPOINTS, "first").suspended()
    run = run.with_status(revised(run.status, phase=Phase.SUSPENDED, completion_time=None, attempts=(an_ended_attempt(reason="Preempted", counts=False),)))  # fmt: skip
    begun = decided(run)
    assert StartUpkeep(number=1, task=UpkeepTask.VERIFY) in begun.actions
    resumed = run.with_status(begun.status).with_spec(suspend=False)
    decision = decided(resumed, seen(UpkeepState.RUNNING))
    assert ReleaseUpkeep(number=1) in decision.actions
    assert any(isinstance(each, StartAttempt) for each in decision.actions)
    assert (upkeep_of(decision).state, "gave way" in upkeep_of(decision).message) == (
        "Failed",
        True,
    )


def test_nothing_is_seen_to_while_a_run_trains_or_is_about_to() -> None:
    run = with_annotation(a_run().with_spec(storage=STORAGE), labels.VERIFY_CHECKPOINTS, "now")
    live = run.with_attempts(a_running_attempt())
    assert decide(a_snapshot(live, a_child(), now=at(10), upkeep=NOTHING)).status.upkeep is None
    waiting = run.with_attempts(an_ended_attempt(), phase=Phase.PENDING)
    assert decided(waiting).status.upkeep is None


# What people want of a trainer as it runs.


def wanting(now: str = "", pins: str = "") -> RunBuilder:
    notes = {labels.CHECKPOINT_NOW: now, labels.PINNED_CHECKPOINTS: pins}
    return a_run().with_metadata(annotations=notes).with_attempts(a_running_attempt())


def told(run: RunBuilder, requests: tuple[str, str] | None, **child: Any) -> list[TellAttempt]:
    decision = decide(a_snapshot(run, a_child(requests=requests, **child), now=at(10)))
    return [each for each in decision.actions if isinstance(each, TellAttempt)]


def test_what_is_wanted_of_a_trainer_is_passed_on_until_it_has_been() -> None:
    run = wanting(now=" first ", pins="200,x,100")
    assert told(run, ("", "")) == [TellAttempt(attempt=1, checkpoint_now="first", pins="100,200")]
    assert told(run, ("first", "100,200")) == []


def test_nothing_is_passed_on_to_whom_it_cannot_reach() -> None:
    run = wanting(now="first")
    assert told(run, None) == []
    assert told(run, ("", ""), state=ChildState.PENDING, start_time=None) == []
    assert told(run, ("", ""), state=ChildState.UNKNOWN) == []
