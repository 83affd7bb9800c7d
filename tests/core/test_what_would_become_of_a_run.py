"""What is said to become of a run is what becomes of it: by the same checks, the same line and the same places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.money import parse_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Place
from lightcompute.core.market import Stall
from lightcompute.core.prospect import prospect, waiting_for
from lightcompute.core.room import room_of
from lightcompute.core.snapshot import Snapshot, Standing
from lightcompute.core.speeds import measured_on
from lightcompute.testing.builders import (
    RunBuilder,
    a_place,
    a_run,
    a_running_attempt,
    an_ended_attempt,
    at,
)

NOW = at(100)


def a_stall(cluster: str, price: str, *free: int, whole: tuple[int, ...] = ()) -> Stall:
    return Stall(
        place=Place(cluster=cluster, region="R", pool="p", gpu_type="L40S"),
        price_per_gpu_hour=parse_usd(price),
        gpu_resource="nvidia.com/gpu",
        room=room_of(free),
        whole=room_of(whole or [8] * len(free)),
    )


def named(uid: str, gpus: int = 1, age: float = 0, **placement: Any) -> RunBuilder:
    return (
        a_run()
        .with_metadata(name=uid, uid=uid, namespace="team", creationTimestamp=at(age).isoformat())
        .with_spec(trainer={"numProcPerNode": gpus}, placement=placement)
    )


def seen(run: RunBuilder) -> Snapshot:
    return Snapshot(run=run.build(), now=NOW)


def test_it_goes_to_the_cheapest_that_holds_all_its_pods_on_whole_nodes() -> None:
    cheap, dear = a_stall("cheap", "1.00", 3, 3, 3), a_stall("dear", "2.00", 4)
    found = prospect(seen(named("mine", 4)), (cheap, dear))
    assert found.start is not None
    assert found.start.place == dear.place
    told = {each.place.cluster: each.reason for each in found.found.candidates}
    assert told == {"cheap": Reason.NO_CAPACITY, "dear": Reason.CHOSEN}


def test_what_those_before_it_take_it_does_not_get() -> None:
    stalls = (a_stall("only", "1.00", 4),)
    others = waiting_for([seen(named("older", 4, age=1)), seen(named("younger", 4, age=9))], stalls)
    found = prospect(seen(named("mine", 2, age=5)), stalls, others)
    assert found.start is None
    assert found.line == Standing(position=2, length=3)
    (candidate,) = found.found.candidates
    assert candidate.reason == Reason.QUEUED_BEHIND
    assert "team/older" in candidate.message
    urgent = prospect(seen(named("mine", 2, age=5, priority=1)), stalls, others)
    assert urgent.start is not None
    assert urgent.line == Standing(position=1, length=3)


def test_only_runs_that_look_for_one_of_the_places_stand_in_the_line() -> None:
    stalls = (a_stall("only", "1.00", 4),)
    at_once = {"backoff": {"baseSeconds": 0}}
    alive = named("alive").with_spec(failurePolicy=at_once).with_attempts(a_running_attempt())
    others = [
        seen(alive),
        seen(named("suspended").suspended()),
        seen(named("elsewhere", clusters=["other"])),
        seen(named("waits")),
        replace(seen(named("refused")), faults=("a claim is missing",)),
    ]
    assert [each.uid for each in waiting_for(others, stalls)] == ["waits"]


def test_one_whose_jobs_kueue_admits_stands_in_no_line_and_is_not_kept_by_what_is_free() -> None:
    found = prospect(seen(named("mine", 8, queueName="team")), (a_stall("only", "1.00", 0),))
    assert (found.line, found.start is not None) == (None, True)


@given(
    runs=st.lists(st.tuples(st.integers(1, 8), st.integers(-1, 1)), min_size=1, max_size=6),
    free=st.lists(st.integers(0, 8), min_size=1, max_size=4),
)
def test_each_of_a_line_that_is_asked_about_is_granted_what_no_other_is(
    runs: list[tuple[int, int]], free: list[int]
) -> None:
    """Everybody's prospect together puts no more into the pool than is free."""
    stalls = (a_stall("only", "1.00", *free),)
    asked = [
        seen(named(f"run-{number}", gpus, age=number, priority=priority))
        for number, (gpus, priority) in enumerate(runs)
    ]
    room = stalls[0].room
    assert room is not None
    taken = 0
    for number, snapshot in enumerate(asked):
        others = waiting_for(asked[:number] + asked[number + 1 :], stalls)
        if prospect(snapshot, stalls, others).start is not None:
            taken += runs[number][0]
    assert taken <= room.free


FAST = an_ended_attempt(place=a_place("L40S"), tokens_per_second=1000.0)


@pytest.mark.parametrize(
    ("other", "gpu_type", "speed"),
    [
        (a_run(), "L40S", 1000.0),
        (a_run(), "A10", None),
        (a_run().with_spec(training={"data": {"dataset": "tinyshakespeare"}, "maxSteps": 7, "seed": 3}), "L40S", 1000.0),
        (a_run().with_spec(training={"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100, "batchSize": 3}), "L40S", None),
        (a_run().with_spec(trainer={"numProcPerNode": 2}), "L40S", None),
    ],
    ids=["same", "another GPU", "another length and seed", "another batch", "more devices"],
)  # fmt: skip
def test_a_speed_counts_that_the_same_configuration_had_on_the_same_type(
    other: RunBuilder, gpu_type: str, speed: float | None
) -> None:
    known = other.with_attempts(FAST).build()
    assert measured_on(gpu_type, a_run().build(), (known,)) == speed


def test_of_several_speeds_the_newest_counts() -> None:
    newer = an_ended_attempt(
        place=a_place("L40S"), tokens_per_second=10.0, reserved_time=at(50), number=2
    )
    known = a_run().with_attempts(newer, FAST).build()
    assert measured_on("L40S", a_run().build(), (known,)) == 10.0
