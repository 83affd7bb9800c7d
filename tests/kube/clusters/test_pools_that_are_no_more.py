"""A pool is renamed, removed or changed under runs in it: they go on at their last price, hold their GPUs, and are told of in the status."""

from __future__ import annotations

from typing import Any

import pytest

from support.fleets import TYPES, Fleet, candidates, lightcompute
from support.run_spaces import Run
from support.testcluster.fleet import CLUSTERS, Pool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Document = dict[str, Any]
AWAY = "us-iad1"
TYPE = TYPES[AWAY]
WAS = Pool(gpu_type=TYPE, gpus_per_node=2)
HOUR = "pricePerGPUHourUSD"


def changed(fleet: Fleet, *pools: Document) -> None:
    """Its TrainingCluster has `pools` from now on, and its nodes are counted by them."""
    written = fleet.api.patch(f"{CLUSTERS}/{AWAY}", {"spec": {"nodePools": list(pools)}})
    names = [pool["name"] for pool in pools]

    def counted(cluster: Document) -> bool:
        status = cluster["status"]
        answers = {each["type"]: each["status"] for each in status["conditions"]}
        return (
            status["observedGeneration"] == written["metadata"]["generation"]
            and answers["Reachable"] == "True"
            and [pool["name"] for pool in status.get("nodePools", ())] == names
        )

    fleet.api.eventually(f"{CLUSTERS}/{AWAY}", counted, seconds=60)


def status_of(fleet: Fleet) -> Document:
    found: Document = fleet.api.get(f"{CLUSTERS}/{AWAY}")["status"]
    return found


def former(fleet: Fleet) -> list[tuple[str, str, int, int]]:
    """Name and type of each pool that is no more, its runs and their GPUs."""
    return [
        (each["name"], each["gpuType"], each["runningRuns"], each["gpus"])
        for each in status_of(fleet).get("formerPools", ())
    ]


def rates(run: Run) -> list[str]:
    """Price of each segment of its newest attempt."""
    return [each["ratePerHourUSD"] for each in run.status["attempts"][-1]["charges"]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"name": "other"}, [(WAS.name, TYPE, 1, 1)], id="renamed"),
        pytest.param({"gpuType": "L40S"}, [(WAS.name, TYPE, 1, 1)], id="another type"),
    ],
)
def test_a_run_in_it_goes_on_at_its_price_and_its_gpu_is_not_given_away(
    fleet: Fleet, change: Document, told: list[tuple[str, str, int, int]]
) -> None:
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    run = fleet.submit(
        "before", {"NEVER_ENDS": 1}, budget={"pollIntervalSeconds": 10, "limitUSD": "9"}
    )
    run.in_phase("Running")
    changed(fleet, WAS.document() | {HOUR: "5.00", **change})
    assert former(fleet) == told
    assert status_of(fleet)["runningRuns"] == 1
    # Its pod holds one of the two GPUs, in whatever pool that is now.
    wide = fleet.submit("wide", {"RUN_SECONDS": 1}, trainer={"numProcPerNode": 2})
    waiting = wide.until(lambda status: status.get("reason") == "WaitingForPlace")
    assert "1 GPUs are free" in waiting["message"]
    small = fleet.submit("small", {"RUN_SECONDS": 1}, placement={"priority": 5})
    end = small.in_phase("Succeeded", seconds=60)
    assert end["attempts"][0]["place"]["pool"] == change.get("name", WAS.name)
    assert rates(small) == ["5.00"]
    listed = lightcompute(fleet, "clusters").stdout
    assert any(TYPE in line and line.split()[-1] == "removed" for line in listed.splitlines()), (
        listed
    )
    assert run.status["phase"] == "Running"
    run.annotate("lightcompute.dev/stop")
    run.in_phase("Stopped", "Succeeded", seconds=60)
    assert rates(run) == ["1.79"]
    assert wide.in_phase("Succeeded", seconds=60)["attempts"][-1]["reason"] == "Completed"
    fleet.api.eventually(
        f"{CLUSTERS}/{AWAY}", lambda cluster: not cluster["status"].get("formerPools"), seconds=30
    )
    assert fleet.space.errors == []


