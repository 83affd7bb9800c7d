from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest

from lightcompute.api.words import Phase
from lightcompute.core.snapshot import Snapshot
from lightcompute.kube.log_lines import JsonLines
from lightcompute.kube.work import WorkQueue
from lightcompute.kube.workers import LONGEST_WAIT_SECONDS, Workers
from lightcompute.loop import Look, Loop
from lightcompute.testing.builders import NOON, a_run
from lightcompute.testing.trainer import Script
from lightcompute.testing.troubles import Trouble
from lightcompute.testing.world import World, a_world


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Runs:
    """The names of runs, as a RunStore has them."""

    def __init__(self) -> None:
        self.gone_keys: list[str] = []

    def name(self, uid: str) -> tuple[str, str] | None:
        return None if uid in self.gone_keys else ("team-a", f"run-of-{uid}")

    def gone(self, uid: str) -> None:
        self.gone_keys.append(uid)


class Tally:
    def __init__(self) -> None:
        self.looks = 0
        self.faults: list[str] = []

    def looked(self, seconds: float) -> None:
        assert seconds >= 0
        self.looks += 1

    def faulted(self, kind: str) -> None:
        self.faults.append(kind)


class Worlds:
    """The loop over several simulated worlds, with anything that a test wants to happen before a look."""

    def __init__(self, **worlds: World) -> None:
        self.worlds = worlds
        self.before: dict[str, Callable[[], Awaitable[None]]] = {}
        self._loops = {key: Loop(world) for key, world in worlds.items()}
        self._under_way: set[str] = set()

    async def step(self, key: str, now: datetime) -> Look:
        assert key not in self._under_way, "two looks at one run at once"
        self._under_way.add(key)
        try:
            if key in self.before:
                await self.before[key]()
            await asyncio.sleep(0)
            return await self._loops[key].step(self.worlds[key].run.metadata.uid, now)
        finally:
            self._under_way.discard(key)


class Bench:
    """Workers, their queue and what they told."""

    def __init__(self, looks: Worlds) -> None:
        self.looks = looks
        self.clock = Clock()
        self.queue = WorkQueue(self.clock)
        self.runs = Runs()
        self.tally = Tally()
        self.workers = Workers(
            self.queue, looks, self.runs, self.tally, now=lambda: NOON, clock=self.clock
        )

    def work(self, *keys: str, turns: int = 200) -> None:
        """Adds the keys, lets 3 workers work for some turns of the event loop, and sends them home."""

        async def story() -> None:
            working = asyncio.create_task(self.workers.run(3))
            for key in keys:
                self.queue.add(key)
            for _ in range(turns):
                await asyncio.sleep(0)
            self.queue.close()
            await working

        asyncio.run(story())
        self.queue.closed = False

    def due(self) -> dict[str, float]:
        return dict(self.queue._due)


def a_bench(**worlds: World) -> Bench:
    return Bench(Worlds(**worlds))


def broken() -> Awaitable[None]:
    raise KeyError("a bug")


def test_a_run_that_is_looked_at_starts_and_is_looked_at_again_within_a_minute() -> None:
    bench = a_bench(a=a_world(a_run()))
    bench.work("a")
    assert bench.looks.worlds["a"].live_attempts() == [1]
    assert 0 < bench.due()["a"] <= 60
    assert bench.tally.looks == 1


def test_a_bug_in_one_run_touches_no_other_and_is_tried_again_ever_more_slowly() -> None:
    bench = a_bench(bad=a_world(a_run()), good=a_world(a_run()))
    bench.looks.before["bad"] = broken
    waits = []
    for _ in range(12):
        bench.work("bad", "good")
        waits.append(bench.due()["bad"] - bench.clock.now)
        bench.queue.forget("bad")
    assert bench.looks.worlds["good"].live_attempts() == [1]
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == LONGEST_WAIT_SECONDS
    assert bench.tally.faults == ["bug"] * 12


def test_a_bug_that_is_over_is_forgotten() -> None:
    bench = a_bench(a=a_world(a_run()))
    bench.looks.before["a"] = broken
    bench.work("a")
    bench.work("a")
    del bench.looks.before["a"]
    bench.work("a")
    bench.looks.before["a"] = broken
    bench.queue.forget("a")
    bench.work("a")
    assert bench.due() == {"a": 1.0}


def test_a_bug_is_told_of_with_the_run_and_the_place_in_the_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = a_bench(a=a_world(a_run()))
    bench.looks.before["a"] = broken
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(JsonLines().format(record))

    logging.getLogger("lightcompute").addHandler(keep := Keep())
    try:
        bench.work("a")
    finally:
        logging.getLogger("lightcompute").removeHandler(keep)
    assert '"run": "run-of-a"' in lines[0]
    assert '"namespace": "team-a"' in lines[0]
    assert "KeyError" in lines[0]
    assert "in broken" in lines[0]


