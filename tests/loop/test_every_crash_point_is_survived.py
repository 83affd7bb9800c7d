"""Kills the loop before and after every call that changes the world, in every scenario, and compares the ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.testing.drive import drive
from lightcompute.testing.troubles import Trouble
from lightcompute.testing.world import World
from support.loop_scenarios import SCENARIOS, at_every_moment


def outcome(world: World) -> dict[str, Any]:
    """What must be the same whatever was in the way, when nothing took time."""
    document = world.run.status.document()
    return {"status": document, "gone": world.gone, "live": world.live_attempts()}


def outcome_without_times(world: World) -> tuple[object, ...]:
    status = world.run.status
    return (
        status.phase,
        status.reason,
        status.restarts_count_towards_max,
        [(a.state, a.reason, a.exit_code, a.signal, a.counts) for a in status.attempts],
        world.gone,
        world.live_attempts(),
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_undisturbed_run_ends_as_it_should(name: str) -> None:
    scenario = SCENARIOS[name]
    world = scenario.go(scenario.world())
    status = world.run.status
    assert (status.phase, len(status.attempts)) == (scenario.ends, scenario.attempts)


@pytest.mark.parametrize("name", at_every_moment())
def test_a_crash_before_or_after_any_call_changes_nothing_about_the_end(
    name: str, record_property: Callable[[str, object], None]
) -> None:
    scenario = SCENARIOS[name]
    reference = scenario.go(scenario.world())
    expected = outcome(reference)
    points = 0
    for call in range(1, reference.calls + 1):
        for trouble in (Trouble.CRASH_BEFORE, Trouble.CRASH_AFTER):
            world = scenario.go(scenario.world(troubles={call: trouble}))
            assert outcome(world) == expected, f"{trouble} at call {call}"
            assert world.writes <= reference.writes + 2
            points += 1
    assert points == 2 * reference.calls >= 4
    record_property("crash_points", points)


@pytest.mark.parametrize("name", at_every_moment())
@pytest.mark.parametrize("trouble", [Trouble.REQUEST_LOST, Trouble.RESPONSE_LOST])
def test_a_lost_request_or_response_changes_nothing_but_times(name: str, trouble: Trouble) -> None:
    scenario = SCENARIOS[name]
    reference = scenario.go(scenario.world())
    expected = outcome_without_times(reference)
    for call in range(1, reference.calls + 1):
        world = scenario.go(scenario.world(troubles={call: trouble}))
        assert outcome_without_times(world) == expected, f"call {call}"


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_two_crashes_in_a_row_change_nothing_about_the_end(name: str) -> None:
    scenario = SCENARIOS[name]
    reference = scenario.go(scenario.world())
    expected = outcome(reference)
    for call in range(1, reference.calls + 1):
        troubles = {call: Trouble.CRASH_AFTER, call + 1: Trouble.CRASH_BEFORE}
        world = scenario.go(scenario.world(troubles=troubles))
        assert outcome(world) == expected, f"call {call}"


@pytest.mark.parametrize("down_seconds", [7, pytest.param(3000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name",
    # The others need somebody who watches: a place without deadlines, a cap that is lowered meanwhile.
    at_every_moment(
        name for name, each in SCENARIOS.items() if each.keeps_deadlines and "lowered" not in name
    ),
)
def test_the_cap_holds_while_nobody_watches(name: str, down_seconds: float) -> None:
    scenario = SCENARIOS[name]
    reference = scenario.go(scenario.world())
    for call in range(1, reference.calls + 1):
        world = scenario.world(troubles={call: Trouble.CRASH_AFTER})
        journey = drive(world, deeds=scenario.deeds, down_seconds=down_seconds)
        assert journey.worst_excess == 0
        assert not world.live_attempts()


def test_the_reason_of_every_stop_is_told_in_the_attempt() -> None:
    told = {}
    for name, scenario in SCENARIOS.items():
        world = scenario.go(scenario.world())
        told[name] = [attempt.reason for attempt in world.run.status.attempts]
    assert told["preempt"] == [Reason.PREEMPTED, Reason.COMPLETED]
    assert told["vanished"] == [Reason.VANISHED, Reason.COMPLETED]
    assert told["evicted"] == [Reason.EVICTED, Reason.COMPLETED]
    assert told["lost with its machine"] == [Reason.NODE_LOST, Reason.COMPLETED]
    assert told["memory ran out, as the place says"] == [Reason.OUT_OF_MEMORY, Reason.COMPLETED]
    assert told["waits for a place in vain"] == [Reason.NEVER_STARTED] * 2
    assert told["no image ever"] == [Reason.IMAGE_UNAVAILABLE] * 6
    assert told["refused by its place for ever"] == [Reason.POD_REFUSED] * 6
    assert told["hang"] == [Reason.HANG, Reason.COMPLETED]
    assert told["out of memory once"] == [Reason.OUT_OF_MEMORY, Reason.COMPLETED]
    assert told["budget stop"] == [Reason.TIME_OVER]
    assert told["start refused, then mended"] == [Reason.START_REFUSED, Reason.COMPLETED]
