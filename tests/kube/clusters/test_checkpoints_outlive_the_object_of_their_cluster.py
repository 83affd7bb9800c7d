"""A TrainingCluster that is deleted for good: what is in a bucket is seen to from another, and who waits for a claim is told what to type."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lightcompute.api import labels
from support.fleets import Fleet
from support.run_audit import Kind
from support.run_spaces import Run, make_claim
from support.testcluster.fleet import CLUSTERS, NAMESPACE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Document = dict[str, Any]
HOME, OTHER = "us-iad1", "eu-fra1"
BUCKET = {"s3": {"bucket": "training"}}
SHORT = {"RUN_SECONDS": 1}


@pytest.fixture
def two(fleet: Fleet) -> Fleet:
    """Two clusters, of which runs go to the first."""
    fleet.join(HOME, OTHER)
    fleet.reachable(HOME, OTHER)
    return fleet


def tasks_in(fleet: Fleet, cluster: str, run: Run) -> list[str]:
    """What upkeep of the run was ever to do there."""
    made: dict[str, str] = {}
    for change in fleet.watches[cluster].changes:
        if change.kind is not Kind.JOB:
            continue
        metadata = change.document["metadata"]
        if metadata.get("labels", {}).get(labels.UPKEEP_OF) == run.uid:
            pod = change.document["spec"]["template"]["spec"]
            made.setdefault(metadata["uid"], pod["containers"][0]["args"][0])
    return list(made.values())


def test_what_is_in_a_bucket_is_deleted_from_another_cluster(two: Fleet) -> None:
    run = two.submit("bucket", SHORT, storage=BUCKET, checkpoints={"whenDeleted": "Delete"})
    run.in_phase("Succeeded", seconds=60)
    assert tasks_in(two, HOME, run) == ["Verify"]
    two.api.delete(f"{CLUSTERS}/{HOME}")
    run.delete()
    run.gone(seconds=60)
    assert tasks_in(two, HOME, run) == ["Verify"]
    assert tasks_in(two, OTHER, run) == ["Delete"]


def test_a_verification_that_could_not_be_begun_is_done_from_another_cluster(fleet: Fleet) -> None:
    proxy = fleet.behind_a_proxy(HOME)
    fleet.join(HOME, OTHER)
    fleet.reachable(HOME, OTHER)
    run = fleet.submit("bucket", {"RUN_SECONDS": 4}, storage=BUCKET)
    run.in_phase("Running")
    proxy.answer(503, method="POST", path="/jobs", times=None)
    run.in_phase("Verifying", seconds=60)
    fleet.api.delete(f"{CLUSTERS}/{HOME}")
    run.in_phase("Succeeded", seconds=60)
    assert tasks_in(fleet, OTHER, run) == ["Verify"]


def test_a_claim_is_waited_for_and_what_ends_the_wait_can_be_typed(two: Fleet) -> None:
    make_claim(two.plane(HOME).api, NAMESPACE, "runs")
    storage = {"persistentVolumeClaim": {"claimName": "runs"}}
    run = two.submit("claim", SHORT, storage=storage, checkpoints={"whenDeleted": "Delete"})
    run.in_phase("Succeeded", seconds=60)
    two.api.delete(f"{CLUSTERS}/{HOME}")
    run.delete()
    told = run.until(lambda status: "There is no TrainingCluster" in status["message"])["message"]
    assert f"{HOME} cannot be reached: " in told
    command = told.partition("to let it go without: ")[2]
    assert command.startswith(f"kubectl -n {two.space.namespace} patch trainingrun claim ")
    patch = json.loads(command.partition("-p '")[2].removesuffix("'"))
    two.api.patch(run.path, patch, kind="merge")
    run.gone(seconds=60)
    assert tasks_in(two, OTHER, run) == []
