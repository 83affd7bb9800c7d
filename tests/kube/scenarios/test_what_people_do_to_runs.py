"""What people do to runs and to their children, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api import labels
from support.played import Scenarios
from support.run_spaces import Run, Space

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

scenario = Scenarios()
GOES_ON = {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1}
"""The first attempt runs until it is stopped, the second for a second."""
NOWHERE = {"nodeSelector": {"lightcompute.test/there-is": "none"}}


@pytest.fixture(scope="module")
def patience() -> dict[str, float]:
    return {"core.checks_begin.UNSCHEDULED_SECONDS": 12}


def test_people_get_what_they_ask_for(space: Space, subtests: pytest.Subtests) -> None:
    scenario.play(space, subtests)


def ends(status: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(attempt["reason"], attempt["counts"]) for attempt in status["attempts"]]


def children(run: Run) -> int:
    """How many objects there are that carry the run's UID."""
    space, selector = run.space, f"{labels.RUN_UID}={run.uid}"
    paths = [f"/api/v1/namespaces/{space.namespace}/{kind}" for kind in _KINDS]
    found = [space.api.get(path, labelSelector=selector)["items"] for path in paths]
    return sum(map(len, found)) + len(run.jobs)


_KINDS = ("configmaps", "services", "pods")


def all_gone(run: Run) -> None:
    run.gone()
    run.space.watch.until(
        lambda: children(run) == 0, lambda: f"{children(run)} children are left", 30
    )


@scenario
def a_run_that_is_suspended_holds_and_goes_on_when_it_is_resumed(space: Space) -> None:
    run = space.submit("suspended", GOES_ON)
    run.in_phase("Running")
    run.edit(suspend=True)
    status = run.in_phase("Suspended")
    assert ends(status) == [("Preempted", False)]
    assert status["attempts"][0]["exitCode"] == 13
    assert status["attempts"][0]["stopReason"] == "RunSuspended"
    assert status["cost"]["ratePerHourUSD"] == "0.00"
    run.edit(suspend=False)
    status = run.in_phase("Succeeded")
    assert ends(status) == [("Preempted", False), ("Completed", False)]
    assert status["restartsCountTowardsMax"] == 0


@scenario
def a_run_that_begins_suspended_costs_nothing_until_it_is_resumed(space: Space) -> None:
    run = space.submit("held", {"RUN_SECONDS": 1}, suspend=True)
    status = run.in_phase("Suspended")
    assert "attempts" not in status or not status["attempts"]
    assert run.jobs == []
    run.edit(suspend=False)
    assert ends(run.in_phase("Succeeded")) == [("Completed", False)]


@scenario
def a_run_that_is_stopped_is_over_for_good(space: Space) -> None:
    run = space.submit("stopped", GOES_ON)
    run.in_phase("Running")
    run.annotate(labels.STOP)
    status = run.in_phase("Stopped")
    assert status["reason"] == "StoppedByUser"
    assert ends(status) == [("Preempted", False)]
    run.told("StoppedByUser")


@scenario
def a_run_that_is_deleted_while_it_trains_is_stopped_charged_and_gone(space: Space) -> None:
    run = space.submit("deleted", GOES_ON)
    run.in_phase("Running")
    run.delete()
    status = run.ever_in_phase("Stopped")
    assert ends(status) == [("Preempted", False)]
    assert float(status["cost"]["spentUSD"]) > 0
    all_gone(run)


@scenario
def a_run_that_is_deleted_when_it_is_over_takes_its_children_along(space: Space) -> None:
    run = space.submit("over", {"RUN_SECONDS": 1})
    run.in_phase("Succeeded")
    run.delete()
    all_gone(run)


@scenario
def a_run_that_is_deleted_while_it_waits_for_a_place_is_gone(space: Space) -> None:
    run = space.submit("waiting", {}, trainer=NOWHERE)
    run.until(lambda status: status["reason"] == "NoCapacity")
    run.delete()
    all_gone(run)


@scenario
def a_run_whose_time_to_live_is_over_is_deleted(space: Space) -> None:
    run = space.submit("short-lived", {"RUN_SECONDS": 1}, ttlSecondsAfterFinished=2)
    run.in_phase("Succeeded")
    all_gone(run)


@scenario
def a_pod_that_is_deleted_by_hand_is_followed_by_another_attempt(space: Space) -> None:
    run = space.submit("pod-deleted", GOES_ON)
    (pod,) = run.pods_until(1, phase="Running")
    run.in_phase("Running")
    space.api.delete(f"/api/v1/namespaces/{space.namespace}/pods/{pod['metadata']['name']}")
    status = run.in_phase("Succeeded")
    assert ends(status) == [("Preempted", False), ("Completed", False)]


@scenario
def a_pod_that_is_struck_from_the_list_is_followed_by_another_attempt(space: Space) -> None:
    run = space.submit("pod-struck", GOES_ON)
    (pod,) = run.pods_until(1, phase="Running")
    run.in_phase("Running")
    path = f"/api/v1/namespaces/{space.namespace}/pods/{pod['metadata']['name']}"
    space.api.delete(path, gracePeriodSeconds=0)
    status = run.in_phase("Succeeded")
    assert [reason for reason, _ in ends(status)][1:] == ["Completed"]


@scenario
def a_job_that_is_deleted_by_hand_is_followed_by_another_attempt(space: Space) -> None:
    run = space.submit("job-deleted", GOES_ON)
    run.pods_until(1, phase="Running")
    (job,) = run.jobs
    path = f"/apis/batch/v1/namespaces/{space.namespace}/jobs/{job['metadata']['name']}"
    space.api.delete(path, propagationPolicy="Background")
    status = run.in_phase("Succeeded")
    assert [counts for _, counts in ends(status)] == [False, False]
    # An order, a Service and a Job: nothing of the first attempt is left.
    space.watch.until(lambda: children(run) == 3 + len(run.pods), lambda: str(children(run)), 10)


@scenario
def an_edit_that_concerns_no_attempt_disturbs_none(space: Space) -> None:
    run = space.submit("edited", {"RUN_SECONDS": 4})
    run.in_phase("Running")
    run.edit(placement={"priority": 1}, tensorboard={"enabled": True})
    run.until(lambda status: status["observedGeneration"] == 2)
    assert ends(run.in_phase("Succeeded")) == [("Completed", False)]


@scenario
def an_edit_of_a_run_that_waits_for_a_place_is_what_the_next_attempt_is_made_of(
    space: Space,
) -> None:
    placement = {"retryIntervalSeconds": 1}
    run = space.submit("moved", {"RUN_SECONDS": 1}, trainer=NOWHERE, placement=placement)
    run.until(lambda status: status["reason"] == "NoCapacity")
    run.edit(trainer={"nodeSelector": None})
    status = run.in_phase("Succeeded")
    assert (
        ends(status) == [("NeverStarted", False), ("Completed", False)]
        or len(status["attempts"]) > 1
    )
    assert float(status["cost"]["spentUSD"]) < 0.005


@scenario
def two_runs_of_one_name_have_nothing_to_do_with_each_other(space: Space) -> None:
    first = space.submit("twin", {"NEVER_ENDS": 1})
    first.in_phase("Running")
    first.delete()
    space.watch.until(lambda: first.document is None, lambda: str(first.status), 30)
    second = space.submit("twin", {"RUN_SECONDS": 1})
    status = second.in_phase("Succeeded")
    assert ends(status) == [("Completed", False)]
    assert float(status["cost"]["spentUSD"]) < 0.003
    all_gone(first)
    assert len(second.jobs) == 1
