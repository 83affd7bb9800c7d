"""Explores from every phase what pairs of events lead to, while nobody looks: the changes seen are exactly those of the table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import combinations

import pytest

from lightcompute.api.labels import STOP
from lightcompute.api.reasons import Reason
from lightcompute.api.words import Phase
from lightcompute.core.phases import TRANSITIONS
from lightcompute.loop import look
from lightcompute.testing.builders import a_run, an_offer
from lightcompute.testing.drive import drive
from lightcompute.testing.tending import SimulatedUpkeep
from lightcompute.testing.trainer import NO_IMAGE, NO_ROOM, Fate, Script
from lightcompute.testing.world import World, a_world

Deed = Callable[[World], None]
CLAIM = {"persistentVolumeClaim": {"claimName": "runs"}}
FREE = (an_offer("2.00", any_placement=True),)
FULL = (replace(FREE[0], unavailable=Reason.NO_CAPACITY),)


def a_new_world() -> World:
    return a_world(a_run().limited_to("1.00"), offers=FREE, script=Script(start_seconds=3))


def on_a_claim() -> World:
    run = a_run().limited_to("1.00").with_spec(storage=CLAIM)
    return a_world(run, offers=FREE, script=Script(start_seconds=3), upkeep=SimulatedUpkeep())


def look_at(world: World, times: int = 1) -> None:
    for _ in range(times):
        if not world.gone:
            asyncio.run(look(world, world.run.metadata.uid))


def pass_time(world: World, seconds: float) -> None:
    world.now += timedelta(seconds=seconds)


def copy_of(world: World) -> World:
    """A world that goes its own way from here."""
    return replace(
        world,
        attempts={number: replace(attempt) for number, attempt in world.attempts.items()},
        upkeep=replace(world.upkeep, judged=set(world.upkeep.judged)) if world.upkeep else None,
        events=[],
        history=[],
        transitions=set(),
    )


def pending() -> World:
    world = a_new_world()
    world.offers = FULL
    look_at(world)
    return world


def starting() -> World:
    world = a_new_world()
    look_at(world)
    return world


def running() -> World:
    world = starting()
    pass_time(world, 35)
    look_at(world)
    return world


def stopping() -> World:
    world = running()
    world.edit(suspend=True)
    look_at(world)
    return world


def suspended() -> World:
    world = stopping()
    pass_time(world, 10)
    look_at(world)
    return world


def exhausted() -> World:
    world = a_world(a_run().limited_to("0.05"), offers=FREE)
    drive(world)
    return world


def ended_with(fate: Fate) -> World:
    world = a_world(a_run().limited_to("1.00"), offers=FREE, script=Script(fates={1: fate}))
    drive(world)
    return world


def verifying() -> World:
    world = on_a_claim()
    drive(world, until_seconds=110)
    return world


def on_a_claim_in_each_phase() -> Iterator[World]:
    """From where an end is followed by a verification."""
    world = on_a_claim()
    look_at(world)
    yield copy_of(world)
    pass_time(world, 35)
    look_at(world)
    yield copy_of(world)
    world.edit(suspend=True)
    look_at(world)
    yield world


def stopped() -> World:
    world = running()
    world.annotate(STOP)
    drive(world)
    return world


WAYS = {
    Phase.PENDING: pending,
    Phase.STARTING: starting,
    Phase.RUNNING: running,
    Phase.STOPPING: stopping,
    Phase.VERIFYING: verifying,
    Phase.SUSPENDED: suspended,
    Phase.BUDGET_EXHAUSTED: exhausted,
    Phase.SUCCEEDED: lambda: ended_with(Fate()),
    Phase.FAILED: lambda: ended_with(Fate(after_seconds=5, exit_code=10)),
    Phase.STOPPED: stopped,
}


def dies(fate: Fate) -> Deed:
    def deed(world: World) -> None:
        for attempt in world.attempts.values():
            if attempt.is_live(world.now):
                attempt.script = replace(attempt.script, fates={attempt.order.attempt: fate})

    return deed


def finds_it_broken(world: World) -> None:
    if world.upkeep is not None:
        world.upkeep.broken = frozenset(
            (number, step) for number in range(9) for step in range(101)
        )


DEEDS: tuple[Deed, ...] = (
    lambda world: world.edit(suspend=True),
    lambda world: world.edit(suspend=False),
    lambda world: world.edit(budget={"limitUSD": "0.000001"}),
    lambda world: world.edit(budget={"limitUSD": "9.00"}),
    lambda world: world.edit(activeDeadlineSeconds=1),
    lambda world: world.annotate(STOP),
    lambda world: setattr(world, "offers", FREE),
    lambda world: setattr(world, "offers", FULL),
    dies(Fate(after_seconds=33, exit_code=0)),
    dies(Fate(after_seconds=33, exit_code=1)),
    dies(Fate(after_seconds=33, exit_code=10)),
    dies(Fate(after_seconds=33, vanishes=True)),
    lambda world: setattr(world, "obstacle", NO_ROOM),
    lambda world: setattr(world, "obstacle", NO_IMAGE),
    finds_it_broken,
)


@pytest.mark.parametrize("phase", WAYS)
def test_each_phase_is_reached_as_said(phase: Phase) -> None:
    assert WAYS[phase]().run.status.phase == phase


@pytest.mark.slow
def test_every_change_of_phase_is_in_the_table_and_every_row_of_it_is_seen() -> None:
    seen: set[tuple[Phase, Phase]] = set()
    for start in (*(way() for way in WAYS.values()), *on_a_claim_in_each_phase()):
        seen |= start.transitions
        for deeds in [*((deed,) for deed in DEEDS), *combinations(DEEDS, 2)]:
            for seconds in (3, 4000):
                world = copy_of(start)
                for deed in deeds:
                    deed(world)
                pass_time(world, seconds)
                look_at(world, times=2)
                seen |= world.transitions
    table = {(before, after) for before, afters in TRANSITIONS.items() for after in afters}
    assert seen - table == set()
    assert table - seen == set()
