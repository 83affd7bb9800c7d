"""Runs over three clusters: each to the first place of its order that is free, none twice, never more than there are GPUs."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from support.fleets import GPUS, TYPES, Fleet, candidates, free_gpus, lightcompute, place_of
from support.testcluster.fleet import NAMESPACE, Pool

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def test_pools_fill_in_the_order_of_the_runs_and_the_rest_waits_with_reasons(fleet: Fleet) -> None:
    fleet.join()
    fleet.reachable()
    runs = [fleet.submit(f"run-{number}", {"RUN_SECONDS": 8}) for number in range(8)]
    waiting = runs[6].until(lambda status: status.get("reason") == "WaitingForPlace")
    assert candidates(waiting) == dict.fromkeys(TYPES, "NoCapacity")
    assert "0 GPUs are free" in waiting["message"]
    ends = [run.in_phase("Succeeded", seconds=90) for run in runs]
    assert Counter(map(place_of, ends[:6])) == dict.fromkeys(TYPES, GPUS)
    assert [len(end["attempts"]) for end in ends] == [1] * 8
    assert {name: fleet.most_at_once(name) for name in TYPES} == dict.fromkeys(TYPES, GPUS)
    assert fleet.space.audit() == ()
    assert fleet.space.errors == []


def test_those_who_wait_are_served_by_priority_and_then_by_age(fleet: Fleet) -> None:
    fleet.join("us-iad1")
    fleet.reachable("us-iad1")
    first = fleet.submit("first", {"RUN_SECONDS": 6}, trainer={"numProcPerNode": 2})
    first.in_phase("Running")
    orders = {"old": 0, "young": 0, "urgent": 5}
    runs = []
    for name, priority in orders.items():
        given = {"RUN_SECONDS": 2}
        runs.append(
            fleet.submit(
                name, given, placement={"priority": priority}, trainer={"numProcPerNode": 2}
            )
        )
        time.sleep(1.1)  # ages are whole seconds
    starts = [run.in_phase("Succeeded", seconds=90)["startTime"] for run in runs]
    old, young, urgent = starts
    assert urgent < old < young
    assert fleet.most_at_once("us-iad1") == GPUS


def test_small_runs_do_not_starve_a_large_one(fleet: Fleet) -> None:
    fleet.join("us-iad1")
    fleet.reachable("us-iad1")
    fleet.submit("first", {"RUN_SECONDS": 5}).in_phase("Running")
    large = fleet.submit("large", {"RUN_SECONDS": 2}, trainer={"numProcPerNode": 2})
    large.until(lambda status: status.get("reason") == "WaitingForPlace")
    time.sleep(1.1)
    small = fleet.submit("small", {"RUN_SECONDS": 2})
    told = small.until(lambda status: status.get("reason") == "WaitingForPlace")
    assert candidates(told) == {"us-iad1": "QueuedBehind"}
    assert "large" in told["placement"]["candidates"][0]["message"]
    served = large.in_phase("Succeeded", seconds=60), small.in_phase("Succeeded", seconds=60)
    assert served[0]["startTime"] < served[1]["startTime"]


def test_a_run_of_several_pods_goes_into_one_pool_or_none(fleet: Fleet) -> None:
    fleet.join()
    fleet.reachable()
    whole = {"numNodes": 2, "numProcPerNode": 2}
    run = fleet.submit("wide", {"RUN_SECONDS": 2}, trainer=whole)
    told = run.until(lambda status: status.get("reason") == "WaitingForPlace")
    assert candidates(told) == dict.fromkeys(TYPES, "TooLarge")
    halves = fleet.submit("halves", {"RUN_SECONDS": 2}, trainer={"numNodes": 2})
    assert place_of(halves.in_phase("Succeeded", seconds=60)) == "us-ord1"


def test_a_run_that_finds_no_place_fails_at_its_deadline_with_what_was_tried(fleet: Fleet) -> None:
    fleet.join("us-iad1")
    fleet.reachable("us-iad1")
    fleet.submit("first", {"RUN_SECONDS": 60}, trainer={"numProcPerNode": 2}).in_phase("Running")
    limits = {"preRunningDeadlineSeconds": 5, "retryIntervalSeconds": 2}
    end = fleet.submit("late", placement=limits).in_phase("Failed")
    assert end["reason"] == "PreRunningDeadlineExceeded"
    assert "1 NoCapacity" in end["message"]
    assert candidates(end) == {"us-iad1": "NoCapacity"}


def test_a_place_that_takes_an_attempt_not_in_is_left_for_the_next_in_the_same_round(
    fleet: Fleet,
) -> None:
    # A quota that nobody here knows of: the Job is made, and its pods are refused.
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    path = f"/api/v1/namespaces/{NAMESPACE}/resourcequotas"
    fleet.plane("us-iad1").api.post(path, quota)
    fleet.space.stack.callback(fleet.plane("us-iad1").api.delete, f"{path}/none")
    fleet.join("us-iad1", "eu-fra1")
    fleet.reachable("us-iad1", "eu-fra1")
    end = fleet.submit("moved", {"RUN_SECONDS": 1}).in_phase("Succeeded", seconds=120)
    refused, done = end["attempts"]
    assert (refused["place"]["cluster"], refused["reason"]) == ("us-iad1", "PodRefused")
    assert (done["place"]["cluster"], done["reason"]) == ("eu-fra1", "Completed")
    assert end.get("restartsCountTowardsMax", 0) == 0
    assert "exceeded quota" in refused["message"]


def test_only_namespaces_that_may_use_a_cluster_are_placed_there(fleet: Fleet) -> None:
    fleet.join("us-ord1", allowedNamespaces=["somebody-else"])
    fleet.join("eu-fra1", allowedNamespaces=[fleet.space.namespace])
    fleet.reachable("us-ord1", "eu-fra1")
    end = fleet.submit("ours", {"RUN_SECONDS": 1}).in_phase("Succeeded")
    assert place_of(end) == "eu-fra1"
    assert candidates(end)["us-ord1"] == "NamespaceNotAllowed"


def test_a_drained_pool_moves_its_runs_on(fleet: Fleet) -> None:
    fleet.join()
    fleet.reachable()
    run = fleet.submit("drained", {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1})
    run.in_phase("Running")
    node = fleet.plane("us-ord1").api.get("/api/v1/nodes")["items"][0]["metadata"]["name"]
    path = f"/api/v1/nodes/{node}"
    fleet.api.patch(path, {"spec": {"unschedulable": True}})
    fleet.space.stack.callback(fleet.api.patch, path, {"spec": {"unschedulable": None}})
    [pod] = run.pods_until(1)
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    fleet.api.post(f"/api/v1/namespaces/{fleet.space.namespace}/pods/{name}/eviction", eviction)
    end = run.in_phase("Succeeded", seconds=90)
    assert [each["place"]["cluster"] for each in end["attempts"]] == ["us-ord1", "us-iad1"]
    assert end["attempts"][0]["reason"] == "Evicted"


def test_a_pool_that_grows_is_tried_and_believed_to_be_out_of_stock_after_that(
    fleet: Fleet,
) -> None:
    grows = Pool(
        gpu_type="A100-40GB",
        gpus_per_node=8,
        more={"maxNodes": 3, "nodeSelector": {"lightcompute.dev/gpu-type": "none-yet"}},
    )
    fleet.join("eu-fra1")
    fleet.join("us-iad1", nodePools=[grows.document()])
    fleet.reachable("us-iad1", "eu-fra1")
    fleet.space.operator.kill()
    fleet.space.bury(fleet.space.operator)
    fleet.space.patience = {
        **fleet.space.patience,
        "core.checks_begin.UNSCHEDULED_SECONDS": 4,
    }
    fleet.space.start_operator().wait_ready()
    fleet.reachable("us-iad1", "eu-fra1")
    first = fleet.submit("first", {"RUN_SECONDS": 1}).in_phase("Succeeded", seconds=90)
    assert [each["place"]["cluster"] for each in first["attempts"]] == ["us-iad1", "eu-fra1"]
    second = fleet.submit("second", {"RUN_SECONDS": 1}).in_phase("Succeeded", seconds=90)
    assert [each["place"]["cluster"] for each in second["attempts"]] == ["eu-fra1"]
    assert candidates(second)["us-iad1"] == "StockedOut"


def test_commands_about_runs_show_all_clusters_and_say_where_a_log_is(fleet: Fleet) -> None:
    fleet.join("us-ord1", "us-iad1")
    fleet.reachable("us-ord1", "us-iad1")
    runs = [fleet.submit(f"run-{number}", {"RUN_SECONDS": 60}) for number in range(3)]
    for run in runs:
        run.in_phase("Running")
    fleet.space.watch.until(lambda: free_gpus(fleet)["us-iad1"] == 1, str, 10)
    told = lightcompute(fleet, "clusters")
    assert [line.split() for line in told.stdout.splitlines()] == [
        ["CLUSTER", "REGION", "POOL", "TYPE", "GPUS", "FREE", "RESERVED", "RUNS", "PRICE", "STATE"],
        ["us-iad1", "US-IAD1", "a100-80gb", "A100-80GB", "2", "1", "0", "1", "$1.79", "ok"],
        ["us-ord1", "US-ORD1", "a100-40gb", "A100-40GB", "2", "0", "0", "2", "$1.29", "ok"],
    ]
    there = lightcompute(fleet, "logs", "run-2")
    assert there.returncode != 0
    assert "its pods are in the cluster us-iad1" in there.stderr
    assert f"kubectl -n {NAMESPACE} logs" in there.stderr
    assert lightcompute(fleet, "logs", "run-0").returncode == 0
