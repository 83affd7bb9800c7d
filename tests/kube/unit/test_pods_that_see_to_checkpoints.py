"""The Job that sees to checkpoints: what it is told, what it mounts, and that nothing takes it for an attempt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lightcompute.api import Phase, labels
from lightcompute.core.decision import StartUpkeep
from lightcompute.core.revise import revised
from lightcompute.kube.manifests.upkeep import upkeep_job
from lightcompute.kube.pools import Home
from lightcompute.testing.builders import RunBuilder, a_run, an_ended_attempt
from lightcompute.testing.trainer import kept
from runcontract import environment
from runcontract.upkeep import UpkeepTask
from support.rendered_runs import SETTINGS, UID, in_cluster

Document = dict[str, Any]


def job_of(run: RunBuilder, task: UpkeepTask = UpkeepTask.PRUNE) -> Document:
    resting = run.with_attempts(an_ended_attempt(4), phase=Phase.SUCCEEDED)
    start = StartUpkeep(number=2, task=task)
    return upkeep_job(resting.build(), start, SETTINGS, home=Home())


def container_of(job: Document) -> Document:
    [container] = job["spec"]["template"]["spec"]["containers"]
    return dict(container)


def on(storage: Document, **spec: Any) -> RunBuilder:
    return in_cluster(a_run().with_spec(storage=storage, **spec))


CLAIM = {"persistentVolumeClaim": {"claimName": "runs"}}


def test_it_is_told_the_rule_of_the_run_and_its_newest_attempt() -> None:
    run = on(CLAIM, checkpoints={"keepLatest": 7, "keepBest": False})
    run = run.with_metadata(annotations={labels.PINNED_CHECKPOINTS: "20,10"})
    container = container_of(job_of(run))
    assert container["args"] == [
        "Prune", f"/runs/baseline-{UID[:8]}", "--run-uid", UID, "--keep-latest", "7", "--no-keep-best",
        "--pin", "10", "--pin", "20",
    ]  # fmt: skip
    variables = {each["name"]: each["value"] for each in container["env"]}
    # A later attempt that begins meanwhile has the higher number, and so the right to write.
    assert variables[environment.ATTEMPT] == "4"
    assert variables[environment.TERMINATION_LOG] == "/dev/termination-log"


def test_a_verification_is_told_which_checkpoints_are_to_be_there() -> None:
    run = on(CLAIM)
    run = run.with_status(revised(run.status, checkpoints=(kept(90), kept(100))))
    arguments = container_of(job_of(run, UpkeepTask.VERIFY))["args"]
    assert arguments[-4:] == ["--expect", "90", "--expect", "100"]
    assert "--expect" not in container_of(job_of(run))["args"]


def test_it_is_told_the_pattern_of_a_trainer_without_manifests_for_what_goes_by_it() -> None:
    run = a_run().foreign().with_spec(storage=CLAIM, checkpoints={"pattern": "ckpt/*.pt"})
    words = container_of(job_of(in_cluster(run)))["args"]
    assert words[words.index("--pattern") + 1] == "ckpt/*.pt"
    assert "--pattern" not in container_of(job_of(in_cluster(run), UpkeepTask.DELETE))["args"]


def test_it_mounts_the_claim_or_gets_the_bucket_and_its_key() -> None:
    volumes = job_of(on(CLAIM))["spec"]["template"]["spec"]["volumes"]
    assert {"name": "runs", "persistentVolumeClaim": {"claimName": "runs"}} in volumes
    job = job_of(on({"s3": {"bucket": "training", "prefix": "all/", "secretName": "key"}}))
    container = container_of(job)
    bucket = json.loads(container["args"][container["args"].index("--s3") + 1])
    assert bucket == {"bucket": "training", "prefix": f"all/baseline-{UID[:8]}"}
    assert "s3-key" in {each["name"] for each in container["volumeMounts"]}
    assert environment.S3_CREDENTIALS in {each["name"] for each in container["env"]}


def test_nothing_takes_it_for_an_attempt_and_it_removes_itself() -> None:
    job = job_of(on(CLAIM))
    for metadata in (job["metadata"], job["spec"]["template"]["metadata"]):
        assert labels.RUN_UID not in metadata["labels"]
        assert labels.ATTEMPT not in metadata["labels"]
        assert metadata["labels"][labels.UPKEEP_OF] == UID
    # With an owner that is being deleted it would be collected before its work is done.
    assert "ownerReferences" not in job["metadata"]
    assert job["spec"]["ttlSecondsAfterFinished"] > 0
    assert job["spec"]["activeDeadlineSeconds"] > 0


@pytest.mark.parametrize("secrets", [[], [{"name": "registry"}]])
def test_its_image_comes_with_the_trainers_pull_secrets(secrets: list[Document]) -> None:
    pod = job_of(on(CLAIM, trainer={"imagePullSecrets": secrets}))["spec"]["template"]["spec"]
    assert pod.get("imagePullSecrets", []) == secrets


def test_it_has_no_rights_and_no_gpu() -> None:
    job = job_of(on(CLAIM))
    pod, container = job["spec"]["template"]["spec"], container_of(job)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
