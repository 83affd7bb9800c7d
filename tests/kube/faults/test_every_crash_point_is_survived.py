"""Kills the operator before and after every write of every workload, and compares the ends with those of undisturbed runs.

The runs of many points are held at once, and one kill serves them all; while they recover, the next kill meets them anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from support.crash_points import CrashProxy, Fate, Point
from support.run_spaces import Space, a_space
from support.testcluster.control_plane import ControlPlane
from support.workloads import WORKLOADS, Outcome, settled

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

AT_ONCE = 36
"""Points of one kill: each holds one of the operator's connections, of which there are 64."""
HELD_SECONDS = 22.0
"""A request that is not answered for 30 s is given up by its sender."""
LATE_EVERY = 3
"""Of so many writes one is tried as one that arrives late."""


@pytest.fixture
def proxy(served: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashProxy]:
    proxy = CrashProxy(served, folder=tmp_path_factory.mktemp("proxy"))
    yield proxy
    proxy.stop()


@pytest.fixture
def space(
    served: ControlPlane, proxy: CrashProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Space]:
    folder = tmp_path_factory.mktemp("space")
    with a_space(served, folder, kubeconfig=proxy.kubeconfig) as space:
        space.start_operator().wait_ready()
        yield space


@dataclass(kw_only=True)
class Drill:
    """Runs that are played while operators are killed."""

    space: Space
    proxy: CrashProxy
    pool: ThreadPoolExecutor
    played: dict[str, Future[Outcome]] = field(default_factory=dict)

    def play(self, workload: str, run: str) -> None:
        """Plays `workload` as `run`."""
        known = WORKLOADS[workload]

        def play() -> Outcome:
            return settled(known.play(self.space, run), known.ends)

        self.played[run] = self.pool.submit(play)

    def kill_at(self, points: list[Point]) -> list[Point]:
        """Plays a run for each point, kills the operator when they stand at it, and has another take over; gives those that did."""
        killed, other = self.space.operator, self.space.start_operator()
        for point in points:
            self.proxy.add(point)
            self.play(point.run.partition("--")[0], point.run)
        self.proxy.until_reached(lambda run: self.played[run].done(), HELD_SECONDS)
        killed.kill()
        hit = self.proxy.release(Fate.LOST, Fate.DONE)
        self.space.bury(killed)
        other.wait_ready()
        return [*hit, *self.proxy.release(Fate.LATE)]

    def wrong(self) -> dict[str, Outcome | BaseException]:
        """Runs that did not end as they should."""
        ends = {run: WORKLOADS[run.partition("--")[0]].ends for run in self.played}
        found = {run: future.exception() or future.result() for run, future in self.played.items()}
        return {run: each for run, each in found.items() if each != ends[run]}


def points_of(counts: dict[str, int]) -> list[Point]:
    """Before and after each write of each workload, and of some writes: too late. In the order in which they are reached."""
    points = [
        Point(run=f"{name}--{number}-{fate}", number=number, fate=fate)
        for name, count in counts.items()
        for number in range(1, count + 1)
        for fate in Fate
        if fate is not Fate.LATE or number % LATE_EVERY == 0
    ]
    return sorted(points, key=lambda point: point.number)


def test_a_kill_before_or_after_any_write_changes_nothing_about_the_end(
    space: Space, proxy: CrashProxy, record_property: Callable[[str, object], None]
) -> None:
    with ThreadPoolExecutor(max_workers=400) as pool:
        drill = Drill(space=space, proxy=proxy, pool=pool)
        for name in WORKLOADS:
            drill.play(name, f"{name}--0")
        assert drill.wrong() == {}
        counts = {name: proxy.writes(f"{name}--0") for name in WORKLOADS}
        points = points_of(counts)
        hit: list[Point] = []
        for begin in range(0, len(points), AT_ONCE):
            hit += drill.kill_at(points[begin : begin + AT_ONCE])
        wrong = drill.wrong()
    tried = len(hit)
    record_property("crash_points", tried)
    print(
        f"{tried} of {len(points)} crash points, {len(space.operators) - 1} kills, writes {counts}"
    )
    assert wrong == {}
    assert space.audit() == ()
    assert tried >= 0.7 * len(points)
    assert [
        line for each in space.operators for line in each.lines if line["level"] == "ERROR"
    ] == []
