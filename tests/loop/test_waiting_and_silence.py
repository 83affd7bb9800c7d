"""Whole runs that wait for their place, and loops that begin again beside a run that goes on: what is tried, when, and what is left alone."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.api.words import Phase
from lightcompute.testing.builders import NOON, a_place, a_run, an_offer, at
from lightcompute.testing.drive import drive
from lightcompute.testing.trainer import NO_ROOM, Fate, Script
from lightcompute.testing.troubles import Trouble
from lightcompute.testing.world import World, a_world


def starts(world: World) -> list[float]:
    """Seconds after noon at which attempts were reserved."""
    return [(a.reserved_time - NOON).total_seconds() for a in world.run.status.attempts]


def test_a_place_that_takes_nothing_in_is_tried_once_a_round_until_the_search_ends() -> None:
    world = a_world(a_run(), obstacle=NO_ROOM)
    drive(world)
    status = world.run.status
    assert (status.phase, status.reason) == (Phase.FAILED, Reason.PRE_RUNNING_DEADLINE_EXCEEDED)
    assert starts(world) == [0, 600, 1200, 1800, 2400, 3000]
    assert status.completion_time == at(3600)
    assert NO_ROOM.words in status.message
    assert (status.restarts_count_towards_max, status.cost.spent_usd) == (0, 0)


def test_every_place_gets_its_try_and_none_is_tried_twice_in_a_round() -> None:
    offers = tuple(an_offer("1.00", place=a_place(gpu)) for gpu in ("A", "B", "C"))
    world = a_world(a_run(), obstacle=NO_ROOM, offers=offers)
    drive(world)
    tries: dict[str, list[float]] = {}
    for second, attempt in zip(starts(world), world.run.status.attempts, strict=True):
        tries.setdefault(attempt.place.gpu_type, []).append(second)
    assert set(tries) == {"A", "B", "C"}
    for times in tries.values():
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(gap >= 600 for gap in gaps)
    assert [tries[gpu][0] for gpu in "ABC"] == pytest.approx([0, 121, 242], abs=6)
    assert world.run.status.completion_time == at(3600)


def test_a_run_that_waits_is_written_only_when_something_changes() -> None:
    world = a_world(a_run(), obstacle=NO_ROOM)
    drive(world, until_seconds=590)
    # Recorded; seen to wait; given up; gone, and waiting for the next round.
    assert world.writes == 4


@pytest.mark.parametrize("down_seconds", [10, 300, 3000])
def test_a_loop_that_has_not_read_the_log_yet_calls_no_run_hung(down_seconds: float) -> None:
    """It was down for longer than the run may be silent, and knows no report when it begins again."""
    world = a_world(
        a_run().with_spec(progressDeadlineSeconds=60),
        script=Script(steps=5000),
        reading_seconds=25,
        troubles={2: Trouble.CRASH_AFTER},
    )
    drive(world, down_seconds=down_seconds)
    assert [a.reason for a in world.run.status.attempts] == [Reason.COMPLETED]


@pytest.mark.parametrize("reading_seconds", [0, 25])
def test_a_run_that_hangs_while_nobody_looks_is_found_once_its_log_is_read(
    reading_seconds: float,
) -> None:
    world = a_world(
        a_run().with_spec(progressDeadlineSeconds=60),
        script=Script(fates={1: Fate(after_seconds=35, hangs=True)}),
        reading_seconds=reading_seconds,
        troubles={2: Trouble.CRASH_AFTER},
    )
    drive(world, down_seconds=3000)
    first, second = world.run.status.attempts
    assert (first.reason, second.reason) == (Reason.HANG, Reason.COMPLETED)
    assert first.stop_time is not None
    late = first.stop_time - at(3000)
    assert timedelta() <= late <= timedelta(seconds=reading_seconds + 60)


def test_what_a_run_concluded_is_known_from_its_log_alone() -> None:
    world = a_world(a_run())
    drive(world)
    results = world.run.status.results
    assert results is not None
    assert (results.attempt, results.steps, results.reason) == (1, 100, "MaxStepsReached")
