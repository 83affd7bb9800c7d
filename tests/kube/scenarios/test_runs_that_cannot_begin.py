"""Why a run does not begin: told within half a minute, in the words of whoever knows, and mended without anybody starting it anew."""

from __future__ import annotations

from typing import Any

import pytest

from support.played import Scenarios
from support.run_spaces import Space
from support.testcluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

scenario = Scenarios()
TOLD_SECONDS = 30


def test_a_run_that_does_not_begin_says_why(space: Space, subtests: pytest.Subtests) -> None:
    scenario.play(space, subtests)


def ends(status: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(attempt["reason"], attempt["counts"]) for attempt in status["attempts"]]


def condition(status: dict[str, Any], type_: str) -> dict[str, Any]:
    (found,) = (each for each in status["conditions"] if each["type"] == type_)
    return dict(found)


@scenario
def an_image_that_cannot_be_fetched_is_told_given_up_and_tried_again_later(space: Space) -> None:
    soon = {"retryIntervalSeconds": 5}
    run = space.submit("no-image", {"IMAGE_ERROR_1": 1, "RUN_SECONDS": 1}, placement=soon)
    told = run.until(lambda each: each["reason"] == "ImageUnavailable", seconds=TOLD_SECONDS)
    assert told["phase"] == "Starting"
    assert "pull access denied" in told["message"]
    assert condition(told, "Running")["status"] == "False"
    assert run.told("ImageUnavailable")["type"] == "Warning"
    status = run.in_phase("Succeeded")
    assert ends(status) == [("ImageUnavailable", False), ("Completed", False)]


@scenario
def a_pod_that_cannot_be_configured_is_told_and_given_up_with_the_search(space: Space) -> None:
    short = {"preRunningDeadlineSeconds": 10}
    run = space.submit("no-secret", {"CONFIG_ERROR": 1}, placement=short)
    told = run.until(lambda each: each["reason"] == "PodRefused", seconds=TOLD_SECONDS)
    assert 'secret "not-there" not found' in told["message"]
    status = run.in_phase("Failed")
    assert status["reason"] == "PreRunningDeadlineExceeded"
    assert 'secret "not-there" not found' in status["message"]
    assert ends(status) == [("PodRefused", False)]
    assert run.pods == [] or run.pods[0]["status"]["phase"] == "Failed"


@scenario
def a_run_that_finds_no_room_says_so_and_runs_when_there_is_some(space: Space) -> None:
    label = {"lightcompute.test/pool": space.namespace}
    run = space.submit("no-room", {"RUN_SECONDS": 1}, trainer={"nodeSelector": label})
    told = run.until(lambda each: each["reason"] == "NoCapacity", seconds=TOLD_SECONDS)
    assert "nodes are available" in told["message"]
    assert condition(told, "Scheduled")["status"] == "False"
    assert isinstance(space.cluster, ControlPlane)
    space.cluster.add_nodes(1, "H100", labels=label, pool=space.namespace)
    status = run.in_phase("Succeeded")
    assert ends(status) == [("Completed", False)]
    assert float(status["cost"]["spentUSD"]) < 0.004


@scenario
def a_claim_that_is_missing_is_told_and_found_when_it_is_there(space: Space) -> None:
    claim = f"claim-{space.namespace}"
    storage = {"persistentVolumeClaim": {"claimName": claim}}
    run = space.submit("no-claim", {"RUN_SECONDS": 1}, storage=storage)
    told = run.until(lambda each: each["reason"] == "SpecRefused", seconds=TOLD_SECONDS)
    accepted = condition(told, "Accepted")
    assert accepted["status"] == "False"
    assert f"The claim {claim} does not exist" in accepted["message"]
    assert run.jobs == []
    space.make_claim(claim)
    # Claims are not watched: it is found at the next resync.
    status = run.in_phase("Succeeded", seconds=90)
    assert condition(status, "Accepted")["status"] == "True"
    assert ends(status) == [("Completed", False)]


@scenario
def a_quota_that_lets_no_pod_come_to_be_is_told_and_given_up(space: Space) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "gpus"},
        "spec": {"hard": {"requests.nvidia.com/gpu": "30"}},
    }
    path = f"/api/v1/namespaces/{space.namespace}/resourcequotas"
    space.api.post(path, quota)
    space.api.eventually(f"{path}/gpus", lambda each: each.get("status", {}).get("hard"))
    run = space.submit("no-quota", {"RUN_SECONDS": 1}, trainer={"numProcPerNode": 31})
    told = run.until(lambda each: each["reason"] == "PodRefused", seconds=TOLD_SECONDS)
    assert "exceeded quota: gpus" in told["message"]
    assert run.pods == []
    assert told["cost"]["spentUSD"] == "0.00"
    status = run.until(lambda each: each["attempts"][0]["state"] == "Ended")
    assert ends(status)[0] == ("PodRefused", False)
    run.delete()
    run.gone()
