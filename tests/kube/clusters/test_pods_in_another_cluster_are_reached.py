"""`lightcompute logs` and `tensorboard` of runs whose pods are in another cluster: with a kubeconfig of it they work as anywhere."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightcompute.api import labels
from lightcompute.api.status import Whereabouts
from lightcompute.testing.builders import a_running_attempt
from runcontract.progress import Finished, parse_report
from support.cluster_cli import ClusterCommands, running
from support.fleets import Fleet, lightcompute
from support.kubelet_ports import PortKubelet
from support.served_curves import Serving, pod_of
from support.testcluster.cluster import Cluster
from support.testcluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Document = dict[str, Any]
AWAY = "us-iad1"


def finished(text: str) -> int:
    return sum(isinstance(parse_report(line), Finished) for line in text.splitlines())


def of_both(fleet: Fleet, file: Path) -> Path:
    """One kubeconfig with both clusters, as people have them; the current context is that of the runs."""
    first, other = (
        yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
        for plane in (fleet.planes[0], fleet.plane(AWAY))
    )
    for part in ("clusters", "users", "contexts"):
        first[part] += other[part]
    file.write_text(yaml.safe_dump(first), encoding="utf-8")
    return file


def test_a_log_is_followed_in_the_cluster_where_the_pod_is(fleet: Fleet, tmp_path: Path) -> None:
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    there = fleet.plane(AWAY).kubeconfig
    fleet.submit("away", {"NEVER_ENDS": 1}).in_phase("Running")
    refused = lightcompute(fleet, "logs", "away")
    assert refused.returncode == 10
    assert "--cluster-kubeconfig or --cluster-context" in refused.stderr
    wrong = lightcompute(
        fleet, "logs", "away", "--cluster-kubeconfig", str(fleet.plane("eu-fra1").kubeconfig)
    )
    assert wrong.returncode == 10
    assert "us-iad1, which is the cluster" in wrong.stderr
    # One kubeconfig has both clusters: its other context is the way.
    both = of_both(fleet, tmp_path / "both")
    words = ("logs", "away", "--reports", "--kubeconfig", both, "--cluster-context", AWAY)
    seen = subprocess.run(
        [sys.executable, "-P", "-m", "lightcompute", *words, "-n", fleet.space.namespace],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (seen.returncode, finished(seen.stdout)) == (0, 0)
    assert '"event"' in seen.stdout
    run = fleet.submit("ending", {"RUN_SECONDS": 10})
    run.in_phase("Running")
    followed = lightcompute(
        fleet, "logs", "ending", "-f", "--reports", "--cluster-kubeconfig", str(there)
    )
    assert (followed.returncode, finished(followed.stdout)) == (0, 1)
    run.in_phase("Succeeded")
    assert fleet.space.errors == []


def test_whoever_reads_runs_alone_is_told_where_the_log_is(fleet: Fleet) -> None:
    """Where it is stands in the run: no right to read TrainingClusters is needed."""
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    fleet.submit("away", {"RUN_SECONDS": 60}).in_phase("Running")
    fleet.api.delete(f"/apis/lightcompute.dev/v1alpha1/trainingclusters/{AWAY}")
    refused = lightcompute(fleet, "logs", "away")
    assert "its pods are in the cluster us-iad1" in refused.stderr
    seen = lightcompute(
        fleet, "logs", "away", "--cluster-kubeconfig", str(fleet.plane(AWAY).kubeconfig)
    )
    assert seen.returncode == 0


def namespace_in(cluster: Cluster) -> str:
    name = f"curves-{uuid.uuid4().hex[:6]}"
    cluster.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    cluster.api.eventually(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)
    return name


@pytest.fixture
def kubelet(planes: tuple[ControlPlane, ...]) -> Iterator[PortKubelet]:
    node = PortKubelet.start(planes[1])
    yield node
    node.stop()


@pytest.fixture
def tidied(planes: tuple[ControlPlane, ...]) -> Iterator[None]:
    """What a test makes in the other cluster without a fleet is removed: no kubelet would, and the next fleet waits for it."""
    yield
    for pod in planes[1].api.get("/api/v1/pods", labelSelector=labels.RUN_UID)["items"]:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        planes[1].api.delete(path, {"gracePeriodSeconds": 0})


def test_curves_are_served_from_the_cluster_where_the_pod_is(
    planes: tuple[ControlPlane, ...],
    kubelet: PortKubelet,
    tidied: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here, there = planes[:2]
    commands = ClusterCommands(
        api=here.api,
        namespace=namespace_in(here),
        kubeconfig=here.kubeconfig,
        folder=tmp_path,
        capsys=capsys,
    )
    uid = there.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    where = Whereabouts(cluster_uid=uid, namespace=namespace_in(there))
    status = running(attempts=(a_running_attempt(whereabouts=where),))
    pod_of(there.api, where.namespace, commands.make(status=status), kubelet.node)
    said = commands.call("tensorboard", "baseline")
    assert (said.code, f"kubectl -n {where.namespace} port-forward" in said.err) == (10, True)
    options = ("-n", commands.namespace, "--kubeconfig", here.kubeconfig)
    serving = Serving(*options, "--cluster-kubeconfig", there.kubeconfig)
    try:
        assert serving.get() == b"curves"
        assert kubelet.asked == [("baseline-1", "6006")]
        assert serving.end()[0] == 0
    finally:
        serving.kill()
