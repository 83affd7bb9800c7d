"""`lightcompute checkpoint copy` of a run whose attempt is in another cluster: two real API servers, and a kubeconfig for each.

The pod that hands the checkpoint out runs in name only; behind its port is a real `lightgpt serve`.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lightcompute.api import Phase, labels
from lightcompute.api.status import Whereabouts
from lightcompute.core.revise import revised
from lightcompute.testing.builders import a_run, an_ended_attempt
from runcontract.manifest import MANIFEST, Manifest, ManifestFile, sealed_bytes
from runcontract.results import KeptCheckpoint
from support.cluster_cli import ClusterCommands, parsed, resting
from support.kubelet_ports import PortKubelet
from support.rendered_runs import rendered
from support.testcluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
Document = dict[str, Any]
STEP = 7
WEIGHTS = b"w" * 300_000
KEPT = KeptCheckpoint(name=f"step-{STEP:08d}", step=STEP, size_bytes=9, digest="d", verified=True)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[int]:
    """Port of a real `lightgpt serve` of a checkpoint."""
    file = ManifestFile(
        name="weights.bin", size_bytes=len(WEIGHTS), sha256=hashlib.sha256(WEIGHTS).hexdigest()
    )
    manifest = Manifest(
        run_uid="run-1", attempt=1, step=STEP, epoch=0.7, tokens=56, parameters=3, created_time=datetime.now(UTC),
        configuration_hash="", tokenizer_sha256="", data_sha256="", model={}, files=(file,),
    )  # fmt: skip
    folder = tmp_path / "run" / "checkpoints" / f"step-{STEP:08d}"
    folder.mkdir(parents=True)
    (folder / "weights.bin").write_bytes(WEIGHTS)
    (folder / MANIFEST).write_bytes(sealed_bytes(manifest))
    command = (
        sys.executable,
        "-m",
        "lightgpt",
        "serve",
        str(tmp_path / "run"),
        "--step",
        str(STEP),
        "--port=0",
    )
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={"PYTHONUNBUFFERED": "1"}
    )  # fmt: skip
    assert process.stdout is not None
    yield int(process.stdout.readline().strip().rpartition(" ")[2])
    process.kill()
    process.communicate()


@dataclass(kw_only=True)
class Other:
    """The other cluster, with the Job of an attempt and a node on which its pods run in name."""

    plane: ControlPlane
    kubelet: PortKubelet
    namespace: str
    pods: list[Document]

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def run_pods(self, over: threading.Event) -> None:
        """Stands for scheduler and kubelet: each pod is put onto the node and is ready."""
        while not over.wait(0.1):
            for pod in self.plane.api.get(self.path)["items"]:
                name = pod["metadata"]["name"]
                if any(each["metadata"]["name"] == name for each in self.pods):
                    continue
                self.pods.append(pod)
                binding = {"target": {"kind": "Node", "name": self.kubelet.node}}
                if not pod["spec"].get("nodeName"):
                    self.plane.api.post(
                        f"{self.path}/{name}/binding", {"metadata": {"name": name}, **binding}
                    )
                ready = [{"type": "Ready", "status": "True"}]
                status = {"phase": "Running", "conditions": ready}
                self.plane.api.patch(f"{self.path}/{name}/status", {"status": status})


@pytest.fixture
def other(a_second_control_plane: ControlPlane, serve: int) -> Iterator[Other]:
    plane = a_second_control_plane
    kubelet = PortKubelet.start(plane)
    kubelet.leads_to = serve
    there = f"trainings-{uuid.uuid4().hex[:6]}"
    plane.api.post("/api/v1/namespaces", {"metadata": {"name": there}})
    plane.api.eventually(f"/api/v1/namespaces/{there}/serviceaccounts/default", bool)
    other = Other(plane=plane, kubelet=kubelet, namespace=there, pods=[])
    over = threading.Event()
    thread = threading.Thread(target=other.run_pods, args=(over,))
    thread.start()
    yield other
    over.set()
    thread.join()
    plane.api.delete(f"/api/v1/namespaces/{there}")
    kubelet.stop()


@pytest.fixture
def made(commands: ClusterCommands, other: Other) -> ClusterCommands:
    """A run that has trained in the other cluster, where its Job is."""
    uid = other.plane.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    attempt = revised(
        an_ended_attempt(1), whereabouts=Whereabouts(cluster_uid=uid, namespace=other.namespace)
    )
    status = revised(resting(Phase.SUCCEEDED), attempts=(attempt,), checkpoints=(KEPT,))
    storage = {"persistentVolumeClaim": {"claimName": "shared"}}
    run = commands.make(status=status, storage=storage)
    builder = (
        a_run()
        .with_spec(storage=storage)
        .with_metadata(name="baseline", namespace=commands.namespace, uid=run["metadata"]["uid"])
    )
    job = rendered(builder).job
    del job["metadata"]["ownerReferences"]
    job["metadata"]["namespace"] = other.namespace
    job["spec"]["suspend"] = True  # it has been; nothing of it is to run again
    other.plane.api.post(f"/apis/batch/v1/namespaces/{other.namespace}/jobs", job)
    return commands


def test_by_a_kubeconfig_for_there_it_comes_whole_and_the_pod_is_gone(
    made: ClusterCommands, other: Other, tmp_path: Path
) -> None:
    said = made.call(
        "checkpoint", "copy", "baseline", tmp_path / "copies", "--json",
        "--cluster-kubeconfig", other.plane.kubeconfig,
    )  # fmt: skip
    assert said.code == 0, said
    copied = parsed(said.out)
    assert copied["source"] == f"{made.namespace}/baseline: step-{STEP:08d}"
    assert (Path(copied["destination"]) / "weights.bin").read_bytes() == WEIGHTS
    [pod] = other.pods
    [owner] = pod["metadata"]["ownerReferences"]
    # What is owned by something that does not exist there is deleted by whoever collects garbage.
    jobs = other.plane.api.get(f"/apis/batch/v1/namespaces/{other.namespace}/jobs")["items"]
    assert (owner["kind"], owner["uid"]) == ("Job", jobs[0]["metadata"]["uid"])
    assert pod["metadata"]["labels"][labels.RUN_NAME] == "baseline"
    left = other.plane.api.get(other.path)["items"]
    assert [each for each in left if not each["metadata"].get("deletionTimestamp")] == []
    assert made.api.get(f"/api/v1/namespaces/{made.namespace}/pods")["items"] == []


def test_without_one_the_command_for_it_is_told(
    made: ClusterCommands, other: Other, tmp_path: Path
) -> None:
    pools = [{"name": "a100", "gpuType": "A100-40GB", "gpusPerNode": 1, "pricePerGPUHourUSD": "1"}]
    spec = {
        "region": "eu-fra1", "namespace": other.namespace, "nodePools": pools,
        "connection": {"kubeconfigSecret": {"name": "eu-fra1"}},
    }  # fmt: skip
    name = made.get()["status"]["attempts"][0]["place"]["cluster"]
    cluster = {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingCluster",
        "metadata": {"name": name},
        "spec": spec,
    }
    clusters = "/apis/lightcompute.dev/v1alpha1/trainingclusters"
    made.api.post(clusters, cluster)
    try:
        said = made.call("checkpoint", "copy", "baseline", tmp_path / "copies")
    finally:
        made.api.delete(f"{clusters}/{name}")
    assert said.code == 10
    assert f"its pods are in the cluster {name}" in said.err
    assert (
        f"Give a kubeconfig of {name} with --cluster-kubeconfig or --cluster-context." in said.err
    )
    assert other.pods == []


def test_a_kubeconfig_of_another_cluster_is_told_as_that(
    made: ClusterCommands, other: Other, tmp_path: Path
) -> None:
    words = ("checkpoint", "copy", "baseline", tmp_path / "copies")
    said = made.call(*words, "--cluster-kubeconfig", made.kubeconfig)
    assert said.code == 10
    assert "which is the cluster" in said.err
    missing = made.call(*words, "--cluster-kubeconfig", tmp_path / "none")
    assert missing.code == 10
    assert "no such file" in missing.err
    assert other.pods == []
