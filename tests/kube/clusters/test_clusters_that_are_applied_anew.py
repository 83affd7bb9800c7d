"""A TrainingCluster that is deleted and applied again as another one: what was placed under the old one is out of sight, and never taken for gone."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lightcompute.api import labels
from support.fleets import TYPES, Fleet
from support.run_spaces import Run
from support.testcluster.fleet import (
    CLUSTERS,
    NAMESPACE,
    Pool,
    make_namespace,
    secret,
    training_cluster,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Document = dict[str, Any]
AWAY = "us-iad1"
OTHER = "other-training"
"""Another namespace in the same cluster."""


@pytest.fixture
def patience() -> dict[str, float]:
    """An image that cannot be had is waited for through the whole test."""
    return {"core.checks_begin.CANNOT_BEGIN_SECONDS": 90}


@pytest.fixture
def there(fleet: Fleet) -> Fleet:
    """One cluster with two namespaces, of which the runs go to the first."""
    make_namespace(fleet.plane(AWAY), OTHER)
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    return fleet


def applied_anew(fleet: Fleet, **spec: Any) -> None:
    """Deleted, and applied again with `spec`."""
    fleet.api.delete(f"{CLUSTERS}/{AWAY}")
    pools = (Pool(gpu_type=TYPES[AWAY], gpus_per_node=2),)
    fleet.api.post(CLUSTERS, training_cluster(AWAY, pools, **spec))
    fleet.reachable(AWAY)


def jobs_of(fleet: Fleet, run: Run, cluster: str = AWAY) -> list[str]:
    """Namespaces of its Jobs."""
    found = fleet.plane(cluster).api.get(
        "/apis/batch/v1/jobs", labelSelector=f"{labels.RUN_UID}={run.uid}"
    )
    return [each["metadata"]["namespace"] for each in found["items"]]


def secrets(fleet: Fleet) -> str:
    return f"/api/v1/namespaces/{fleet.space.namespace}/secrets"


def ends(status: Document) -> list[tuple[int, str]]:
    """The attempts, and what became of them."""
    return [(each["number"], each.get("reason", "")) for each in status["attempts"]]


def out_of_sight(run: Run) -> Document:
    """Its status, once it says that its attempt is not where it is looked for."""
    return run.until(lambda status: status["reason"] == "AttemptElsewhere")


@pytest.mark.parametrize(
    "sim", [{"RUN_SECONDS": 12}, {"IMAGE_ERROR": 1}], ids=["running", "waiting for its image"]
)
def test_an_attempt_in_the_namespace_of_before_is_not_taken_for_gone(
    there: Fleet, sim: dict[str, int]
) -> None:
    run = there.submit("before", sim)
    run.until(lambda status: status["reason"] in {"AttemptRunning", "ImageUnavailable"})
    applied_anew(there, namespace=OTHER)
    told = out_of_sight(run)
    assert f"namespace {NAMESPACE} of the cluster" in told["message"]
    assert f"namespace {OTHER} of the cluster" in told["message"]
    # What is placed from now on goes to the new namespace, and what is free is counted over both.
    after = there.submit("after", {"RUN_SECONDS": 1})
    end = after.in_phase("Succeeded", seconds=60)
    assert end["attempts"][0]["whereabouts"]["namespace"] == OTHER
    assert jobs_of(there, run) == [NAMESPACE]
    applied_anew(there, namespace=NAMESPACE)
    if "RUN_SECONDS" in sim:
        assert ends(run.in_phase("Succeeded", seconds=60)) == [(1, "Completed")]
    else:
        run.until(lambda status: status["reason"] == "ImageUnavailable")
        assert ends(run.status) == [(1, "")]
        run.delete()
        run.gone()
    assert jobs_of(there, run) in ([], [NAMESPACE])
    assert there.space.errors == []


def test_one_whose_creation_was_not_heard_of_is_not_created_in_the_new_namespace(
    fleet: Fleet,
) -> None:
    make_namespace(fleet.plane(AWAY), OTHER)
    proxy = fleet.behind_a_proxy(AWAY)
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    # It is under way for longer than the TrainingCluster leads there.
    proxy.delay(6, method="POST", path="/jobs", times=1)
    proxy.answer(503, method="POST", path="/jobs", times=None)
    run = fleet.submit("unheard", {"RUN_SECONDS": 8})
    run.until(lambda status: status.get("attempts"))
    time.sleep(1)
    fleet.api.delete(f"{CLUSTERS}/{AWAY}")
    proxy.clear()
    pools = (Pool(gpu_type=TYPES[AWAY], gpus_per_node=2),)
    fleet.api.post(CLUSTERS, training_cluster(AWAY, pools, namespace=OTHER))
    fleet.reachable(AWAY)
    assert out_of_sight(run)["attempts"][0]["state"] == "Reserved"
    fleet.space.watch.until(lambda: jobs_of(fleet, run), run.told_in_full, 30)
    time.sleep(2)
    assert jobs_of(fleet, run) == [NAMESPACE]
    applied_anew(fleet, namespace=NAMESPACE)
    assert ends(run.in_phase("Succeeded", seconds=60)) == [(1, "Completed")]


def test_an_operator_that_begins_anew_meanwhile_does_not_take_it_for_gone(there: Fleet) -> None:
    run = there.submit("before", {"RUN_SECONDS": 20})
    run.in_phase("Running")
    there.space.operator.kill()
    there.space.bury(there.space.operator)
    there.api.delete(f"{CLUSTERS}/{AWAY}")
    pools = (Pool(gpu_type=TYPES[AWAY], gpus_per_node=2),)
    there.api.post(CLUSTERS, training_cluster(AWAY, pools, namespace=OTHER))
    there.space.start_operator().wait_ready()
    there.reachable(AWAY)
    out_of_sight(run)
    applied_anew(there, namespace=NAMESPACE)
    assert ends(run.in_phase("Succeeded", seconds=60)) == [(1, "Completed")]


def test_an_attempt_in_the_cluster_of_before_is_not_taken_for_gone(there: Fleet) -> None:
    run = there.submit("before", {"RUN_SECONDS": 12})
    run.in_phase("Running")
    another = secret(AWAY, there.plane("eu-fra1").kubeconfig)
    kept = there.api.get(f"{secrets(there)}/{AWAY}")["data"]
    there.api.delete(f"{CLUSTERS}/{AWAY}")
    run.until(lambda status: status["reason"] == "ClusterUnknown")
    there.api.patch(f"{secrets(there)}/{AWAY}", another)
    there.api.post(CLUSTERS, training_cluster(AWAY, (Pool(gpu_type="L40S", gpus_per_node=2),)))
    there.reachable(AWAY)
    out_of_sight(run)
    there.api.patch(f"{secrets(there)}/{AWAY}", {"data": kept})
    applied_anew(there)
    assert ends(run.in_phase("Succeeded", seconds=60)) == [(1, "Completed")]


def test_an_attempt_beside_its_run_is_not_looked_for_elsewhere(fleet: Fleet) -> None:
    own, gpu_type = "us-ord1", TYPES["us-ord1"]
    fleet.join(own, "eu-fra1")
    fleet.reachable(own, "eu-fra1")
    run = fleet.submit("before", {"RUN_SECONDS": 12})
    run.in_phase("Running")
    path = f"{CLUSTERS}/{own}"
    fleet.api.delete(path)
    pools = (Pool(gpu_type=gpu_type, gpus_per_node=2),)
    fleet.api.post(secrets(fleet), secret(own, fleet.plane(AWAY).kubeconfig))
    fleet.api.post(CLUSTERS, training_cluster(own, pools))
    fleet.reachable(own)
    out_of_sight(run)
    fleet.api.delete(path)
    fleet.api.post(CLUSTERS, training_cluster(own, pools, own=True))
    assert ends(run.in_phase("Succeeded", seconds=60)) == [(1, "Completed")]


def test_it_is_over_when_its_deadline_has_certainly_passed(there: Fleet) -> None:
    # 1.79 dollars an hour: half a tenth of a cent a second.
    run = there.submit("capped", {"NEVER_ENDS": 1}, budget={"limitUSD": "0.012"})
    run.in_phase("Running")
    applied_anew(there, namespace=OTHER)
    out_of_sight(run)
    end = run.in_phase("BudgetExhausted", seconds=90)
    assert len(end["attempts"]) == 1
    assert float(end["cost"]["spentUSD"]) <= 0.012


def test_what_a_deleted_run_left_there_is_owed_until_the_old_namespace_is_looked_at(
    there: Fleet,
) -> None:
    run = there.submit("deleted", {"NEVER_ENDS": 1})
    run.in_phase("Running")
    applied_anew(there, namespace=OTHER)
    out_of_sight(run)
    run.delete()
    run.space.watch.until(lambda: run.document is None, run.told_in_full, 60)
    path = f"{CLUSTERS}/{AWAY}"
    [owed] = there.api.eventually(path, lambda found: found["status"].get("owed"))["status"]["owed"]
    assert (owed["runUid"], owed["whereabouts"]["namespace"]) == (run.uid, NAMESPACE)
    time.sleep(
        3
    )  # longer than a round of the sweep, which finds nothing of it in the new namespace
    assert there.api.get(path)["status"]["owed"] == [owed]
    assert jobs_of(there, run) == [NAMESPACE]
    applied_anew(there, namespace=NAMESPACE)
    there.watches[AWAY].until(lambda: not jobs_of(there, run), run.told_in_full, 60)
