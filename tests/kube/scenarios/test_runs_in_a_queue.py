"""Runs that Kueue admits, with its part played at the API server: Jobs held until it lets them go, and held again when it takes them back."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.kube.observed import QUEUE
from support.played import Scenarios
from support.run_audit import Kind
from support.run_spaces import Run, Space

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

scenario = Scenarios()
IN_QUEUE = {"queueName": "team"}


def test_a_run_waits_in_its_queue_and_comes_back_from_being_taken_back(
    space: Space, subtests: pytest.Subtests
) -> None:
    scenario.play(space, subtests)


def ends(status: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(attempt["reason"], attempt["counts"]) for attempt in status["attempts"]]


def job_of(run: Run, attempt: int) -> dict[str, Any]:
    """The Job of that attempt, once it is there."""

    def found() -> dict[str, Any] | None:
        number = str(attempt)
        jobs = (job for job in run.jobs if job["metadata"]["labels"]["lightcompute.dev/attempt"] == number)  # fmt: skip
        return next(jobs, None)

    job: dict[str, Any] = run.space.watch.until(found, run.told_in_full, 60)
    return job


def hold(run: Run, job: dict[str, Any], *, held: bool) -> None:
    """What Kueue does to admit a Job, and to take it back."""
    path = f"/apis/batch/v1/namespaces/{run.space.namespace}/jobs/{job['metadata']['name']}"
    run.space.api.patch(path, {"spec": {"suspend": held}})


@scenario
def a_job_is_made_held_waits_its_turn_and_costs_nothing_before_it(space: Space) -> None:
    run = space.submit("waits", {"RUN_SECONDS": 1}, placement=IN_QUEUE)
    told = run.until(lambda each: each["reason"] == "NotAdmitted")
    assert (told["phase"], told["cost"]["spentUSD"]) == ("Pending", "0.00")
    assert "the queue team of Kueue has not admitted it yet" in told["message"]
    job = job_of(run, 1)
    assert (job["spec"]["suspend"], job["metadata"]["labels"][QUEUE]) == (True, "team")
    assert run.pods == []
    hold(run, job, held=False)
    status = run.in_phase("Succeeded")
    assert ends(status) == [("Completed", False)]


@scenario
def what_is_taken_back_is_preempted_and_goes_on_in_the_queue(space: Space) -> None:
    budget = {"limitUSD": "1"}
    given = {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1}
    run = space.submit("taken-back", given, placement=IN_QUEUE, budget=budget)
    first = job_of(run, 1)
    hold(run, first, held=False)
    run.in_phase("Running")
    hold(run, first, held=True)
    second = job_of(run, 2)
    # The first one is gone before the second is there: nobody can let it in again.
    assert space.watch.find(Kind.JOB, first["metadata"]["uid"]) is None
    hold(run, second, held=False)
    status = run.in_phase("Succeeded")
    assert ends(status) == [("Preempted", False), ("Completed", False)]
    assert status.get("restartsCountTowardsMax", 0) == 0


@scenario
def one_that_is_never_admitted_fails_at_its_deadline(space: Space) -> None:
    run = space.submit("never", placement={**IN_QUEUE, "preRunningDeadlineSeconds": 5})
    status = run.in_phase("Failed")
    assert status["reason"] == "PreRunningDeadlineExceeded"
    assert "the queue team did not admit attempt 1" in status["message"]
    run.space.watch.until(lambda: not run.jobs, run.told_in_full, 60)


@scenario
def one_that_waits_in_its_queue_can_be_suspended_and_deleted(space: Space) -> None:
    run = space.submit("held", placement=IN_QUEUE)
    job_of(run, 1)
    run.edit(suspend=True)
    run.in_phase("Suspended")
    run.edit(suspend=False)
    job_of(run, 2)
    run.delete()
    run.gone()
