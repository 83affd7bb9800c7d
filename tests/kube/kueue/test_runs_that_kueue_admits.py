"""Runs with placement.queueName under a real Kueue: admitted, made to wait, taken back and admitted again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.run_spaces import Run, Space, a_space
from support.testcluster.jobs import trainer_job
from support.testcluster.kueue import Kueue, condition
from support.testcluster.kueue_queues import (
    PRIORITY,
    QUEUE,
    add_queue,
    create,
    workload_priority_class,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
IN_QUEUE = {"queueName": "one-gpu"}


@pytest.fixture
def space(kueue: Kueue, tmp_path: Path, checkout: Path) -> Iterator[Space]:
    """A namespace with an operator and a queue with one GPU."""
    for file in sorted((checkout / "crds").glob("*.yaml")):
        kueue.api.apply_crd(file)
    with a_space(kueue.cluster, tmp_path) as space:
        add_queue(kueue.api, space.namespace, "one-gpu", gpus=1)
        space.start_operator().wait_ready()
        yield space


def take_its_place(kueue: Kueue, space: Space, name: str, *, run_seconds: int) -> None:
    """A Job with more priority, which Kueue admits in place of what runs."""
    urgent = f"{space.namespace}-{name}"
    create(kueue.api, workload_priority_class(urgent, 1000))
    marks = {QUEUE: "one-gpu", PRIORITY: urgent}
    job = trainer_job(name, job_labels=marks, job_spec={"suspend": True}, run_seconds=run_seconds)
    kueue.api.post(f"/apis/batch/v1/namespaces/{space.namespace}/jobs", job)


def test_runs_are_admitted_one_after_the_other_and_none_is_charged_while_it_waits(
    kueue: Kueue, space: Space
) -> None:
    first = space.submit("first", {"RUN_SECONDS": 4}, placement=IN_QUEUE)
    first.in_phase("Running")
    second = space.submit("second", {"RUN_SECONDS": 1}, placement=IN_QUEUE)
    told = second.until(lambda status: status["reason"] == "NotAdmitted")
    assert (told["phase"], told["cost"]["spentUSD"]) == ("Pending", "0.00")
    (job,) = second.jobs
    workload = kueue.workload(
        space.namespace, job["metadata"]["name"], lambda each: condition(each, "QuotaReserved")
    )
    assert condition(workload, "QuotaReserved")["status"] == "False"
    ends = first.in_phase("Succeeded"), second.in_phase("Succeeded")
    assert [len(end["attempts"]) for end in ends] == [1, 1]
    assert ends[1]["attempts"][0]["startTime"] >= ends[0]["attempts"][0]["endTime"]
    assert space.audit() == ()


def test_a_run_that_is_taken_back_was_preempted_and_is_admitted_again(
    kueue: Kueue, space: Space
) -> None:
    given = {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1}
    run = space.submit("low", given, placement=IN_QUEUE)
    run.in_phase("Running")
    take_its_place(kueue, space, "urgent", run_seconds=3)
    end = run.in_phase("Succeeded", seconds=120)
    taken, done = end["attempts"]
    assert (taken["reason"], taken["counts"]) == ("Preempted", False)
    assert (done["reason"], done["queueName"]) == ("Completed", "one-gpu")
    assert end.get("restartsCountTowardsMax", 0) == 0
    of_runs = [each for each in space.audit() if "urgent: a Job of no run" not in each]
    assert of_runs == []


def test_the_cap_holds_over_all_admissions_with_the_operator_dead(
    kueue: Kueue, space: Space
) -> None:
    """Kubernetes counts the Job's deadline anew at each admission; Kueue adds them all up."""
    program = {"image": "example.invalid/another:1", "command": ["run"]}
    run = space.submit(
        "capped",
        {"NEVER_ENDS": 1, "DEAF": 1, "SILENT": 1},
        trainer=program,
        training=None,
        placement=IN_QUEUE,
        budget={"limitUSD": "0.018"},
    )
    seconds = run.in_phase("Running")["attempts"][0]["deadlineSeconds"]
    space.operator.kill()
    take_its_place(kueue, space, "urgent", run_seconds=2)
    (job,) = run.jobs
    name = job["metadata"]["name"]
    over = kueue.workload(
        space.namespace, name, lambda each: each["spec"].get("active") is False, seconds=90
    )
    assert over["spec"]["maximumExecutionTimeSeconds"] == seconds
    kueue.api.eventually(
        f"/apis/batch/v1/namespaces/{space.namespace}/jobs/{name}",
        lambda job: job["spec"]["suspend"] and not job["status"].get("active"),
    )
    space.bury(space.operator)
    space.start_operator().wait_ready()
    end = run.in_phase("BudgetExhausted")
    # Taken back once with nobody there: one time of grace more, and the time until it was let in again.
    assert float(end["cost"]["spentUSD"]) <= 0.018 + 0.004 + 0.010
    assert [each["reason"] for each in end["attempts"]] == ["Preempted"]


