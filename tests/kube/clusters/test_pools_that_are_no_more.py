"""A pool is renamed, removed or changed under runs in it: they go on at their last price, hold their GPUs, and are told of in the status."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api import labels
from support.fleets import TYPES, Fleet, lightcompute
from support.run_spaces import Run
from support.testcluster.fleet import CLUSTERS, NAMESPACE, Pool

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


OTHER_GPU = "example.com/gpu"
"""What the GPUs of a node are called by a device plugin that was set up anew."""


@pytest.fixture
def renamed_gpus(fleet: Fleet) -> None:
    """The nodes away offer their GPUs by both names, as far as the scheduler can tell."""
    api = fleet.plane(AWAY).api
    for node in api.get("/api/v1/nodes")["items"]:
        path = f"/api/v1/nodes/{node['metadata']['name']}/status"
        for part in ("capacity", "allocatable"):
            api.patch(path, {"status": {part: {OTHER_GPU: "2"}}})
        undone = {"status": {part: {OTHER_GPU: None} for part in ("capacity", "allocatable")}}
        fleet.space.stack.callback(api.patch, path, undone)


def limits(fleet: Fleet, run: Run) -> Document:
    """What the pods of its newest attempt are made to ask for."""
    number = run.status["attempts"][-1]["number"]
    (job,) = (
        job
        for job in fleet.jobs(AWAY)
        if job["metadata"]["labels"][labels.RUN_UID] == run.uid
        and job["metadata"]["labels"][labels.ATTEMPT] == str(number)
    )
    [container] = job["spec"]["template"]["spec"]["containers"]
    found: Document = container["resources"]["limits"]
    return {name: count for name, count in found.items() if name.endswith("/gpu")}


def evict(fleet: Fleet, run: Run) -> None:
    """Asks its only pod away to leave its node."""
    api, pods = fleet.plane(AWAY).api, f"/api/v1/namespaces/{NAMESPACE}/pods"
    (pod,) = api.get(pods, labelSelector=f"{labels.RUN_UID}={run.uid}")["items"]
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    api.post(f"{pods}/{name}/eviction", eviction)


@pytest.mark.parametrize(
    "others",
    [
        pytest.param((), id="alone"),
        pytest.param(
            (WAS.document() | {"name": "none", "nodeSelector": {"no": "such"}},),
            id="beside a pool of the old resource",
        ),
    ],
)
@pytest.mark.usefixtures("renamed_gpus")
def test_gpus_that_get_another_name_stay_held_and_the_next_attempt_asks_by_the_new_one(
    fleet: Fleet, others: tuple[Document, ...]
) -> None:
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    run = fleet.submit("before", {"NEVER_ENDS_1": 1, "RUN_SECONDS": 5})
    run.in_phase("Running")
    changed(fleet, WAS.document() | {"gpuResource": OTHER_GPU, "tolerations": []}, *others)
    wide = fleet.submit("wide", {"RUN_SECONDS": 1}, trainer={"numProcPerNode": 2})
    waiting = wide.until(lambda status: status.get("reason") == "WaitingForPlace")
    assert "1 GPUs are free" in waiting["message"]
    pool = status_of(fleet)["nodePools"][0]
    assert (pool["runningRuns"], pool["freeGPUs"], pool.get("reservedGPUs", 0)) == (1, 1, 0)
    assert former(fleet) == []
    assert run.status["phase"] == "Running"
    small = fleet.submit("small", {"RUN_SECONDS": 4}, placement={"priority": 5})
    small.in_phase("Running")
    assert limits(fleet, small) == {OTHER_GPU: "1"}
    small.in_phase("Succeeded", seconds=60)
    evict(fleet, run)
    run.until(
        lambda status: len(status["attempts"]) == 2 and status["phase"] == "Running", seconds=60
    )
    assert limits(fleet, run) == {OTHER_GPU: "1"}
    end = run.in_phase("Succeeded", seconds=60)
    assert end["attempts"][0]["reason"] == "Evicted"
    charges = [each["charges"] for each in end["attempts"]]
    assert [each["ratePerHourUSD"] for charge in charges for each in charge] == ["1.79"] * 2
    assert wide.in_phase("Succeeded", seconds=60)["attempts"][-1]["reason"] == "Completed"
    assert fleet.space.errors == []
