"""Whole runs whose saves take longer than the setting: what one attempt measured, the next one has time for, and the cap holds."""

from __future__ import annotations

import pytest

from lightcompute.api.money import parse_usd
from lightcompute.api.words import Phase
from lightcompute.testing.builders import a_run, an_offer
from lightcompute.testing.drive import drive
from lightcompute.testing.trainer import Fate, Script
from lightcompute.testing.world import World, a_world

PRICE = "3.60"
SAVE_SECONDS = 100.0


def a_run_that_is_lost(limit: str, *, deaf: bool = False) -> World:
    """Its first attempt saves twice and is gone; nothing befalls the next."""
    script = Script(
        steps=5000, save_every=50, save_seconds=SAVE_SECONDS, deaf=deaf,
        fates={1: Fate(after_seconds=120, vanishes=True)},
    )  # fmt: skip
    offers = (an_offer(PRICE, any_placement=True),)
    return a_world(a_run().limited_to(limit), script=script, offers=offers)


def test_the_next_attempt_saves_in_the_time_that_a_save_was_measured_to_take() -> None:
    world = a_run_that_is_lost("10.00")
    drive(world, until_seconds=300)
    assert world.live_attempts() == [2]
    first, second = world.run.status.attempts
    assert (first.grace_seconds, second.grace_seconds) == (30, 201)
    assert world.attempts[2].order.grace_seconds == 201
    world.edit(suspend=True)
    drive(world, until_seconds=900)
    ended = world.run.status.attempts[-1]
    assert world.run.status.phase == Phase.SUSPENDED
    assert (ended.exit_code, ended.signal) == (13, None)
    assert ended.last_step == world.attempts[2].saved_steps(world.now)[-1]


def test_one_that_was_never_measured_has_the_setting_and_loses_what_it_did() -> None:
    script = Script(steps=5000, save_every=1000, save_seconds=SAVE_SECONDS)
    world = a_world(a_run(), script=script)
    drive(world, until_seconds=100)
    world.edit(suspend=True)
    drive(world, until_seconds=900)
    assert world.run.status.attempts[-1].signal == 9
    assert world.run.status.checkpoints == ()


@pytest.mark.parametrize("limit", ["0.40", "0.75", "1.10"])
def test_a_deaf_trainer_that_takes_all_of_a_long_grace_stays_within_the_cap(limit: str) -> None:
    world = a_run_that_is_lost(limit, deaf=True)
    drive(world, until_seconds=5000)
    status, true = world.run.status, world.true_cost()
    assert status.phase == Phase.BUDGET_EXHAUSTED
    assert true <= parse_usd(limit)
    if limit != "0.40":  # which pays for no second attempt once 202 s are held back for it
        assert [each.grace_seconds for each in status.attempts] == [30, 201]
        assert parse_usd(limit) - true <= 3_000, "all of the grace was used, and paid for"