def test_a_run_that_is_deleted_while_it_waits_leaves_no_workload(
    kueue: Kueue, space: Space
) -> None:
    run = space.submit("unknown", placement={"queueName": "there-is-none"})
    run.until(lambda status: status["reason"] == "NotAdmitted")
    (job,) = run.jobs
    kueue.workload(
        space.namespace, job["metadata"]["name"], lambda each: condition(each, "QuotaReserved")
    )
    run.delete()
    run.gone()
    workloads = f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{space.namespace}/workloads"
    kueue.api.eventually(workloads, lambda found: not found["items"])


@contextmanager
def away(kueue: Kueue) -> Iterator[None]:
    """Kueue is away and its webhooks stay: nobody changes a Job meanwhile."""
    kueue.component.kill()
    try:
        yield
    finally:
        kueue.component.start()
        kueue.component.wait_ready()


def deadline(run: Run) -> int:
    """Seconds after which Kubernetes ends its Job."""
    (job,) = run.jobs
    return int(job["spec"]["activeDeadlineSeconds"])


@pytest.mark.parametrize("limit", ["0.50", "2.00"], ids=["lowered", "raised"])
def test_a_deadline_that_cannot_be_moved_while_kueue_is_away_is_told_and_moved_when_it_is_back(
    kueue: Kueue, space: Space, limit: str
) -> None:
    run = space.submit("moved", {"NEVER_ENDS": 1}, placement=IN_QUEUE, budget={"limitUSD": "1.00"})
    before = run.in_phase("Running")["attempts"][0]["deadlineSeconds"]
    assert deadline(run) == before
    with away(kueue):
        run.edit(budget={"limitUSD": limit})
        told = run.until(lambda status: "failed calling webhook" in status["message"])
        assert (told["phase"], told["reason"]) == ("Running", "AttemptRunning")
        assert "its deadline could not be moved" in told["message"]
        assert deadline(run) == before
    run.until(lambda status: "webhook" not in status["message"], seconds=90)
    after = deadline(run)
    assert after < before if limit == "0.50" else after > before
    assert run.status["attempts"][0]["deadlineSeconds"] == after
    assert len(run.status["attempts"]) == 1
    run.delete()
    run.gone()


def test_a_lowered_cap_stops_the_attempt_though_kueue_is_away(kueue: Kueue, space: Space) -> None:
    run = space.submit(
        "cut", {"NEVER_ENDS": 1, "SILENT": 1}, placement=IN_QUEUE, budget={"limitUSD": "1.00"}
    )
    run.in_phase("Running")
    with away(kueue):
        run.edit(budget={"limitUSD": "0.030"})
        # The operator stops it itself: to delete a Job no webhook is asked.
        space.watch.until(
            lambda: not [pod for pod in run.pods if pod["status"]["phase"] == "Running"],
            run.told_in_full,
            90,
        )
    end = run.in_phase("BudgetExhausted", seconds=90)
    assert float(end["cost"]["spentUSD"]) <= 0.030
    assert len(end["attempts"]) == 1


def test_a_cap_that_is_raised_outlives_the_time_that_kueue_was_told(
    kueue: Kueue, space: Space
) -> None:
    """Kueue ends the attempt when that is over, which counts as no restart; the next has a time of its own."""
    given = {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1}
    run = space.submit("raised", given, placement=IN_QUEUE, budget={"limitUSD": "0.030"})
    before = run.in_phase("Running")["attempts"][0]["deadlineSeconds"]
    run.edit(budget={"limitUSD": "1.00"})
    run.until(lambda status: status["attempts"][0]["deadlineSeconds"] > before)
    end = run.in_phase("Succeeded", seconds=before + 90)
    ends = [(each["reason"], each["counts"]) for each in end["attempts"]]
    assert ends == [("TimeOver", False), ("Completed", False)]
    assert space.audit() == ()
