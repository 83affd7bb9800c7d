"""The inventory in status is what the trainer said of its saves: all of them, however many came between two looks."""

from __future__ import annotations

from typing import Any

from lightcompute.api import labels
from lightcompute.api.status import Attempt
from lightcompute.core.decide import decide
from lightcompute.core.progress import MOST_SAVES, Progress
from lightcompute.core.snapshot import ChildState, SeenUpkeep, UpkeepState
from lightcompute.testing.builders import (
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_ended_attempt,
    at,
)
from runcontract.bounds import MAX_COUNT
from runcontract.losses import Loss
from runcontract.progress import Saved, Started
from runcontract.results import TerminationMessage


def saved(step: int, *, loss: float = 1.0, kept: tuple[int, ...] = ()) -> Saved:
    name = f"step-{step:08d}"
    return Saved(
        time=at(step), attempt=1, step=step, name=name, size_bytes=9, digest="d", epoch=step / 10,
        validation=Loss(nats_per_token=loss, nats_per_character=loss, bits_per_byte=loss),
        save_seconds=0.1, kept=tuple(f"step-{each:08d}" for each in kept),
    )  # fmt: skip


def heard(*saves: Saved) -> Progress:
    progress = Progress(attempt=1)
    for each in saves:
        progress = progress.with_report(each)
    return progress


def inventory(*saves: Saved, **notes: Any) -> list[tuple[int, tuple[str, ...]]]:
    run = a_run().with_attempts(a_running_attempt()).with_metadata(annotations=notes)
    decision = decide(a_snapshot(run, a_child(progress=heard(*saves)), now=at(100)))
    return [(each.step, each.kept_because) for each in decision.status.checkpoints]


def test_saves_that_came_between_two_looks_are_all_on_record() -> None:
    assert [step for step, _ in inventory(saved(5), saved(10), saved(15))] == [5, 10, 15]


def test_what_the_newest_save_kept_no_more_is_gone() -> None:
    saves = (saved(5), saved(10), saved(15, kept=(5, 15)))
    assert [step for step, _ in inventory(*saves)] == [5, 15]


def test_each_says_why_it_is_kept() -> None:
    saves = (saved(5, loss=0.1), saved(10), saved(15), saved(20), saved(25))
    pinned = {labels.PINNED_CHECKPOINTS: "10"}
    assert inventory(*saves, **pinned) == [
        (5, ("Best",)), (10, ("Pinned",)), (15, ("Latest",)), (20, ("Latest",)), (25, ("LastVerified", "Latest"))
    ]  # fmt: skip


def test_epoch_and_time_are_on_record() -> None:
    run = a_run().with_attempts(a_running_attempt())
    decision = decide(a_snapshot(run, a_child(progress=heard(saved(5))), now=at(100)))
    [kept] = decision.status.checkpoints
    assert (kept.epoch, kept.saved_time, kept.verified) == (0.5, at(5), True)


def test_a_trainer_that_saves_without_end_takes_no_more_memory() -> None:
    progress = heard(*(saved(step) for step in range(1, 200)))
    assert [each.step for each in progress.saves] == list(range(200 - MOST_SAVES, 200))


# Where an attempt goes on.


def gone_on(resumed: int | None, *before: Attempt) -> tuple[Attempt, str]:
    number = len(before) + 1
    live = a_running_attempt(number)
    progress = Progress(attempt=number).with_report(
        Started(
            time=at(1), attempt=number, step=resumed or 0, max_steps=100, parameters=1,
            training_tokens=1, resumed_from_step=resumed, device="cpu",
        )
    )  # fmt: skip
    run = a_run().with_attempts(*before, live)
    decision = decide(a_snapshot(run, a_child(number, progress=progress), now=at(10)))
    return decision.status.attempts[-1], decision.message


def test_an_attempt_says_from_which_step_it_goes_on_and_how_many_it_does_again() -> None:
    attempt, message = gone_on(40, an_ended_attempt(reason="NodeLost", counts=False, last_step=52))
    assert (attempt.first_step, attempt.lost_steps) == (40, 12)
    assert "it went on from step 40, and does 12 steps again" in message


def test_what_was_saved_in_time_is_not_lost() -> None:
    attempt, message = gone_on(52, an_ended_attempt(reason="Preempted", counts=False, last_step=52))
    assert (attempt.first_step, attempt.lost_steps) == (52, 0)
    assert "again" not in message


def test_a_first_attempt_loses_nothing_and_one_that_begins_anew_all() -> None:
    assert gone_on(None)[0].lost_steps is None
    attempt, _ = gone_on(None, an_ended_attempt(last_step=52))
    assert (attempt.first_step, attempt.lost_steps) == (0, 52)
    assert gone_on(None, an_ended_attempt())[0].lost_steps is None


def test_a_run_whose_storage_outlives_no_attempt_is_told_so() -> None:
    def told(**spec: Any) -> str:
        run = a_run().with_spec(**spec).with_attempts(a_running_attempt())
        seen = SeenUpkeep(number=0, state=UpkeepState.ABSENT)
        decision = decide(a_snapshot(run, a_child(), now=at(10), upkeep=seen))
        [found] = [each for each in decision.status.conditions if each.type == "CheckpointReady"]
        return found.message

    assert "the next one begins at step 0" in told()
    assert "the next one begins at step 0" in told(storage={"ephemeral": {}})
    assert "step 0" not in told(storage={"s3": {"bucket": "abc"}})
    assert "step 0" not in told(storage={"persistentVolumeClaim": {"claimName": "runs"}})


def test_the_step_that_was_reached_is_known_though_the_end_of_the_log_was_not_read() -> None:
    for step, reached in ((16, 16), (0, 15), (10**400, MAX_COUNT)):
        word = TerminationMessage(exit_code=13, reason="Preempted", message="saved", step=step)
        child = a_child(
            state=ChildState.EXITED, exit_code=13, termination=word, progress=heard(saved(15)), end_time=at(60),
        )  # fmt: skip
        decision = decide(a_snapshot(a_run().with_attempts(a_running_attempt()), child, now=at(60)))
        assert decision.status.attempts[0].last_step == reached
