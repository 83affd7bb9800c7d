"""One look: the order of its steps, and patience with a world that does not go along."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.api.status import AttemptState, TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.api.words import Phase
from lightcompute.backend import Conflict, PermanentFault, TemporaryFault
from lightcompute.core.decision import Action, RenewDeadline, StopAttempt
from lightcompute.loop import Look, Loop, look
from lightcompute.testing.builders import NOON, a_run, an_offer, at
from lightcompute.testing.drive import drive
from lightcompute.testing.trainer import Script
from lightcompute.testing.troubles import Trouble
from lightcompute.testing.world import World, a_world

KEY = "uid-1"


class Recording(World):
    """A world that remembers the order of calls."""

    def remember(self) -> list[str]:
        self.steps: list[str] = []
        return self.steps

    async def record(self, run: TrainingRun, status: TrainingRunStatus) -> TrainingRun:
        self.steps.append("record")
        return await super().record(run, status)

    async def perform(self, run: TrainingRun, action: Action) -> None:
        assert run.status == self.run.status, "performed before it was recorded"
        self.steps.append(type(action).__name__)
        await super().perform(run, action)

    async def announce(self, run: TrainingRun, events: Any) -> None:
        self.steps.append("announce")
        await super().announce(run, events)


def step(loop: Loop, world: World) -> Look:
    return asyncio.run(loop.step(KEY, world.now))


def test_what_is_to_be_done_is_recorded_then_done_then_told() -> None:
    world = Recording(run=a_run().build())
    steps = world.remember()
    asyncio.run(look(world, KEY))
    assert steps == ["record", "StartAttempt", "announce"]


def test_nothing_is_written_when_nothing_changed() -> None:
    world = a_world(a_run())
    drive(world)
    before = world.calls
    done = asyncio.run(look(world, KEY))
    assert not done.changed
    assert world.calls == before


def test_a_run_that_is_gone_is_told_as_gone() -> None:
    world = a_world(a_run().deleted())
    drive(world)
    assert world.gone
    assert asyncio.run(look(world, KEY)).gone


def test_patience_doubles_with_each_fault_in_a_row_and_is_reset_by_an_answer() -> None:
    world = a_world(a_run(), troubles=dict.fromkeys((1, 2, 3), Trouble.REQUEST_LOST))
    loop = Loop(world)
    waits = [step(loop, world).look_again_at for _ in range(3)]
    assert waits == [at(1), at(2), at(4)]
    assert step(loop, world).fault == ""
    world.troubles = {world.calls + 1: Trouble.REQUEST_LOST}
    world.edit(suspend=True)
    assert step(loop, world).look_again_at == at(1)


def test_a_fault_is_told_with_what_the_world_said() -> None:
    world = a_world(a_run(), troubles={1: Trouble.REQUEST_LOST})
    assert step(Loop(world), world).fault == "the request was lost"


class Contested(World):
    """Somebody edits the run between every observation and write."""

    edits = 3

    async def record(self, run: TrainingRun, status: TrainingRunStatus) -> TrainingRun:
        if self.edits:
            self.edits -= 1
            self.edit(placement={"priority": self.edits})
        return await super().record(run, status)


def test_a_conflict_writes_nothing_and_is_looked_at_again_at_once() -> None:
    world = Contested(run=a_run().build())
    with pytest.raises(Conflict):
        asyncio.run(look(world, KEY))
    assert world.writes == 0
    assert world.attempts == {}
    assert step(Loop(world), world).look_again_at == NOON
    drive(world)
    assert world.run.status.phase == Phase.SUCCEEDED


def test_a_start_that_is_refused_for_good_is_taken_back_and_told() -> None:
    world = a_world(a_run(), refuses_starts="quota is 0 GPUs")
    asyncio.run(look(world, KEY))
    status = world.run.status
    assert (status.phase, status.reason) == (Phase.PENDING, Reason.START_REFUSED)
    assert "quota is 0 GPUs" in status.message
    assert status.attempts[0].state is AttemptState.ENDED
    calls = world.calls
    for _ in range(3):
        asyncio.run(look(world, KEY))
    assert world.calls == calls, "no storm of tries"


class Stubborn(World):
    """Stops are refused."""

    async def perform(self, run: TrainingRun, action: Action) -> None:
        if isinstance(action, StopAttempt):
            raise PermanentFault("forbidden", reason=Reason.ATTEMPT_STOPPING)
        await super().perform(run, action)


def test_a_stop_that_is_refused_is_a_debt_that_is_asked_for_ever_more_slowly() -> None:
    world = Stubborn(run=a_run().build())
    loop = Loop(world)
    step(loop, world)
    world.now = at(10)
    world.edit(suspend=True)
    first, second = step(loop, world), step(loop, world)
    assert "StopAttempt was refused: forbidden" in first.fault
    assert (first.look_again_at, second.look_again_at) == (at(11), at(12))
    assert world.run.status.phase == Phase.STOPPING


def test_a_world_that_says_when_to_come_again_is_obeyed() -> None:
    class Busy(World):
        async def observe(self, key: str) -> None:
            raise TemporaryFault("429", retry_after_seconds=17)

    world = Busy(run=a_run().build())
    assert step(Loop(world), world).look_again_at == at(17)


def test_the_end_that_a_cap_pays_for_is_not_slept_over_after_faults() -> None:
    class Webhooked(World):
        async def perform(self, run: TrainingRun, action: Action) -> None:
            if isinstance(action, RenewDeadline):
                raise TemporaryFault("failed calling webhook")
            await super().perform(run, action)

    world = Webhooked(
        run=a_run().limited_to("3.60").build(),
        script=Script(steps=5000),
        offers=(an_offer("3.60", any_placement=True),),
    )
    loop = Loop(world)
    while world.run.status.phase != Phase.RUNNING:
        world.now = step(loop, world).look_again_at or world.now + timedelta(seconds=1)
    world.edit(budget={"limitUSD": "0.20"})
    looks = 0
    while (after := step(loop, world).look_again_at) and world.run.status.phase == Phase.RUNNING:
        looks += 1
        world.now = after
    # 200 s are paid for, of which 31 are held back for the stop.
    assert (world.now - NOON).total_seconds() == pytest.approx(169, abs=3)
    assert looks < 12
