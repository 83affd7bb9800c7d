from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from lightcompute.kube.work import LONGEST_COALESCE_SECONDS, WorkQueue, coalesce_seconds


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock)


def taken(queue: WorkQueue) -> list[str]:
    keys = []
    while (key := queue.next()) is not None:
        keys.append(key)
    return keys


def test_keys_come_out_in_the_order_in_which_they_were_first_added(queue: WorkQueue) -> None:
    for key in ("b", "a", "b", "c", "a"):
        queue.add(key)
    assert taken(queue) == ["b", "a", "c"]


def test_a_key_that_is_worked_on_is_not_handed_out_again_before_it_is_done(
    queue: WorkQueue,
) -> None:
    queue.add("a")
    assert queue.next() == "a"
    queue.add("a")
    queue.add("a")
    assert queue.next() is None
    queue.done("a")
    assert queue.next() == "a"
    queue.done("a")
    assert queue.next() is None


def test_a_busy_key_goes_to_the_end_so_that_others_have_their_turn(queue: WorkQueue) -> None:
    queue.add("busy")
    queue.add("other")
    assert queue.next() == "busy"
    queue.add("busy")
    queue.done("busy")
    assert taken(queue) == ["other", "busy"]


def test_a_key_is_added_when_its_time_has_come(queue: WorkQueue, clock: Clock) -> None:
    queue.add_at("a", 1005.0)
    clock.now = 1004.9
    assert queue.next() is None
    clock.now = 1005.0
    assert queue.next() == "a"
    assert queue.scheduled == 0


@pytest.mark.parametrize("times", [(1005.0, 1030.0), (1030.0, 1005.0), (1005.0, 1005.0)])
def test_of_several_times_the_earliest_holds_and_the_others_are_forgotten(
    queue: WorkQueue, clock: Clock, times: tuple[float, float]
) -> None:
    for when in times:
        queue.add_at("a", when)
    clock.now = 1005.0
    assert taken(queue) == ["a"]
    queue.done("a")
    clock.now = 1100.0
    assert taken(queue) == []


def test_a_time_that_comes_while_the_key_is_worked_on_makes_it_worked_on_again(
    queue: WorkQueue, clock: Clock
) -> None:
    queue.add("a")
    queue.add_at("a", 1001.0)
    assert queue.next() == "a"
    clock.now = 1002.0
    assert queue.next() is None
    queue.done("a")
    assert queue.next() == "a"


def test_a_forgotten_time_adds_nothing(queue: WorkQueue, clock: Clock) -> None:
    queue.add_at("a", 1001.0)
    queue.forget("a")
    clock.now = 1002.0
    assert queue.next() is None


def test_the_age_is_that_of_the_key_that_waits_longest(queue: WorkQueue, clock: Clock) -> None:
    assert queue.oldest_seconds == 0.0
    queue.add("a")
    clock.now += 3
    queue.add("b")
    queue.add("a")
    assert queue.oldest_seconds == 3.0
    assert len(queue) == 2
    queue.next()
    assert queue.oldest_seconds == 0.0


def test_memory_is_in_proportion_to_keys_and_not_to_calls(queue: WorkQueue) -> None:
    for number in range(10_000, 0, -1):
        queue.add_at(f"key-{number % 10}", 2000.0 + number)
    assert queue.scheduled == 10
    assert len(queue._times) <= 2 * 10 + 64


# ---- with workers --------------------------------------------------------------------------------


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await coroutine

    asyncio.run(bounded())


def test_who_waits_is_woken_by_a_key_and_by_a_time() -> None:
    async def story() -> None:
        queue = WorkQueue()
        waiting = [asyncio.create_task(queue.take()) for _ in range(2)]
        await asyncio.sleep(0)
        queue.add("now")
        queue.add_at("soon", queue._clock() + 0.02)
        assert await asyncio.gather(*waiting) == ["now", "soon"]

    run(story())


def test_an_earlier_time_overtakes_the_one_that_is_waited_for() -> None:
    async def story() -> None:
        queue = WorkQueue()
        queue.add_at("late", queue._clock() + 100)
        waiting = asyncio.create_task(queue.take())
        await asyncio.sleep(0)
        queue.add_at("early", queue._clock() + 0.01)
        assert await waiting == "early"

    run(story())


def test_a_key_is_not_lost_with_a_worker_that_is_cancelled_as_it_is_woken() -> None:
    async def story() -> None:
        queue = WorkQueue()
        first, second = (asyncio.create_task(queue.take()) for _ in range(2))
        await asyncio.sleep(0)
        queue.add("a")
        first.cancel()
        assert await second == "a"

    run(story())


def test_a_key_is_not_lost_to_a_worker_that_was_cancelled_a_moment_before() -> None:
    async def story() -> None:
        queue = WorkQueue()
        first, second = (asyncio.create_task(queue.take()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        queue.add("a")
        assert await second == "a"

    run(story())


def test_a_closed_queue_sends_everybody_home() -> None:
    async def story() -> None:
        queue = WorkQueue()
        waiting = [asyncio.create_task(queue.take()) for _ in range(3)]
        await asyncio.sleep(0)
        queue.close()
        queue.add("a")
        assert await asyncio.gather(*waiting) == [None, None, None]
        assert await queue.take() is None

    run(story())


def test_the_more_keys_wait_the_later_changes_of_children_are_looked_at_but_within_seconds() -> (
    None
):
    waits = [coalesce_seconds(waiting) for waiting in (0, 1, 100, 900, 1_000_000)]
    assert waits == sorted(waits)
    assert waits[0] == 0.3
    assert waits[2] < 1
    assert waits[-1] == LONGEST_COALESCE_SECONDS <= 10, (
        "half a minute is promised for the whole way"
    )