def test_a_world_that_does_not_answer_is_a_fault_and_no_bug() -> None:
    bench = a_bench(a=a_world(a_run(), troubles={1: Trouble.REQUEST_LOST}))
    bench.work("a")
    assert bench.tally.faults == ["world"]
    assert bench.due() == {"a": 1.0}


def test_a_fault_is_told_once_and_again_when_it_came_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, logger="lightcompute")
    lost = dict.fromkeys((1, 2, 3, 6), Trouble.REQUEST_LOST)
    bench = a_bench(a=a_world(a_run(), troubles=lost))
    told = []
    for _ in range(8):
        bench.work("a")
        told.append(len(caplog.records))
        bench.looks.worlds["a"].edit(suspend=len(told) % 2 == 0)
    assert told[:3] == [1, 1, 1]
    assert told[-1] == 2
    assert bench.tally.faults == ["world"] * 4


def test_a_conflict_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="lightcompute")
    world = a_world(a_run())
    bench = a_bench(a=world)
    observe = world.observe
    times = 0

    async def observed_a_moment_ago(key: str) -> Snapshot | None:
        nonlocal times
        snapshot = await observe(key)
        times += 1
        if times == 1:
            world.annotate("somebody-was-faster")
        return snapshot

    world.observe = observed_a_moment_ago  # type: ignore[method-assign] # what is seen grows old
    bench.work("a")
    assert bench.tally.faults == ["conflict"]
    assert world.live_attempts() == [1]
    assert caplog.records == []


def test_a_key_that_is_added_during_its_look_is_looked_at_once_more() -> None:
    bench = a_bench(a=a_world(a_run()))
    times = 0

    async def add_it_again() -> None:
        nonlocal times
        times += 1
        if times == 1:
            bench.queue.add("a")
            bench.queue.add("a")
        await asyncio.sleep(0)

    bench.looks.before["a"] = add_it_again
    bench.work("a")
    assert times == 2


def test_a_run_that_is_gone_is_forgotten() -> None:
    world = a_world(a_run())
    bench = a_bench(a=world)
    bench.work("a")
    world.gone = True
    bench.work("a")
    assert bench.runs.gone_keys == ["a"]
    assert bench.due() == {}
    assert bench.workers._told == {}


def test_only_what_changes_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="lightcompute")
    bench = a_bench(a=a_world(a_run()))
    bench.work("a")
    bench.work("a")
    bench.work("a")
    (line,) = [record.getMessage() for record in caplog.records]
    decision = bench.looks.worlds["a"].run.status
    assert decision.phase is Phase.STARTING
    assert line.startswith(f"{decision.reason}: ")
    assert "attempt 1" in line


def test_progress_is_recorded_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="lightcompute")
    bench = a_bench(a=a_world(a_run(), script=Script(steps=1000)))
    world = bench.looks.worlds["a"]
    reasons = []
    for seconds in range(0, 600, 20):
        world.now = NOON + timedelta(seconds=seconds)
        bench.work("a")
        reasons.append(world.run.status.reason)
    told = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert world.writes > len(told) + 3, "progress was never recorded"
    assert told == list(dict.fromkeys(reasons))


def test_a_look_that_does_not_end_is_noticed() -> None:
    bench = a_bench(a=a_world(a_run()), b=a_world(a_run()))
    noticed = []

    async def long() -> None:
        bench.clock.now += 121
        noticed.append(bench.workers.stuck())
        await asyncio.sleep(0)

    bench.looks.before["a"] = long
    bench.work("a")
    assert noticed == [("a",)]
    assert bench.workers.stuck() == ()


def test_looks_under_way_are_finished_when_the_queue_is_closed() -> None:
    bench = a_bench(a=a_world(a_run()))

    async def slow() -> None:
        await asyncio.sleep(0.05)

    bench.looks.before["a"] = slow
    bench.work("a", turns=3)
    assert bench.looks.worlds["a"].live_attempts() == [1]


def test_every_run_that_may_change_by_itself_is_looked_at_again_by_itself() -> None:
    """The time comes from the decision; nothing but the queue's clock makes the next look happen."""
    bench = a_bench(a=a_world(a_run()))
    bench.work("a")
    bench.clock.now += 60
    bench.looks.worlds["a"].now = NOON + timedelta(seconds=60)
    bench.work()
    assert bench.tally.looks == 2
