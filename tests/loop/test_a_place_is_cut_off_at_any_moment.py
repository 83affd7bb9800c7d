"""Cuts the place off at every call that changes the world, in every scenario, for less and for more than anything lasts."""

from __future__ import annotations

import pytest

from lightcompute.api.words import Phase
from lightcompute.testing.drive import drive
from lightcompute.testing.troubles import Trouble
from lightcompute.testing.world import World
from support.loop_scenarios import SCENARIOS, Scenario, at_every_moment

KEPT = [name for name, each in SCENARIOS.items() if each.keeps_deadlines]
"""Without a deadline that the place keeps, nothing is certain of what cannot be seen."""

ALSO = frozenset({Phase.SUCCEEDED, Phase.BUDGET_EXHAUSTED})
"""It may come to its end before its place hears that it is to leave, and it is charged for as long as it may be there unseen."""


def cut_off(scenario: Scenario, call: int, seconds: float) -> tuple[World, int]:
    """The world at its end, after a cut of `seconds` from the call on, and by how much the cap was passed."""
    world = scenario.world(troubles={call: Trouble.CUT_OFF}, cut_seconds=seconds)
    # It watches that no two attempts ever live at once, and that the ledger never falls.
    journey = drive(world, deeds=scenario.deeds)
    return world, journey.worst_excess


def leaves_when_asked(scenario: Scenario) -> bool:
    """Whether its trainer never has to be killed."""
    hangs = any(fate.hangs for fate in scenario.script.fates.values())
    return not scenario.script.deaf and not hangs


def assert_in_order(scenario: Scenario, name: str, call: int, world: World, *, excess: int) -> None:
    # A cap that is lowered below what is spent was passed by the one who did it.
    assert excess == 0 or "lowered" in name, f"call {call}"
    if world.gone:
        return  # what it left there is owed, and is removed when its place is there again
    assert not world.live_attempts(), f"call {call}"
    assert world.run.status.phase in {scenario.ends, *ALSO}, f"call {call}"


@pytest.mark.parametrize("name", at_every_moment(KEPT))
@pytest.mark.parametrize("seconds", [100, pytest.param(2500, marks=pytest.mark.slow)])
def test_nothing_runs_twice_and_the_cap_holds_and_nothing_stays(name: str, seconds: float) -> None:
    scenario = SCENARIOS[name]
    reference = scenario.go(scenario.world())
    for call in range(1, reference.calls + 1):
        world, excess = cut_off(scenario, call, seconds)
        assert_in_order(scenario, name, call, world, excess=excess)


@pytest.mark.parametrize(
    "name", at_every_moment(name for name in KEPT if leaves_when_asked(SCENARIOS[name]))
)
def test_whoever_is_asked_to_leave_has_all_of_its_grace_from_when_its_place_heard_of_it(
    name: str,
) -> None:
    scenario = SCENARIOS[name]
    reference = scenario.go(scenario.world())
    for call in range(1, reference.calls + 1):
        world, _ = cut_off(scenario, call, 300)
        killed = [number for number, each in world.attempts.items() if each.kill_time is not None]
        assert killed == [], f"call {call}"


@pytest.mark.parametrize("name", at_every_moment(KEPT))
def test_in_a_short_loss_too_and_it_changes_nothing_about_the_end(name: str) -> None:
    scenario = SCENARIOS[name]
    reference = scenario.go(scenario.world())
    for call in range(1, reference.calls + 1):
        world, excess = cut_off(scenario, call, 7)
        assert_in_order(scenario, name, call, world, excess=excess)
        assert world.run.status.phase == reference.run.status.phase, f"call {call}"
        told = [attempt.reason for attempt in world.run.status.attempts]
        assert told == [attempt.reason for attempt in reference.run.status.attempts], f"call {call}"
