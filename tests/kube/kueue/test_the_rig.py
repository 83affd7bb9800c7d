from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.testcluster.api import ApiFault, Document
from support.testcluster.control_plane import ControlPlane
from support.testcluster.fixtures import built
from support.testcluster.jobs import trainer_job
from support.testcluster.kueue import Kueue, condition
from support.testcluster.kueue_queues import (
    PRIORITY,
    QUEUE,
    add_queue,
    create,
    workload_priority_class,
)

pytestmark = pytest.mark.e2e


@pytest.fixture
def queue(kueue: Kueue, namespace: str) -> str:
    """A queue with one L40S."""
    add_queue(
        kueue.api, namespace, "one-gpu", gpus=1, node_labels={"lightcompute.dev/gpu-type": "L40S"}
    )
    return "one-gpu"


def put(kueue: Kueue, namespace: str, job: Document) -> str:
    """Creates a Job; gives its path."""
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    kueue.api.post(jobs, job)
    return f"{jobs}/{job['metadata']['name']}"


def queued_job(name: str, queue: str, *, priority: str | None = None, **knobs: Any) -> Document:
    """A Job that waits in a queue."""
    marks = {QUEUE: queue, **({PRIORITY: priority} if priority else {})}
    return trainer_job(name, job_labels=marks, job_spec={"suspend": True}, **knobs)


def has(kind: str) -> Callable[[Document], bool]:
    """Whether a Job has the condition."""
    return lambda job: any(
        each["type"] == kind and each["status"] == "True"
        for each in job.get("status", {}).get("conditions", ())
    )


def is_running(job: Document) -> bool:
    return not job["spec"]["suspend"] and job.get("status", {}).get("ready") == 1


def test_a_job_within_the_quota_is_admitted_and_runs_to_its_end(
    kueue: Kueue, namespace: str, queue: str
) -> None:
    path = put(kueue, namespace, queued_job("trainer", queue, run_seconds=1))
    job = kueue.api.eventually(path, has("Complete"))
    assert job["spec"]["suspend"] is False
    pod = job["spec"]["template"]
    assert pod["spec"]["nodeSelector"] == {"lightcompute.dev/gpu-type": "L40S"}
    assert pod["metadata"]["labels"]["kueue.x-k8s.io/local-queue-name"] == queue
    workload = kueue.workload(namespace, "trainer", lambda each: condition(each, "Finished"))
    assert condition(workload, "Admitted")["status"] == "True"
    assert condition(workload, "Finished")["reason"] == "Succeeded"


def test_a_job_over_the_quota_stays_suspended_and_its_workload_says_why(
    kueue: Kueue, namespace: str, queue: str
) -> None:
    path = put(kueue, namespace, queued_job("trainer", queue, gpus=2))
    workload = kueue.workload(namespace, "trainer", lambda each: condition(each, "QuotaReserved"))
    waiting = condition(workload, "QuotaReserved")
    assert (waiting["status"], waiting["reason"]) == ("False", "Pending")
    assert "insufficient quota for nvidia.com/gpu" in waiting["message"]
    assert kueue.api.get(path)["spec"]["suspend"] is True
    assert kueue.api.get(f"/api/v1/namespaces/{namespace}/pods")["items"] == []


def test_a_job_of_higher_priority_takes_the_place_of_one_that_then_goes_on_after_it(
    kueue: Kueue, namespace: str, queue: str
) -> None:
    for name, value in (("low", 1), ("high", 2)):
        create(kueue.api, workload_priority_class(f"{namespace}-{name}", value))
    low = put(
        kueue, namespace, queued_job("low", queue, priority=f"{namespace}-low", never_ends=True)
    )
    pods = f"/api/v1/namespaces/{namespace}/pods"
    kueue.api.eventually(low, is_running)
    (first,) = kueue.api.get(pods)["items"]

    high = put(
        kueue, namespace, queued_job("high", queue, priority=f"{namespace}-high", run_seconds=3)
    )
    kueue.api.eventually(low, lambda job: job["spec"]["suspend"])
    evicted = kueue.workload(
        namespace, "low", lambda each: condition(each, "Evicted").get("status") == "True"
    )
    assert condition(evicted, "Evicted")["reason"] == "Preempted"
    kueue.api.gone(f"{pods}/{first['metadata']['name']}")

    kueue.api.eventually(high, has("Complete"))
    kueue.api.eventually(low, is_running)


def test_a_job_without_a_queue_is_left_alone(kueue: Kueue, namespace: str) -> None:
    path = put(kueue, namespace, trainer_job("trainer", run_seconds=0))
    job = kueue.api.eventually(path, has("Complete"))
    assert "kueue.x-k8s.io/podset" not in job["spec"]["template"]["metadata"]["labels"]


def test_a_job_that_was_not_created_suspended_is_suspended_first(
    kueue: Kueue, namespace: str
) -> None:
    job = trainer_job("trainer", job_labels={QUEUE: "there-is-none"})
    path = put(kueue, namespace, job)
    workload = kueue.workload(namespace, "trainer", lambda each: condition(each, "QuotaReserved"))
    assert condition(workload, "QuotaReserved")["reason"] == "Inadmissible"
    assert kueue.api.get(path)["spec"]["suspend"] is True


@pytest.mark.slow
def test_a_kueue_that_was_stopped_leaves_no_process_and_lets_jobs_pass(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    built(request)
    with ControlPlane.start(tmp_path, "us-iad1", kwok=False) as plane:
        with Kueue.start(plane, tmp_path / "kueue") as kueue:
            process = Path(f"/proc/{kueue.component.pid}")
            assert process.exists()
        assert not process.exists()
        plane.api.post("/apis/batch/v1/namespaces/default/jobs", trainer_job("trainer"))


def test_no_job_is_taken_while_kueue_is_away(kueue: Kueue, namespace: str, queue: str) -> None:
    kueue.component.kill()
    try:
        with pytest.raises(ApiFault, match=r'failed calling webhook "mjob\.kb\.io"'):
            put(kueue, namespace, trainer_job("trainer"))
    finally:
        kueue.component.start()
        kueue.component.wait_ready()
    path = put(kueue, namespace, queued_job("trainer", queue, run_seconds=0))
    kueue.api.eventually(path, has("Complete"))
