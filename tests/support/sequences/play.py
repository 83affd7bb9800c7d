"""Plays a sequence on the simulator: time passes from one look or event to the next, and the rules are asked at every moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lightcompute.api.labels import STOP
from lightcompute.api.money import format_usd
from lightcompute.core.decision import RenewDeadline
from lightcompute.loop import Loop
from lightcompute.testing.troubles import SimulatedCrash, Trouble
from lightcompute.testing.world import World
from support.sequences.rules import Overshoot, Rules
from support.sequences.setting import PLACES, Sequence
from support.sequences.steps import (
    Cut,
    Delete,
    Kill,
    Limit,
    Obstruct,
    Price,
    Reedit,
    Step,
    Stop,
    Strike,
    Suspend,
    Wait,
)

_LAST_SECONDS = 30_000
"""When all steps are done everything can be reached again, and so long it has to come to its end."""
_MOST_LOOKS = 5_000


@dataclass(frozen=True, kw_only=True)
class Played:
    """What came of a sequence."""

    sequence: Sequence
    fault: str
    """What did not hold; empty when all did."""
    done: int
    """Steps that were done, the one that broke included."""
    moments: int
    looks: int
    crashes: int
    attempts: int
    phase: str
    worst: Overshoot
    closest: Overshoot
    unprovoked: Overshoot

    def __str__(self) -> str:
        return f"{self.sequence}\n{self.fault} (in step {self.done} of {len(self.sequence.steps)})"


def play(sequence: Sequence, world: World | None = None) -> Played:
    """Plays `sequence`, in `world` if one is given."""
    player = _Player(sequence, world or sequence.setting.world())
    fault = ""
    try:
        asyncio.run(player.all())
    except AssertionError as broken:
        fault = str(broken) or "an assertion without a word failed"
    rules = player.rules
    return Played(
        sequence=sequence,
        fault=fault,
        done=player.done,
        moments=rules.moments,
        looks=player.looks,
        crashes=player.crashes,
        attempts=len(player.world.attempts),
        phase=player.world.run.status.phase,
        worst=replace(rules.worst, seed=sequence.seed),
        closest=replace(rules.closest, seed=sequence.seed),
        unprovoked=Overshoot(amount=rules.unprovoked, seed=sequence.seed),
    )


class _Player:
    def __init__(self, sequence: Sequence, world: World) -> None:
        self.sequence, self.world = sequence, world
        self.rules = Rules(world=world)
        self.loop = Loop(world)
        self.next_look: datetime | None = world.now
        self.down_until: datetime | None = None
        self.down_seconds = 0.0
        self.done = self.looks = self.crashes = 0

    async def all(self) -> None:
        """Every step, and what follows from them."""
        await self._look()
        for step in self.sequence.steps:
            self.done += 1
            if isinstance(step, Wait):
                await self._until(self.world.now + timedelta(seconds=step.seconds))
            else:
                await self._do(step)
        world = self.world
        world.troubles, world.cut_until = {}, world.now
        world.mend()
        await self._until(world.now + timedelta(seconds=_LAST_SECONDS))
        self.rules.end()

    async def _do(self, step: Step) -> None:
        """Does `step`; where it is one that a watch tells of, it is looked at."""
        self.rules.moment()
        match step:
            case Kill(down_seconds=seconds):
                self._down(seconds)
            case Strike(calls=calls, trouble=trouble, seconds=seconds):
                self.world.troubles = {self.world.calls + calls: trouble}
                self.down_seconds = self.world.cut_seconds = seconds
                if trouble is Trouble.CUT_OFF:
                    self.world.cut_place = None
            case Cut(place=number, seconds=seconds):
                self.world.cut_place = None if number is None else PLACES[number]
                self.world.cut_until = self.world.now + timedelta(seconds=seconds)
            case Price(place=number, rate=rate):
                self._price(number, rate)
            case _:
                self._edit(step)
        if self.sequence.setting.is_watched and not isinstance(step, Kill | Strike):
            await self._look()

    def _price(self, number: int, rate: int) -> None:
        place = PLACES[number]
        before = next(each.rate_per_hour for each in self.world.offers if each.place == place)
        self.world.price(place, rate)
        self.rules.price_changed(rose=rate > before)

    def _edit(self, step: Step) -> None:
        world = self.world
        match step:
            case Limit(amount=amount):
                world.edit(budget=None if amount is None else {"limitUSD": format_usd(amount)})
                self.rules.limit_changed(amount)
            case Suspend(value=value):
                world.edit(suspend=value)
            case Reedit(priority=priority):
                world.edit(placement={"priority": priority})
            case Obstruct(obstacle=None):
                world.mend()
            case Obstruct(obstacle=obstacle):
                world.obstacle = obstacle
            case Stop():
                world.annotate(STOP)
            case Delete():
                world.delete()
            case _:
                raise TypeError(f"{step} is no edit")

    async def _until(self, end: datetime) -> None:
        world = self.world
        while True:
            times = [self.next_look if self.down_until is None else self.down_until]
            if self.sequence.setting.is_watched and self.down_until is None:
                times.append(world.next_event())
            due = min((time for time in times if time is not None), default=None)
            if due is None or due > end or world.gone:
                world.now = end
                self.rules.moment()
                return
            world.now = max(due, world.now)
            self.rules.moment()
            if self.down_until is not None:
                self.down_until, self.loop = None, Loop(world)
            await self._look()

    async def _look(self) -> None:
        world = self.world
        if self.down_until is not None or world.gone:
            return
        self.looks += 1
        assert self.looks <= _MOST_LOOKS, f"no end after {_MOST_LOOKS} looks"
        try:
            look = await self.loop.step(world.run.metadata.uid, world.now)
        except SimulatedCrash:
            self._down(self.down_seconds)
            self.rules.moment()
            return
        self.next_look = look.look_again_at
        live = [each for each in world.run.status.attempts if each.is_live]
        reached = all(world.reaches(each.place) for each in live)
        actions = look.decision.actions if look.decision is not None else ()
        self.rules.looked(
            reached=reached and not look.fault,
            renewed=any(isinstance(action, RenewDeadline) for action in actions),
        )

    def _down(self, seconds: float) -> None:
        self.crashes += 1
        self.down_until = self.world.now + timedelta(seconds=seconds)
        self.world.read_from = self.down_until + timedelta(seconds=self.world.reading_seconds)
