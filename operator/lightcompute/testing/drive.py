"""Drives the loop through a simulated world to where nothing happens any more, through crashes, and watches what must always hold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from lightcompute.api.money import MicroUSD
from lightcompute.core.budget import limit_of
from lightcompute.core.phases import may_follow
from lightcompute.loop import Loop
from lightcompute.testing.builders import NOON
from lightcompute.testing.troubles import SimulatedCrash
from lightcompute.testing.world import World

Deed = tuple[float, Callable[[World], None]]
"""Seconds after noon, and what somebody does then."""


@dataclass(kw_only=True)
class Journey:
    """What was seen on the way."""

    looks: int = 0
    crashes: int = 0
    most_live: int = 0
    worst_excess: MicroUSD = 0
    """Largest amount by which true cost was above the cap; 0 when it never was."""


def drive(
    world: World,
    *,
    deeds: Iterable[Deed] = (),
    until_seconds: float = 200_000,
    down_seconds: float = 0,
    most_looks: int = 20_000,
) -> Journey:
    """Runs `world` until nothing can happen by itself and all `deeds` are done, or for `until_seconds`.

    A crash ends the loop's process; another begins `down_seconds` later. Raises AssertionError when an invariant breaks.
    """
    return asyncio.run(_drive(world, list(deeds), until_seconds, down_seconds, most_looks))


async def _drive(
    world: World, deeds: list[Deed], until_seconds: float, down_seconds: float, most_looks: int
) -> Journey:
    journey, loop, key = Journey(), Loop(world), world.run.metadata.uid
    waiting = sorted(deeds, key=lambda deed: deed[0])
    end = NOON + timedelta(seconds=until_seconds)
    up_again = world.now
    while not world.gone and world.now <= end:
        while waiting and NOON + timedelta(seconds=waiting[0][0]) <= world.now:
            waiting.pop(0)[1](world)
        times = [] if not waiting else [NOON + timedelta(seconds=waiting[0][0])]
        if world.now >= up_again:
            journey.looks += 1
            assert journey.looks < most_looks, f"no end after {most_looks} looks at {world.now}"
            try:
                look = await loop.step(key, world.now)
                times += [] if look.look_again_at is None else [look.look_again_at]
            except SimulatedCrash:
                journey.crashes += 1
                loop = Loop(world)
                up_again = world.now + timedelta(seconds=down_seconds)
                times.append(up_again)
                world.read_from = up_again + timedelta(seconds=world.reading_seconds)
            _watch(world, journey)
        else:
            times.append(up_again)  # meanwhile things happen, and nobody looks
        # Events are asked for after the look: it may have started something.
        event = world.next_event()
        times += [] if event is None else [event]
        if not times:
            break
        world.now = max(min(times), world.now)
        _watch(world, journey)
    return journey


def _watch(world: World, journey: Journey) -> None:
    journey.most_live = max(journey.most_live, len(world.live_attempts()))
    assert journey.most_live <= 1, "two live attempts at once"
    limit = limit_of(world.run)
    if limit is not None:
        excess = world.true_cost() - limit
        journey.worst_excess = max(journey.worst_excess, -int(-excess // 1) if excess > 0 else 0)
    for before, after in zip(world.history, world.history[1:], strict=False):
        assert may_follow(before.phase, after.phase), f"{before.phase} then {after.phase}"
        assert after.cost.spent_usd >= before.cost.spent_usd, "the ledger fell"
    del world.history[:-1]
