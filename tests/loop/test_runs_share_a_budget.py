"""Many simulated runs that draw from one TrainingBudget, with fates, crashes, cuts and suspensions: together they never pass its limit."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any

import pytest

from lightcompute.accounts.account import Account
from lightcompute.api.money import format_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.training_budget import TrainingBudget
from lightcompute.api.training_run import TrainingRun
from lightcompute.api.words import FINISHED
from lightcompute.core.budget import Terms
from lightcompute.core.period import EVER
from lightcompute.loop import Loop
from lightcompute.testing.builders import a_run, an_offer
from lightcompute.testing.trainer import Fate, Script
from lightcompute.testing.troubles import SimulatedCrash, Trouble
from lightcompute.testing.world import World, a_world

RATE = 3_600_000
"""A tenth of a cent a second."""
MIDNIGHT = datetime(2030, 1, 2, tzinfo=UTC)
BEGIN, END = MIDNIGHT - timedelta(minutes=40), MIDNIGHT + timedelta(minutes=80)


@dataclass
class Team:
    """Runs, each in a world of its own, and the budget that they share."""

    account: Account
    worlds: list[World] = field(default_factory=list)
    loops: dict[str, Loop] = field(default_factory=dict)
    due: dict[str, datetime] = field(default_factory=dict)
    waited: int = 0

    def add(self, world: World) -> None:
        """Another run."""
        uid = world.run.metadata.uid
        world.noted = self._note
        world.allowances = lambda run: (self.account.allowance(run.metadata.uid),)
        self.worlds.append(world)
        self.loops[uid] = Loop(world)
        self.due[uid] = BEGIN

    def _note(self, run: TrainingRun) -> None:
        self.account.put(run, run.status, now=self.worlds[0].now)

    async def live(self) -> None:
        """Looks at whoever is due, until all are over or the time is."""
        while True:
            uid, now = min(self.due.items(), key=lambda each: each[1])
            if now > END:
                return
            for world in self.worlds:
                world.now = max(now, world.now)
            world = next(each for each in self.worlds if each.run.metadata.uid == uid)
            times = []
            try:
                look = await self.loops[uid].step(uid, world.now)
                times += [] if look.look_again_at is None else [look.look_again_at]
            except SimulatedCrash:
                self.loops[uid] = Loop(world)
                times = [world.now + timedelta(seconds=3)]
            event = world.next_event()
            times += [] if event is None else [event]
            over = world.run.status.phase in FINISHED
            self.due[uid] = max(min(times, default=END + timedelta(days=1)), world.now)
            if over and not times:
                self.due[uid] = END + timedelta(days=1)
            self.waited += world.run.status.reason == Reason.WAITING_FOR_BUDGET
            self.check()

    def check(self) -> None:
        """What was truly spent, and what is on record as spent or reserved, is within the limit."""
        limit = self.account.budget.spec.limit_usd
        true, told = Counter[datetime](), Counter[datetime]()
        for world in self.worlds:
            for start, amount in self.true_cost(world).items():
                true[start] += amount  # type: ignore[assignment]
        for claim in self.account.claims.values():
            for amounts in (claim.spent, claim.promised):
                told.update(amounts)
        for start in {*true, *told}:
            assert told[start] <= limit, f"promised {format_usd(told[start])} from {start}"
            assert true[start] <= told[start], f"spent more than was promised from {start}"

    def true_cost(self, world: World) -> dict[datetime, Fraction]:
        """By period, computed from what truly ran."""
        total = world.true_cost()
        if self.account.calendar.span is None:
            return {EVER.start: total}
        now, world.now = world.now, min(world.now, MIDNIGHT)
        before = world.true_cost()
        world.now = now
        today = self.account.calendar.at(BEGIN).start
        return {today: before, MIDNIGHT: total - before}


def a_team(seed: int, period: str, *, pieces: bool) -> Team:
    """Of a few runs, drawn by `seed`."""
    random = Random(seed)
    limit = random.randint(100_000, 3_000_000)
    spec: dict[str, Any] = {"limitUSD": format_usd(limit), "period": period}
    if pieces:
        spec["reservationUSD"] = format_usd(random.randint(70_000, limit))
    budget = TrainingBudget.model_validate({"metadata": {"name": "team"}, "spec": spec})
    team = Team(Account(budget, Terms(grace_seconds=30)))
    for number in range(random.randint(2, 5)):
        run = a_run().with_metadata(uid=f"run-{number}", name=f"run-{number}")
        if not pieces or random.random() < 0.7:
            run = run.limited_to(format_usd(random.randint(40_000, 2 * limit)))
        ends: list[dict[str, Any]] = [
            {"exit_code": 1},
            {"vanishes": True},
            {"hangs": True},
            {"signal": 9},
        ]
        fates = {
            attempt: Fate(after_seconds=random.uniform(1, 2000), **random.choice(ends))
            for attempt in random.sample(range(1, 6), random.randint(0, 3))
        }
        script = Script(
            steps=random.choice([50, 900, 9000]),
            save_every=random.randint(20, 200),
            start_seconds=random.choice([0.0, 1.0, 90.0]),
            deaf=random.random() < 0.3,
            fates=fates,
            save_seconds=random.choice([2, 40]),
        )
        trouble = {
            random.randint(1, 30): random.choice(list(Trouble)) for _ in range(random.randint(0, 5))
        }
        price = an_offer(format_usd(random.choice([RATE, RATE // 3, 5 * RATE])), any_placement=True)
        team.add(
            a_world(
                run.with_spec(progressDeadlineSeconds=300),
                script=script,
                offers=(price,),
                troubles=trouble,
                cut_seconds=random.choice([7, 300, 3000]),
                now=BEGIN,
            )
        )
    return team


@pytest.mark.slow
@pytest.mark.parametrize("period", ["Total", "Daily"])
@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "pieces"])
def test_whatever_befalls_them_they_stay_within_the_limit(period: str, *, pieces: bool) -> None:
    waited = 0
    for seed in range(25):
        team = a_team(seed, period, pieces=pieces)
        try:
            asyncio.run(team.live())
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
        waited += team.waited
    assert waited > 20, "money was never short, so nothing was tried"