def test_one_that_ends_there_looks_anew_and_is_told_that_the_pool_is_gone(fleet: Fleet) -> None:
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    run = fleet.submit("retried", {"RUN_SECONDS_1": 8, "EVICTED_1": 1, "RUN_SECONDS": 1})
    run.in_phase("Running")
    changed(fleet, WAS.document() | {"name": "none", "nodeSelector": {"no": "such"}})
    waiting = run.until(lambda status: status.get("reason") == "WaitingForPlace")
    reasons = {each["place"]["pool"]: each["reason"] for each in waiting["placement"]["candidates"]}
    assert reasons == {WAS.name: "PlaceRemoved", "none": "TooLarge"}
    assert waiting["attempts"][0]["reason"] == "Evicted"
    changed(fleet, WAS.document() | {HOUR: "2.50"})
    end = run.in_phase("Succeeded", seconds=60)
    assert [each["place"]["pool"] for each in end["attempts"]] == [WAS.name] * 2
    assert [each["charges"][0]["ratePerHourUSD"] for each in end["attempts"]] == ["1.79", "2.50"]


def test_another_price_or_selector_leaves_the_run_where_it_is(fleet: Fleet) -> None:
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    run = fleet.submit("priced", {"NEVER_ENDS": 1})
    run.in_phase("Running")
    changed(fleet, WAS.document() | {HOUR: "5.00"})
    run.until(lambda status: len(status["attempts"][-1]["charges"]) == 2)
    changed(fleet, WAS.document() | {HOUR: "5.00", "nodeSelector": {"no": "such"}})
    fleet.condition(AWAY, "PoolsMatch", "False", "PoolEmpty")
    pool = status_of(fleet)["nodePools"][0]
    assert (pool["runningRuns"], pool.get("reservedGPUs", 0)) == (1, 0)
    assert former(fleet) == []
    run.delete()
    run.gone()
    assert fleet.jobs(AWAY) == []
    assert fleet.space.errors == []


def test_another_resource_for_its_gpus_ends_no_run_and_gives_no_gpu_away(fleet: Fleet) -> None:
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    run = fleet.submit("before", {"NEVER_ENDS": 1})
    run.in_phase("Running")
    # A resource that its nodes do not have: nothing is free, and what runs asked for the one of before.
    changed(fleet, WAS.document() | {"gpuResource": "example.com/gpu"})
    wide = fleet.submit("wide", {"RUN_SECONDS": 1}, trainer={"numProcPerNode": 2})
    waiting = wide.until(lambda status: status.get("reason") == "WaitingForPlace")
    assert candidates(waiting) == {AWAY: "TooLarge"}
    pool = status_of(fleet)["nodePools"][0]
    assert (pool["runningRuns"], pool.get("freeGPUs", 0)) == (1, 0)
    assert former(fleet) == []
    # Back again: one of the two is held, as before.
    changed(fleet, WAS.document())
    another = fleet.submit("another", {"RUN_SECONDS": 1}, trainer={"numProcPerNode": 2})
    told = another.until(lambda status: status.get("reason") == "WaitingForPlace")
    assert "1 GPUs are free" in told["message"]
    small = fleet.submit("small", {"RUN_SECONDS": 1}, placement={"priority": 5})
    small.in_phase("Succeeded", seconds=60)
    assert (run.status["phase"], run.status["restarts"]) == ("Running", 0)
    run.annotate("lightcompute.dev/stop")
    run.in_phase("Stopped", "Succeeded", seconds=60)
    for each in (wide, another):
        each.in_phase("Succeeded", seconds=60)
    assert fleet.space.errors == []
