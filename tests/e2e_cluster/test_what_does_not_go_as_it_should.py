import time

import pytest

from lightcompute.api import Phase, TrainingRun, TrainingRunStatus, labels
from lightcompute.kube.manifests.attempt import order_text
from support.realnode.claims import claim
from support.realnode.release import Release
from support.realnode.runs import Runs
from support.testcluster.api import Document

pytestmark = [pytest.mark.e2e, pytest.mark.realnode, pytest.mark.timeout(400)]

LONG = {"maxSteps": 100_000, "evaluation": {"everySteps": 500, "batchSize": 8}}


def test_a_run_says_that_its_image_cannot_be_had(runs: Runs) -> None:
    trainer = {"image": "nobody.invalid/nothing:1", "command": ["true"]}
    runs.order("imageless", {"trainer": trainer, "training": None})
    status = runs.until("imageless", lambda status: "nobody.invalid/nothing:1" in status.message)
    assert status.phase in {Phase.STARTING, Phase.PENDING}


def test_a_run_says_that_a_quota_stands_against_it(runs: Runs) -> None:
    quotas = f"/api/v1/namespaces/{runs.namespace}/resourcequotas"
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    runs.rig.api.post(quotas, quota)
    runs.rig.api.eventually(f"{quotas}/none", lambda found: "hard" in found.get("status", {}))
    runs.order("refused", {})
    status = runs.until("refused", lambda status: "exceeded quota" in status.message)
    assert status.phase in {Phase.STARTING, Phase.PENDING}


def test_a_run_says_which_claim_is_missing_and_says_it_again_under_the_same_event(
    runs: Runs,
) -> None:
    runs.order("claimless", {"storage": {"persistentVolumeClaim": {"claimName": "nowhere"}}})
    runs.until("claimless", misses_its_claim)
    runs.edit("claimless", suspend=True)
    runs.until("claimless", lambda status: status.phase is Phase.SUSPENDED)
    runs.edit("claimless", suspend=False)
    runs.until("claimless", misses_its_claim)
    events = f"/api/v1/namespaces/{runs.namespace}/events"
    end = time.monotonic() + 30
    while not counted_up(runs.rig.api.get(events)["items"]):
        assert time.monotonic() < end, runs.rig.api.get(events)["items"]
        time.sleep(0.3)


def misses_its_claim(status: TrainingRunStatus) -> bool:
    return "The claim nowhere does not exist" in status.message


def counted_up(events: list[Document]) -> bool:
    return any("nowhere" in each["message"] and each["count"] == 2 for each in events)


def test_a_run_that_is_over_goes_after_its_time(runs: Runs, release: Release) -> None:
    trainer = {"image": release.trainer_image.name, "command": ["python", "-c", "pass"]}
    runs.order("brief", {"trainer": trainer, "training": None, "ttlSecondsAfterFinished": 1})
    runs.gone("brief")


def test_a_job_that_somebody_deletes_does_not_take_the_pod_out_of_our_hands(runs: Runs) -> None:
    folder = claim(runs.rig, runs.namespace)
    storage = {"persistentVolumeClaim": {"claimName": "runs"}}
    runs.order("jobless", {"storage": storage, "checkpoints": {"everySteps": 50}}, **LONG)
    runs.trained("jobless", steps=50)
    (before,) = runs.pods("jobless")
    jobs = f"/apis/batch/v1/namespaces/{runs.namespace}/jobs"
    (job,) = runs.rig.api.get(jobs)["items"]
    runs.rig.api.delete(f"{jobs}/{job['metadata']['name']}", propagationPolicy="Orphan")
    runs.rig.api.gone(f"{jobs}/{job['metadata']['name']}")
    (after,) = runs.pods("jobless")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]

    runs.edit("jobless", suspend=True)
    status = runs.until("jobless", lambda status: status.phase is Phase.SUSPENDED)
    (attempt,) = status.attempts
    # It was asked itself, and saved before it left. Without a Job nothing holds the pod until its log is read to the end.
    assert attempt.exit_code == 13
    saved = sorted(path.parent.name for path in folder.glob("*/checkpoints/step-*/manifest.json"))
    assert saved[-1] >= f"step-{attempt.last_step:08d}"
    assert not any(pod["status"]["phase"] == "Running" for pod in runs.pods("jobless"))


def test_what_an_operator_left_half_made_is_taken_over(runs: Runs) -> None:
    runs.order("half", {"suspend": True}, **LONG)
    runs.until("half", lambda status: status.phase is Phase.SUSPENDED)
    document = runs.rig.api.get(runs.path("half"))
    run = TrainingRun.model_validate(document)
    for kind, purpose, more in (
        ("configmaps", "order", {"data": {"order.yaml": order_text(run)}}),
        ("services", "tensorboard", {"spec": {"ports": [{"port": 6006}]}}),
    ):
        marks = {labels.RUN_UID: run.metadata.uid, labels.ATTEMPT: "1", labels.PURPOSE: purpose}
        name = labels.child_name(run.metadata.name, run.metadata.uid, 1, purpose)
        child = {"metadata": {"name": name, "labels": marks}, **more}
        runs.rig.api.post(f"/api/v1/namespaces/{runs.namespace}/{kind}", child)
    runs.edit("half", suspend=False)
    runs.until("half", lambda status: status.trainer_status and status.trainer_status.metrics)
    runs.edit("half", suspend=True)
    status = runs.until("half", lambda status: status.phase is Phase.SUSPENDED)
    assert len(status.attempts) == 1
