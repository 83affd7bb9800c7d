"""Checkpoints that wall time decides: when they come, and that nothing but their steps differs for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from lightgpt.train.interval import SaveInterval
from runcontract.progress import Saved
from support.training import Workshop, file_hashes, order_document, repeatable_rows, reports


class Hand:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def saved_steps(workshop: Workshop, out: str) -> list[int]:
    return [r.step for r in reports(workshop.folder / out) if isinstance(r, Saved)]


def test_time_is_counted_from_the_last_save_that_began() -> None:
    clock = Hand()
    interval = SaveInterval(60, clock=clock)
    clock.seconds += 59.9
    assert not interval.is_over()
    clock.seconds += 0.1
    assert interval.is_over()
    interval.begin()
    assert not interval.is_over()
    clock.seconds += 60
    assert interval.is_over()


def test_without_a_time_no_time_is_enough() -> None:
    clock = Hand()
    interval = SaveInterval(None, clock=clock)
    clock.seconds += 1e9
    assert not interval.is_over()


@pytest.fixture
def clock_of_saves(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterator[float]], None]:
    """Puts a clock in place of the one that time between checkpoints is read from."""

    def put(readings: Iterator[float]) -> None:
        monkeypatch.setattr("lightgpt.train.attempt.monotonic", lambda: next(readings))

    return put


@pytest.mark.slow
def test_a_run_that_saves_by_the_clock_has_every_number_of_one_that_saves_by_steps(
    workshop: Workshop, clock_of_saves: Callable[[Iterator[float]], None]
) -> None:
    document = order_document(maxSteps=40, evaluation={"everySteps": 20, "batchSize": 16})
    by_steps = workshop.attempt(document | {"checkpoints": {"everySteps": 20}}, "steps")
    # A second passes each time that somebody looks.
    clock_of_saves(map(float, itertools.count()))
    settings = {"everySeconds": 3, "keepLatest": 100}
    by_time = workshop.attempt(document | {"checkpoints": settings}, "time")
    assert saved_steps(workshop, "steps") == [20, 40]
    between = set(saved_steps(workshop, "time")) - {20, 40}
    assert between
    one, other = workshop.folder / "steps", workshop.folder / "time"
    assert repeatable_rows(other) == repeatable_rows(one)
    assert file_hashes(other, 40) == file_hashes(one, 40)
    assert (by_time.test, by_time.sample) == (by_steps.test, by_steps.sample)


def test_where_time_decides_evaluations_save_nothing_and_the_end_does(
    workshop: Workshop, clock_of_saves: Callable[[Iterator[float]], None]
) -> None:
    clock_of_saves(itertools.repeat(0.0))
    workshop.attempt(order_document() | {"checkpoints": {"everySeconds": 1}})
    assert saved_steps(workshop, "out") == [12]
