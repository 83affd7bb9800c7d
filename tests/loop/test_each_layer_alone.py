"""Four layers keep the cap. Each is tried here with the others switched off, at several prices, caps and times of grace.

The same on real control planes: tests/kube/faults/test_each_layer_alone.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest

from lightcompute.api.money import MicroUSD, format_usd
from lightcompute.api.words import Phase
from lightcompute.core.budget import (
    GRANULARITY_SECONDS,
    MINIMUM_USEFUL_SECONDS,
    RENEWAL_SLICE_SECONDS,
    STOP_EARLY_SECONDS,
    limit_of,
)
from lightcompute.testing.builders import a_place, a_run, an_offer
from lightcompute.testing.drive import drive
from lightcompute.testing.trainer import Script
from lightcompute.testing.troubles import Trouble
from lightcompute.testing.world import World, a_world
from runcontract.exit_codes import ExitCode
from support.sequences.play import play
from support.sequences.setting import Sequence, Setting
from support.sequences.steps import Kill, Limit, Price, Suspend, Wait

WILLING = Script(steps=1_000_000)
DEAF = Script(steps=1_000_000, deaf=True)
FOR_EVER = 10.0**8
STARTED = 2
"""The call that starts the first attempt; the one before records it."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A cap, as the seconds that it pays for."""

    price: str
    paid_seconds: int
    grace_seconds: int

    def __str__(self) -> str:
        return f"{self.price}-{self.paid_seconds}-{self.grace_seconds}"

    @property
    def rate(self) -> MicroUSD:
        """For an hour."""
        return an_offer(self.price).rate_per_hour

    @property
    def limit(self) -> MicroUSD:
        """The cap."""
        return self.rate * self.paid_seconds // 3600

    def world(self, script: Script, **parts: Any) -> World:
        """One in which nobody but who is named looks after the run."""
        return a_world(
            a_run().limited_to(format_usd(self.limit)),
            script=script,
            offers=(an_offer(self.price, any_placement=True),),
            grace_seconds=self.grace_seconds,
            **parts,
        )

    def held(self, seconds: float) -> Fraction:
        """What so many seconds cost."""
        return Fraction(self.rate) * Fraction(seconds) / 3600


CASES = [
    Case(price=price, paid_seconds=paid, grace_seconds=grace)
    for price in ("0.36", "3.60", "41.37")
    for paid in (400, 3000)
    for grace in (1, 30, 120)
]
cases = pytest.mark.parametrize("case", CASES, ids=str)


def dead_from(call: int) -> dict[str, Any]:
    """Whoever drives the loop dies after that call, and nobody comes after."""
    return {"troubles": {call: Trouble.CRASH_AFTER}}


def left_alone(world: World) -> Fraction:
    """True cost when everything is over."""
    journey = drive(world, down_seconds=FOR_EVER)
    assert journey.worst_excess == 0
    assert world.live_attempts() == []
    return world.true_cost()


@cases
def test_the_trainers_own_stop_where_no_deadline_is_kept_and_the_operator_is_dead(
    case: Case,
) -> None:
    world = case.world(WILLING, keeps_deadlines=False, **dead_from(STARTED))
    cost = left_alone(world)
    end = world.attempts[1].end()
    assert (end.exit_code, end.saved) == (ExitCode.BUDGET_REACHED, True)
    early = STOP_EARLY_SECONDS + WILLING.save_seconds
    unused = case.grace_seconds + GRANULARITY_SECONDS + early + 1
    assert case.limit - case.held(unused) <= cost <= case.limit


@cases
def test_the_deadline_of_the_place_where_the_trainer_is_deaf_and_the_operator_is_dead(
    case: Case,
) -> None:
    world = case.world(DEAF, **dead_from(STARTED))
    cost = left_alone(world)
    assert world.attempts[1].end().signal == 9
    assert case.limit - case.held(GRANULARITY_SECONDS + 1) <= cost <= case.limit


