"""The inventory in status is what the trainer said of its saves: all of them, however many came between two looks."""

from __future__ import annotations

from typing import Any

from lightcompute.api import labels
from lightcompute.core.decide import decide
from lightcompute.core.progress import MOST_SAVES, Progress
from lightcompute.testing.builders import a_child, a_run, a_running_attempt, a_snapshot, at
from runcontract.losses import Loss
from runcontract.progress import Saved


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
