"""TensorBoard has its Service as soon as its attempt runs; whatever becomes of the Service, the run goes on."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api import labels
from support.played import Scenarios
from support.run_spaces import Run, Space

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

scenario = Scenarios()
NEVER = {"NEVER_ENDS_1": 1}


def test_curves_are_served_while_an_attempt_runs(space: Space, subtests: pytest.Subtests) -> None:
    scenario.play(space, subtests)


def services(run: Run) -> list[dict[str, Any]]:
    selector = f"{labels.RUN_UID}={run.uid},{labels.PURPOSE}=tensorboard"
    path = f"/api/v1/namespaces/{run.space.namespace}/services"
    found: list[dict[str, Any]] = run.space.api.get(path, labelSelector=selector)["items"]
    return found


def one_comes(run: Run, *, other_than: str = "") -> dict[str, Any]:
    def is_there() -> bool:
        return [each["metadata"]["uid"] != other_than for each in services(run)] == [True]

    run.space.watch.until(is_there, lambda: str(services(run)), 20)
    return services(run)[0]


@scenario
def what_waits_for_a_node_has_none_yet(space: Space) -> None:
    nowhere = {"nodeSelector": {"lightcompute.test/there-is": "none"}}
    run = space.submit("nowhere", trainer=nowhere)
    run.until(lambda status: bool(status["attempts"]) and status["reason"] == "NoCapacity")
    assert services(run) == []


@scenario
def one_that_somebody_deletes_is_made_again(space: Space) -> None:
    run = space.submit("again", NEVER)
    run.in_phase("Running")
    first = one_comes(run)["metadata"]
    space.api.delete(f"/api/v1/namespaces/{space.namespace}/services/{first['name']}")
    second = one_comes(run, other_than=first["uid"])
    assert second["metadata"]["name"] == first["name"]
    assert run.in_phase("Running")["restarts"] == 0


@scenario
def a_run_without_tensorboard_has_none(space: Space) -> None:
    run = space.submit("without", NEVER, tensorboard={"enabled": False})
    run.in_phase("Running")
    # For the next attempt: in the pod that runs nothing serves any.
    run.edit(tensorboard={"enabled": True})
    run.until(lambda status: status["observedGeneration"] == 2)
    run.edit(suspend=True)
    run.in_phase("Suspended")
    assert services(run) == []
    run.edit(suspend=False)
    run.in_phase("Running", attempts=2)
    one_comes(run)


@scenario
def one_that_is_wanted_no_more_goes_with_its_attempt(space: Space) -> None:
    run = space.submit("unwanted", NEVER)
    run.in_phase("Running")
    one_comes(run)
    run.edit(tensorboard={"enabled": False}, suspend=True)
    run.in_phase("Suspended")
    run.edit(suspend=False)
    run.in_phase("Running", attempts=2)
    space.watch.until(lambda: services(run) == [], lambda: str(services(run)), 20)


@scenario
def a_service_of_that_name_that_is_not_ours_is_left_alone_and_told(space: Space) -> None:
    run = space.submit("taken", {"RUN_SECONDS": 3}, suspend=True)
    run.in_phase("Suspended")
    name = labels.child_name("taken", run.uid, 1, "tensorboard")
    path = f"/api/v1/namespaces/{space.namespace}/services"
    foreign = space.api.post(path, {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}})
    run.edit(suspend=False)
    assert run.in_phase("Succeeded")["restarts"] == 0
    told = run.told("CurvesNotServed")
    assert told["type"] == "Warning"
    assert "belongs to something else" in told["message"]
    kept = space.api.get(f"{path}/{name}")
    assert kept["metadata"]["uid"] == foreign["metadata"]["uid"]
    space.api.delete(f"{path}/{name}")


def test_a_quota_of_services_holds_up_no_run(space: Space) -> None:
    quotas = f"/api/v1/namespaces/{space.namespace}/resourcequotas"
    quota = {"metadata": {"name": "no-services"}, "spec": {"hard": {"count/services": "0"}}}
    space.api.post(quotas, quota)
    try:
        run = space.submit("bounded", {"RUN_SECONDS": 3})
        assert run.in_phase("Succeeded")["restarts"] == 0
        assert "quota" in run.told("CurvesNotServed")["message"]
        assert services(run) == []
    finally:
        space.api.delete(f"{quotas}/no-services")
