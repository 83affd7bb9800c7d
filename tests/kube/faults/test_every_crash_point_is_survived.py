"""Kills the operator before and after every write of every workload, and compares the ends with those of undisturbed runs.

The runs of many points are held at once, and one kill serves them all; while they recover, the next kill meets them anywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.drills import Drill, a_drill, named
from support.run_spaces import Space
from support.workloads import WORKLOADS
from support.write_points import KILLS, Fate, Point, WritePoints

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

AT_ONCE = 24
"""Points of one kill: each holds one of the operator's connections, of which there are 64."""
HELD_SECONDS = 16.0
"""So long a kill waits for the last of its points; a request that is not answered for 30 s is given up by its sender."""
SHARED = 6
"""Writes until an attempt runs, which are the same for all workloads: tried with one."""
EVERY = {Fate.LOST: 1, Fate.DONE: 2, Fate.LATE: 6}
"""Of so many writes one is tried in each way. After one write is before the next, but for what the operator knew."""


def points_of(counts: dict[str, int]) -> list[Point]:
    """The points of each workload, which has so many writes; in the order in which they are reached."""
    points = [
        Point(run=named(name, f"{number}-{fate}"), number=number, fate=fate)
        for name, count in counts.items()
        for number in range(1 if name == "happy" else SHARED + 1, count + 1)
        for fate in KILLS
        if number % EVERY[fate] == 0
    ]
    return sorted(points, key=lambda point: point.number)


def kill_at(points: list[Point], drill: Drill, proxy: WritePoints) -> tuple[Point, ...]:
    """Plays a run for each point, kills the operator when they stand at it, and has another take over; gives those that did."""
    space = drill.space
    killed, other = space.operator, space.start_operator()
    for point in points:
        proxy.add(point)
        drill.play(point.run)
    proxy.until_held(drill.is_over, HELD_SECONDS)
    killed.kill()
    hit = proxy.release(Fate.LOST, Fate.DONE)
    space.bury(killed)
    other.wait_ready()
    return (*hit, *proxy.release(Fate.LATE))


def test_a_kill_before_or_after_any_write_changes_nothing_about_the_end(
    counted_space: Space,
    write_points: WritePoints,
    record_property: Callable[[str, object], None],
) -> None:
    space, proxy = counted_space, write_points
    with a_drill(space) as drill:
        drill.play_all("undisturbed")
        assert drill.wrong() == {}
        counts = {name: proxy.writes(named(name, "undisturbed")) for name in WORKLOADS}
        points = points_of(counts)
        hit: list[Point] = []
        for begin in range(0, len(points), AT_ONCE):
            hit += kill_at(points[begin : begin + AT_ONCE], drill, proxy)
        wrong = drill.wrong()
    kills = len(space.operators) - 1
    record_property("crash_points", len(hit))
    print(f"{len(hit)} of {len(points)} points reached, {kills} kills; writes of each: {counts}")
    assert wrong == {}
    assert space.audit() == ()
    assert len(hit) >= 0.6 * len(points)
    assert space.errors == []
