"""Any write may fail in any way, or be carried out without an answer: the end is the same."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import pytest

from support.drills import a_drill, named
from support.run_spaces import Space
from support.workloads import WORKLOADS
from support.write_points import FAILURES, Point, WritePoints

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

AT_ONCE = 30
SHARED = 6
"""Writes until an attempt runs, which are the same for all workloads."""
WRITES = {"happy": 7, "fails-once": 18, "suspended": 20, "deleted": 13, "edited": 9, "hangs": 18}
"""So many of each are tried; a workload that has fewer of them passes undisturbed."""


def points() -> list[Point]:
    """Every failure at each write of a happy run; at each further write of the others one after the other."""
    first = [
        Point(run=named("happy", f"{number}-{fate}"), number=number, fate=fate)
        for number in range(1, WRITES["happy"] + 1)
        for fate in FAILURES
    ]
    failures = cycle(FAILURES)
    others = [
        Point(run=named(name, f"{number}-{fate}"), number=number, fate=fate)
        for name, count in WRITES.items()
        if name != "happy"
        for number in range(SHARED + 1, count + 1)
        for fate in (next(failures), next(failures))
    ]
    return first + others


def test_a_failure_of_any_write_changes_nothing_about_the_end(
    counted_space: Space,
    write_points: WritePoints,
    record_property: Callable[[str, object], None],
) -> None:
    tried = points()
    with a_drill(counted_space) as drill:
        for begin in range(0, len(tried), AT_ONCE):
            batch = tried[begin : begin + AT_ONCE]
            for point in batch:
                write_points.add(point)
                drill.play(point.run)
            for point in batch:
                drill.played[point.run].exception()
        wrong = drill.wrong()
    reached = sum(point.reached for point in tried)
    record_property("failed_writes", reached)
    print(f"{reached} of {len(tried)} writes failed; workloads {', '.join(WORKLOADS)}")
    assert wrong == {}
    assert counted_space.audit() == ()
    assert reached >= 0.7 * len(tried)
    assert counted_space.errors == []
