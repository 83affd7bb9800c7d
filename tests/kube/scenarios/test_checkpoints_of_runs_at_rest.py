"""What people want of checkpoints: of runs at rest by a Job that is no attempt and is charged to nobody, of a live one by its pods' annotations."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api import labels
from support.played import Scenarios
from support.run_audit import Kind
from support.run_spaces import Run, Space

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

scenario = Scenarios()
SHORT = {"RUN_SECONDS": 1}


def test_checkpoints_are_seen_to_while_nothing_trains(
    space: Space, subtests: pytest.Subtests
) -> None:
    scenario.play(space, subtests)


def on_a_claim(space: Space, name: str) -> dict[str, Any]:
    claim = f"{name}-{space.namespace}"
    space.make_claim(claim)
    return {"persistentVolumeClaim": {"claimName": claim}}


def upkeep_jobs(run: Run) -> list[dict[str, Any]]:
    """Jobs that see to its checkpoints, that are there now."""
    path = f"/apis/batch/v1/namespaces/{run.space.namespace}/jobs"
    found = run.space.api.get(path, labelSelector=f"{labels.UPKEEP_OF}={run.uid}")
    return list(found["items"])


def jobs_ever(run: Run) -> list[dict[str, Any]]:
    """Jobs that saw to its checkpoints, each as it was made."""
    made: dict[str, dict[str, Any]] = {}
    for change in run.space.watch.changes:
        if change.kind is not Kind.JOB:
            continue
        metadata = change.document["metadata"]
        if metadata["labels"].get(labels.UPKEEP_OF) == run.uid:
            made.setdefault(metadata["uid"], change.document)
    return list(made.values())


def tasks_of(run: Run) -> list[str]:
    """What they were to do."""
    pods = [job["spec"]["template"]["spec"] for job in jobs_ever(run)]
    return [pod["containers"][0]["args"][0] for pod in pods]


@scenario
def a_run_has_succeeded_when_its_checkpoint_has_verified_where_it_lies(space: Space) -> None:
    run = space.submit("whole", SHORT, storage=on_a_claim(space, "whole"))
    waiting = run.ever_in_phase("Verifying")
    assert waiting["reason"] == "VerifyingCheckpoints"
    assert waiting["attempts"][-1]["state"] == "Ended"
    status = run.in_phase("Succeeded")
    assert status["cost"]["spentUSD"] == waiting["cost"]["spentUSD"]
    assert [each["verdict"] for each in status["checkpoints"]] == ["Valid"]
    [job] = jobs_ever(run)
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][-2:] == ["--expect", str(status["checkpoints"][-1]["step"])]
    space.watch.until(lambda: not upkeep_jobs(run), lambda: str(upkeep_jobs(run)), 30)


@scenario
def checkpoints_are_deleted_before_their_run_is_gone_when_that_was_asked_for(space: Space) -> None:
    storage = on_a_claim(space, "deleted")
    run = space.submit("at-rest", SHORT, storage=storage, checkpoints={"whenDeleted": "Delete"})
    spent = run.in_phase("Succeeded")["cost"]["spentUSD"]
    run.delete()
    space.watch.until(lambda: run.document is None, lambda: str(run.status), 60)
    statuses = [
        change.document.get("status") or {}
        for change in space.watch.changes
        if change.kind is Kind.RUN and change.document["metadata"]["uid"] == run.uid
    ]
    told = [status["upkeep"] for status in statuses if status.get("upkeep")]
    told = [each for each in told if each["task"] != "Verify"]
    assert (told[0]["state"], told[0]["task"]) == ("Requested", "Delete")
    assert statuses[-1]["upkeep"]["state"] == "Done"
    assert any(status.get("reason") == "DeletingCheckpoints" for status in statuses)
    # It is no attempt and costs the run nothing.
    assert statuses[-1]["cost"]["spentUSD"] == spent
    assert len(statuses[-1]["attempts"]) == 1
    space.watch.until(lambda: not upkeep_jobs(run), lambda: str(upkeep_jobs(run)), 30)


@scenario
def checkpoints_stay_when_nobody_asked_for_anything_else(space: Space) -> None:
    run = space.submit("kept", SHORT, storage=on_a_claim(space, "kept"))
    run.in_phase("Succeeded")
    run.delete()
    space.watch.until(lambda: run.document is None, lambda: str(run.status), 60)
    space.watch.until(lambda: not upkeep_jobs(run), lambda: str(upkeep_jobs(run)), 30)
    assert tasks_of(run) == ["Verify"]


@scenario
def a_request_to_verify_is_served_once_by_a_pod_without_a_gpu(space: Space) -> None:
    run = space.submit("verified", SHORT, storage=on_a_claim(space, "verified"))
    run.in_phase("Succeeded")
    run.annotate(labels.VERIFY_CHECKPOINTS)
    status = run.until(
        lambda status: (status["upkeep"]["request"], status["upkeep"]["state"]) == ("yes", "Done")
    )
    assert status["upkeep"]["task"] == "Verify"
    assert status["phase"] == "Succeeded"
    assert tasks_of(run) == ["Verify", "Verify"]
    pod = jobs_ever(run)[-1]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["args"][:2] == ["Verify", f"/runs/verified-{run.uid[:8]}"]
    assert not any("gpu" in name for name in container["resources"]["requests"])
    assert pod["securityContext"]["runAsNonRoot"]
    run.told("CheckpointsTended")


@scenario
def a_trainer_without_manifests_is_pruned_by_name_once_and_promised_nothing(space: Space) -> None:
    run = space.submit(
        "named",
        SHORT,
        training=None,
        trainer={"image": "foreign:1", "command": ["train"]},
        checkpoints={"pattern": "ckpt-*", "keepLatest": 2},
        storage=on_a_claim(space, "named"),
    )
    run.in_phase("Succeeded")
    status = run.until(lambda status: (status.get("upkeep") or {}).get("state") == "Done")
    assert (status["upkeep"]["task"], status["upkeep"]["number"]) == ("Prune", 1)
    [told] = [each for each in status["conditions"] if each["type"] == "CheckpointReady"]
    assert (told["status"], told["reason"]) == ("Unknown", "CheckpointsByName")
    jobs = [
        change.document
        for change in space.watch.changes
        if change.kind is Kind.JOB
        and change.document["metadata"]["labels"].get(labels.UPKEEP_OF) == run.uid
    ]
    assert len({job["metadata"]["uid"] for job in jobs}) == 1
    [container] = jobs[0]["spec"]["template"]["spec"]["containers"]
    assert "--pattern ckpt-*" in " ".join(container["args"])


@scenario
def a_foreign_command_with_a_bucket_is_carried_and_an_image_alone_is_refused(space: Space) -> None:
    storage = {"s3": {"bucket": "training"}}
    trainer = {"image": "foreign:1", "command": ["train"]}
    run = space.submit("carried", SHORT, training=None, trainer=trainer, storage=storage)
    run.in_phase("Succeeded")
    [job] = {
        change.document["metadata"]["uid"]: change.document
        for change in space.watch.changes
        if change.kind is Kind.JOB
        and change.document["metadata"]["labels"].get(labels.RUN_UID) == run.uid
    }.values()
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"][:4] == ["python", "-m", "lightgpt", "carry"]
    assert container["command"][-2:] == ["--", "train"]
    alone = space.submit("alone", training=None, trainer={"image": "foreign:1"}, storage=storage)
    status = alone.until(lambda status: status.get("reason") == "SpecRefused")
    assert "Give spec.trainer.command" in status["message"]


@scenario
def what_people_want_of_a_live_trainer_is_noted_on_its_pod(space: Space) -> None:
    run = space.submit("asked", {"NEVER_ENDS_1": 1})
    run.in_phase("Running")
    notes = {labels.CHECKPOINT_NOW: "first", labels.PINNED_CHECKPOINTS: "100"}
    space.api.patch(run.path, {"metadata": {"annotations": notes}})

    def noted() -> bool:
        [pod] = run.pods
        found = pod["metadata"]["annotations"]
        return bool(notes.items() <= found.items())

    space.watch.until(noted, lambda: str(run.pods), 30)
    # The files are the annotations: the kubelet writes them anew when those change.
    [pod] = run.pods
    [volume] = [each for each in pod["spec"]["volumes"] if each["name"] == "requests"]
    files = {each["path"]: each["fieldRef"]["fieldPath"] for each in volume["downwardAPI"]["items"]}
    assert files == {
        "checkpoint-now": f"metadata.annotations['{labels.CHECKPOINT_NOW}']",
        "pins": f"metadata.annotations['{labels.PINNED_CHECKPOINTS}']",
    }
    run.annotate(labels.STOP)
    run.in_phase("Stopped")
