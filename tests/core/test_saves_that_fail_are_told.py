"""A save that failed is told until one succeeds: by the condition, in status and once as an event, whoever dies meanwhile."""

from __future__ import annotations

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.api.status import TrainingRunStatus
from lightcompute.core.decision import Decision
from lightcompute.testing.builders import at
from runcontract.progress import Saved, Started, Warned
from support.told_saves import failed, look, ready


def saved(step: int, attempt: int = 1) -> Saved:
    return Saved(
        time=at(step), attempt=attempt, step=step, name=f"step-{step:08d}", size_bytes=9, digest="d",
        save_seconds=0.1,
    )  # fmt: skip


def events(decision: Decision) -> list[tuple[str, Reason]]:
    about = {Reason.CHECKPOINTS_FAILING, Reason.CHECKPOINT_VERIFIED}
    return [(each.type, each.reason) for each in decision.events if each.reason in about]


def test_the_condition_says_what_is_verified_and_why_nothing_newer_is() -> None:
    found = ready(look(saved(100), failed(120)))
    assert (found.status, found.reason) == ("True", "CheckpointsFailing")
    assert found.message == (
        "step-00000100 at step 100 is verified; saves fail since step 120: save 1 of at most 3 that may fail in a row: "
        "/runs: found No space left on device"
    )


def test_where_none_was_ever_saved_the_answer_is_no_and_the_reason_the_failure() -> None:
    found = ready(look(failed(20)))
    assert (found.status, found.reason) == ("False", "CheckpointsFailing")
    assert found.message.startswith("none is verified yet; saves fail since step 20: ")


def test_since_when_stays_and_what_is_said_is_of_the_newest() -> None:
    message = ready(look(saved(100), failed(120), failed(140, "Read-only file system"))).message
    assert message.endswith("saves fail since step 120: Read-only file system")


def test_a_save_that_succeeds_ends_it() -> None:
    found = ready(look(saved(100), failed(120), saved(140)))
    assert (found.status, found.reason) == ("True", "CheckpointVerified")
    assert found.message == "step-00000140 at step 140 is verified"


def test_saves_that_fail_anew_fail_from_there() -> None:
    message = ready(look(failed(120), saved(140), failed(160, "x"))).message
    assert message == "step-00000140 at step 140 is verified; saves fail since step 160: x"


def test_a_success_between_two_looks_is_not_passed_over() -> None:
    known = look(saved(100), failed(120)).status
    later = look(saved(100), failed(120), saved(140), failed(160), before=known)
    assert (
        "step-00000140 at step 140 is verified; saves fail since step 160" in ready(later).message
    )


@pytest.mark.parametrize("reason", ["CheckpointFolderFault", "CheckpointQuarantined", "Anything"])
def test_other_warnings_are_no_failed_saves(reason: str) -> None:
    other = Warned(time=at(120), attempt=1, step=120, reason=reason, message="x")
    assert ready(look(saved(100), other)).reason == "CheckpointVerified"


def test_another_warning_does_not_hide_that_saves_fail() -> None:
    other = Warned(time=at(121), attempt=1, step=121, reason="RequestUnreadable", message="x")
    assert ready(look(saved(100), failed(120), other)).reason == "CheckpointsFailing"


def test_beginning_and_end_are_told_once_each() -> None:
    first = look(saved(100), failed(120))
    assert events(first) == [("Warning", Reason.CHECKPOINTS_FAILING)]
    second = look(saved(100), failed(120), failed(140, "y"), before=first.status)
    assert events(second) == []
    third = look(saved(100), failed(120), failed(140), saved(160), before=second.status)
    assert events(third) == [("Normal", Reason.CHECKPOINT_VERIFIED)]
    assert events(look(saved(100), saved(160), before=third.status)) == []


def test_an_operator_that_has_not_read_the_log_yet_does_not_take_it_back() -> None:
    known = look(saved(100), failed(120)).status
    again = look(before=known)
    assert again.status.saves == known.saves
    assert ready(again).reason == "CheckpointsFailing"
    assert events(again) == []


def test_a_log_that_was_cut_off_leaves_since_when_as_it_is_known() -> None:
    known = look(failed(120)).status
    assert "since step 120: y" in ready(look(failed(140, "y"), before=known)).message


def test_the_next_attempt_has_to_save_before_all_is_well() -> None:
    known = look(saved(100), failed(120)).status
    started = Started(
        time=at(125),
        attempt=2,
        step=100,
        max_steps=200,
        parameters=1,
        training_tokens=1,
        device="x",
    )
    assert ready(look(started, before=known, attempt=2)).reason == "CheckpointsFailing"
    second = look(failed(130, "z", attempt=2), before=known, attempt=2)
    assert "since step 120: z" in ready(second).message
    assert (
        ready(look(saved(140, 2), before=second.status, attempt=2)).reason == "CheckpointVerified"
    )


def test_the_answer_changes_its_time_only_when_it_changes() -> None:
    first = look(saved(100), now=200)
    second = look(saved(100), failed(120), before=first.status, now=300)
    assert ready(second).last_transition_time == ready(first).last_transition_time


def test_a_trainer_that_says_much_fits_in() -> None:
    decision = look(failed(20, "x" * 1024))
    assert len(ready(decision).message) <= 1024
    assert TrainingRunStatus.model_validate(decision.status.document()).saves is not None
