"""The pod that serves the curves of a run that is over: the sidecar of its last attempt on its own, with nothing that it does not need."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lightcompute.kube.remote_curves import viewer_pod
from lightcompute.kube.remote_faults import ClusterRefusal
from lightcompute.kube.remote_reader import VIEW_SECONDS
from lightcompute.testing.builders import RunBuilder, a_run
from runcontract import environment
from support.pod_security import violations
from support.rendered_runs import in_cluster, rendered, sidecar_of

Document = dict[str, Any]
BUCKET: Document = {"s3": {"bucket": "training", "secretName": "key"}}
CLAIM: Document = {"persistentVolumeClaim": {"claimName": "shared"}}


def kept(**spec: Any) -> RunBuilder:
    """A run whose files outlive its pods."""
    return in_cluster(a_run().with_spec(storage=CLAIM, **spec))


def viewer_of(run: RunBuilder) -> Document:
    return viewer_pod(rendered(run).job, run.build())


def test_it_is_the_sidecar_and_nothing_else() -> None:
    run = kept()
    (container,) = viewer_of(run)["spec"]["containers"]
    beside = sidecar_of(run)
    del beside["restartPolicy"], container["readinessProbe"]
    assert container == beside


def test_it_reads_the_claim_and_cannot_write_it() -> None:
    spec = viewer_of(kept())["spec"]
    assert {"name": "runs", "persistentVolumeClaim": {"claimName": "shared"}} in spec["volumes"]
    mounts = {each["name"]: each for each in spec["containers"][0]["volumeMounts"]}
    assert mounts["runs"]["readOnly"]
    assert {each["name"] for each in spec["volumes"]} == set(mounts)


def test_of_a_run_in_a_bucket_they_are_brought_first_and_the_server_has_no_key() -> None:
    run = in_cluster(a_run().with_spec(storage=BUCKET))
    pod = viewer_of(run)
    spec = pod["spec"]
    (bringing,) = spec["initContainers"]
    folder = f"/runs/baseline-{run.build().metadata.uid[:8]}"
    assert bringing["command"] == ["python", "-m", "lightgpt", "documents"]
    assert bringing["args"][:2] == [folder, "--s3"]
    assert json.loads(bringing["args"][2])["prefix"] == folder.removeprefix("/runs/")
    assert {each["name"] for each in bringing["volumeMounts"]} == {"runs", "s3-key", "tmp"}
    assert environment.S3_CREDENTIALS in {each["name"] for each in bringing["env"]}
    (server,) = spec["containers"]
    assert server["args"][1] == f"{folder}/tensorboard"
    assert {each["name"] for each in server["volumeMounts"]} == {"runs", "tmp"}
    assert {each["name"] for each in spec["volumes"]} == {"runs", "s3-key", "tmp"}
    assert violations(pod) == ()


def test_it_takes_no_device_and_any_node() -> None:
    run = kept(trainer={"numProcPerNode": 4, "nodeSelector": {"a": "b"}, "volumes": []})
    spec = viewer_of(run)["spec"]
    assert "nodeSelector" not in spec
    assert "nvidia.com/gpu" not in str(spec["containers"])


def test_it_is_pulled_with_the_runs_own_secrets_and_keeps_to_the_restricted_profile() -> None:
    run = kept(trainer={"imagePullSecrets": [{"name": "registry"}]})
    pod = viewer_of(run)
    spec = pod["spec"]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert violations(pod) == ()
    assert spec["automountServiceAccountToken"] is False


def test_it_ends_by_itself_and_goes_with_the_run_and_is_no_child_that_the_operator_looks_at() -> (
    None
):
    run = kept()
    pod = viewer_of(run)
    assert pod["spec"]["activeDeadlineSeconds"] == VIEW_SECONDS
    assert pod["spec"]["restartPolicy"] == "Never"
    (owner,) = pod["metadata"]["ownerReferences"]
    assert owner["uid"] == run.build().metadata.uid
    assert "app.kubernetes.io/managed-by" not in pod["metadata"]["labels"]


def test_where_the_run_is_in_another_cluster_it_goes_with_the_job() -> None:
    """An owner that does not exist there would have it removed at once."""
    run, job = kept(), rendered(kept()).job
    del job["metadata"]["ownerReferences"]
    job["metadata"]["uid"] = "job-1"
    (owner,) = viewer_pod(job, run.build())["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Job", "job-1")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (in_cluster(a_run()), "its node's own and went with its pod"),
        (in_cluster(a_run().with_spec(storage={"ephemeral": {}})), "spec.storage.persistentVolumeClaim"),
        (kept(tensorboard={"enabled": False}), "no container tensorboard in its last attempt"),
    ],
)  # fmt: skip
def test_where_nothing_was_kept_that_is_said(run: RunBuilder, words: str) -> None:
    with pytest.raises(ClusterRefusal, match="TensorBoard of run baseline") as refused:
        viewer_of(run)
    assert words in str(refused.value)
