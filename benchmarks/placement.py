"""Placement, without any cluster: one run over 1,000 pools, and a line of 1,000 runs over nine.

    python benchmarks/placement.py [--pools 1000] [--runs 1000] [--candidates 9] [--rounds 5]

Pure code on made-up pools. Goals: one run judged over 1,000 pools, to its decision, within 5 ms; a round in which each of 1,000 waiting
runs is decided over nine pools within 2 s, the plan of the line included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from machine import machine

from lightcompute.api.status import Place
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.decide import decide
from lightcompute.core.line import Pools, Waiting, Want, line_up
from lightcompute.core.market import Stall, need_of, offers_of
from lightcompute.core.room import room_of
from lightcompute.core.seeking import places_wanted
from lightcompute.core.snapshot import Snapshot
from lightcompute.testing.builders import a_run, at

TYPES = ("A100-40GB", "A100-80GB", "L40S")
RESOURCE = "nvidia.com/gpu"


def stalls(count: int, free: int) -> tuple[Stall, ...]:
    """Pools of eight nodes with `free` GPUs on each."""
    return tuple(
        Stall(
            place=Place(
                cluster=f"cluster-{number}",
                region=f"R{number % 5}",
                pool="gpus",
                gpu_type=TYPES[number % len(TYPES)],
            ),
            price_per_gpu_hour=1_000_000 + number,
            gpu_resource=RESOURCE,
            room=room_of([free] * 8),
            whole=room_of([8] * 8),
        )
        for number in range(count)
    )


def runs(count: int) -> list[TrainingRun]:
    """Runs that want the types in their order."""
    wanted = a_run().with_spec(placement={"gpuTypes": list(TYPES)})
    return [
        wanted.with_metadata(
            name=f"run-{number}",
            namespace="team",
            uid=f"uid-{number}",
            creationTimestamp=at(number).isoformat(),
        ).build()
        for number in range(count)
    ]


def one_run(pools: int) -> float:
    """Seconds for one run: offers of all pools, and the decision."""
    there = stalls(pools, free=8)
    (run,) = runs(1)
    began = time.perf_counter()
    snapshot = Snapshot(run=run, now=at(2000), offers=offers_of(run, there, now=at(2000)))
    assert decide(snapshot).actions, "it starts"
    return time.perf_counter() - began


def a_line(count: int, candidates: int) -> float:
    """Seconds for a round in which `count` runs are looked at once, with room for few of them."""
    there = stalls(candidates, free=1)
    now = at(10_000)
    waiting_runs = runs(count)
    by_place = {stall.place: stall for stall in there}
    began = time.perf_counter()
    snapshots = [
        Snapshot(run=run, now=now, offers=offers_of(run, there, now=now)) for run in waiting_runs
    ]
    waiting = [
        Waiting(
            uid=snapshot.run.metadata.uid,
            label=snapshot.run.label,
            priority=0,
            since=snapshot.run.metadata.creation_timestamp or now,
            wants=tuple(
                Want(place=place, need=need_of(snapshot.run, by_place[place].gpu_resource))
                for place in places_wanted(snapshot)
            ),
        )
        for snapshot in snapshots
    ]
    rooms = {stall.place: stall.room for stall in there if stall.room is not None}
    whole = {stall.place: stall.whole for stall in there if stall.whole is not None}
    plan = line_up(waiting, Pools(rooms=rooms, whole=whole))
    started = 0
    for snapshot in snapshots:
        turn = plan.turns[snapshot.run.metadata.uid]
        offers = offers_of(snapshot.run, there, now=now, turn=turn)
        decision = decide(replace(snapshot, offers=offers))
        started += any(type(action).__name__ == "StartAttempt" for action in decision.actions)
    assert started == min(count, candidates * 8), "as many as there is room for"
    return time.perf_counter() - began


def main() -> None:
    """Prints a line of JSON for each part."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pools", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--candidates", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(json.dumps({"machine": machine()}))
    single = statistics.median(one_run(given.pools) for _ in range(given.rounds))
    what = f"one run over {given.pools} pools, median, milliseconds"
    print(json.dumps({"what": what, "value": round(1000 * single, 2), "goal": 5}))
    line = statistics.median(a_line(given.runs, given.candidates) for _ in range(given.rounds))
    what = f"{given.runs} waiting runs x {given.candidates} pools, median, seconds"
    print(json.dumps({"what": what, "value": round(line, 3), "goal": 2}))


if __name__ == "__main__":
    main()
