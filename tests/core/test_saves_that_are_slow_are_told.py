"""Saves that take longer than the time between them are told while they do: with numbers, one event each way, and no flapping."""

from __future__ import annotations

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.api.status import TrainingRunStatus
from lightcompute.core.decision import Decision
from lightcompute.core.revise import revised
from lightcompute.core.saves import saves_told, wrong
from lightcompute.testing.builders import at
from runcontract.progress import CHECKPOINT_SLOW, Report, Saved, Warned
from support.told_saves import failed, look, ready


def saved(
    step: int, *, late: float = 0, interval: float | None = 60, took: float = 5, waited: float | None = 0,
    attempt: int = 1,
) -> Saved:  # fmt: skip
    return Saved(
        time=at(step), attempt=attempt, step=step, name=f"step-{step:08d}", size_bytes=9, digest="d",
        save_seconds=took, interval_seconds=interval, late_seconds=late, waited_seconds=waited,
    )  # fmt: skip


def slow(step: int, message: str = "under way for 130 s") -> Warned:
    return Warned(time=at(step), attempt=1, step=step, reason=CHECKPOINT_SLOW, message=message)


def events(decision: Decision) -> list[tuple[str, Reason]]:
    about = {Reason.CHECKPOINTS_SLOW, Reason.CHECKPOINT_VERIFIED}
    return [(each.type, each.reason) for each in decision.events if each.reason in about]


def reason(*reports: Report, before: TrainingRunStatus | None = None) -> str:
    return ready(look(*reports, before=before)).reason


def test_the_condition_stays_true_and_has_the_numbers() -> None:
    found = ready(look(saved(10), saved(20, late=30), saved(30, late=41, took=95.2, waited=41)))
    assert (found.status, found.reason) == ("True", "CheckpointsSlow")
    assert found.message == (
        "step-00000030 at step 30 is verified; saves are slow since step 30: the newest took 95 s and was due 60 s after the one "
        "before it; it began 41 s late, and training stood still for 41 s"
    )


def test_where_training_does_not_wait_that_is_told() -> None:
    found = ready(look(saved(10, late=30), saved(20, late=35)))
    assert found.message.endswith("it began 35 s late, and training went on meanwhile")


def test_of_a_program_that_is_carried_nobody_knows_whether_it_waited() -> None:
    found = ready(look(saved(10, late=30), saved(20, late=35, waited=None)))
    assert found.message.endswith("it began 35 s late")


@pytest.mark.parametrize(
    ("why", "reports"),
    [
        ("one is none", [saved(10), saved(20, late=50)]),
        ("every other one is none", [saved(step, late=step % 20 * 5) for step in range(10, 90, 10)]),
        ("less than two seconds", [saved(step, late=1.9, interval=1) for step in (10, 20, 30)]),
        ("less than a tenth", [saved(step, late=50, interval=600) for step in (10, 20, 30)]),
        ("not planned", [saved(step, late=50, interval=None) for step in (10, 20, 30)]),
        ("long and in time", [saved(step, took=59) for step in (10, 20, 30)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_not_slow(why: str, reports: list[Saved]) -> None:
    assert reason(*reports) == "CheckpointVerified", why


def test_one_that_is_under_way_for_too_long_is_enough_before_any_is_verified() -> None:
    found = ready(look(slow(20)))
    assert (found.status, found.reason) == ("False", "CheckpointsSlow")
    assert (
        found.message == "none is verified yet; saves are slow since step 20: under way for 130 s"
    )


def test_it_ends_with_the_second_that_is_in_time() -> None:
    before: list[Report] = [slow(20), saved(15), saved(30, late=70)]
    assert reason(*before, saved(40)) == "CheckpointsSlow"
    assert reason(*before, saved(40), saved(45, interval=None)) == "CheckpointsSlow"
    assert reason(*before, saved(40), saved(50)) == "CheckpointVerified"


def test_beginning_and_end_are_told_once_each() -> None:
    said: list[Report] = [saved(10, late=30), saved(20, late=30)]
    first = look(*said)
    assert events(first) == [("Warning", Reason.CHECKPOINTS_SLOW)]
    said.append(saved(30, late=50))
    second = look(*said, before=first.status)
    assert events(second) == []
    assert second.status.saves is not None
    assert second.status.saves.slow_since_step == 20
    said += [saved(40), saved(50)]
    third = look(*said, before=second.status)
    assert events(third) == [("Normal", Reason.CHECKPOINT_VERIFIED)]
    assert events(look(*said, before=third.status)) == []


def test_saves_that_fail_come_first_and_slowness_is_remembered() -> None:
    slow_ones = (saved(10, late=30), saved(20, late=30))
    assert reason(*slow_ones, failed(30)) == "CheckpointsFailing"
    assert reason(*slow_ones, failed(30), saved(40, late=30)) == "CheckpointsSlow"


def test_an_operator_that_has_not_read_the_log_yet_does_not_take_it_back() -> None:
    known = look(saved(10, late=30), saved(20, late=30)).status
    again = look(before=known)
    assert again.status.saves == known.saves
    assert ready(again).reason == "CheckpointsSlow"
    assert events(again) == []


def test_the_next_attempt_has_to_keep_up_before_all_is_well() -> None:
    known = look(saved(10, late=30), saved(20, late=30)).status
    first = look(saved(30, interval=None, attempt=2), before=known, attempt=2)
    assert ready(first).reason == "CheckpointsSlow"
    timely = (saved(40, attempt=2), saved(50, attempt=2))
    assert ready(look(*timely, before=known, attempt=2)).reason == "CheckpointVerified"


def test_of_a_run_at_rest_nothing_is_slow() -> None:
    known = saves_told(None, None)
    assert wrong(known, is_live=True) is None
    status = look(saved(10, late=30), saved(20, late=30)).status
    assert status.saves is not None
    assert wrong(status.saves, is_live=True) is not None
    assert wrong(status.saves, is_live=False) is None


def test_what_was_measured_stays_beside_it() -> None:
    status = look(saved(10, late=30, took=90), saved(20, late=30)).status
    assert status.saves is not None
    assert status.saves.longest_save_seconds == 90
    assert revised(status.saves, slow_since_step=None, slowness="").longest_save_seconds == 90