@cases
def test_the_deadline_of_a_place_that_is_cut_off_for_ever(case: Case) -> None:
    """The operator lives and can do nothing there. What it charges meanwhile is within the cap too, and nothing is started elsewhere."""
    world = case.world(DEAF)
    elsewhere = an_offer(case.price, place=a_place("A100-40GB"), any_placement=True)
    world.cut_place = world.offers[0].place
    world.offers += (elsewhere,)
    journey = drive(world, deeds=((20, lambda each: setattr(each, "reachable", False)),))
    assert journey.worst_excess == 0
    assert [each.order.place for each in world.attempts.values()] == [world.cut_place]
    assert world.live_attempts() == []
    cost = world.true_cost()
    assert case.limit - case.held(GRANULARITY_SECONDS + 1) <= cost <= case.limit
    assert world.run.status.phase is Phase.BUDGET_EXHAUSTED
    assert cost <= world.run.status.cost.spent_usd <= case.limit


@cases
def test_the_operators_look_where_the_trainer_is_deaf_and_no_deadline_is_kept(case: Case) -> None:
    world = case.world(DEAF, keeps_deadlines=False)
    assert drive(world).worst_excess == 0
    cost = world.true_cost()
    assert case.limit - case.held(GRANULARITY_SECONDS + 1) <= cost <= case.limit
    assert world.attempts[1].stop_time is not None
    assert world.run.status.phase is Phase.BUDGET_EXHAUSTED


@cases
def test_admission_where_not_even_the_shortest_time_of_use_can_be_paid(case: Case) -> None:
    held = case.grace_seconds + GRANULARITY_SECONDS
    least = -(-case.rate * held // 3600) + -(-case.rate * MINIMUM_USEFUL_SECONDS // 3600)
    for limit, attempts in ((least, [1]), (least - 1, [])):
        world = case.world(DEAF)
        world.edit(budget={"limitUSD": format_usd(limit)})
        assert drive(world).worst_excess == 0
        assert list(world.attempts) == attempts
        assert world.run.status.phase is Phase.BUDGET_EXHAUSTED
        assert world.true_cost() <= limit


@cases
def test_admission_to_the_one_place_that_can_be_paid(case: Case) -> None:
    """The dear one comes first by the order of the run."""
    cheap = a_place("A100-40GB")
    world = case.world(DEAF)
    world.edit(budget={"limitUSD": format_usd(case.rate * case.grace_seconds // 3600)})
    world.offers += (an_offer("0.01", place=cheap, any_placement=True),)
    drive(world, until_seconds=60)
    assert [each.order.place for each in world.attempts.values()] == [cheap]


EDITS: dict[str, tuple[Any, ...]] = {
    "a higher cap": (lambda case: Limit(amount=case.limit * 2),),
    "a lower cap": (lambda case: Limit(amount=case.limit * 9 // 10),),
    "a dearer price": (lambda case: Price(place=0, rate=case.rate * 5 // 4),),
    "a lower price": (lambda case: Price(place=0, rate=case.rate // 2),),
    "resumption": (
        lambda _: Suspend(value=True),
        lambda case: Wait(seconds=case.grace_seconds + 10),
        lambda _: Suspend(value=False),
    ),
    "a cap that comes back": (
        lambda _: Limit(amount=None),
        lambda _: Wait(seconds=20),
        lambda case: Limit(amount=case.limit),
    ),
}


@pytest.mark.parametrize("name", EDITS)
@cases
def test_the_deadline_is_renewed_and_holds_though_the_operator_dies_at_once(
    case: Case, name: str
) -> None:
    """After the one look that the edit brings nobody looks again, and the deaf trainer is left to its place."""
    setting = Setting(
        limit=case.limit,
        rates=(case.rate,),
        script=DEAF,
        speaks_contract=False,
        grace_seconds=case.grace_seconds,
    )
    edits = (edit(case) for edit in EDITS[name])
    steps = (Wait(seconds=20), *edits, Kill(down_seconds=FOR_EVER))
    world = setting.world()
    assert play(Sequence(seed=0, setting=setting, steps=steps), world).fault == ""
    assert world.live_attempts() == []
    assert len(world.attempts) == (2 if name == "resumption" else 1)
    limit = limit_of(world.run) or 0
    unused = RENEWAL_SLICE_SECONDS + GRANULARITY_SECONDS + 1
    assert limit - case.held(unused) <= world.true_cost() <= limit
