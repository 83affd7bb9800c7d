"""Rights that the chart gives people, on a real server: runs by roles of a namespace, TrainingClusters by one that is bound over the cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.fleets import Fleet
from support.helm_chart import NAMESPACE, Helm
from support.testcluster.binaries import HELM, NoBinaries, binary

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Document = dict[str, Any]
USER = "nobody-much"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
_PLURALS = {"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings"}


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    try:
        program = binary(HELM)
    except NoBinaries as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(reason))
    return Helm(program=program, home=tmp_path)


@pytest.fixture
def viewer(fleet: Fleet, helm: Helm) -> Iterator[Fleet]:
    """The roles of the chart for people, and a person who views the namespace of the runs."""
    made = _for_people(helm, enabled=True)
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    binding = {"metadata": {"name": "viewer"}, "roleRef": role, "subjects": [subject]}
    for document in made:
        fleet.api.post(f"{RBAC}/{_PLURALS[document['kind']]}", document)
    fleet.api.post(f"{RBAC}/namespaces/{fleet.space.namespace}/rolebindings", binding)
    yield fleet
    for document in _for_people(helm, enabled=True, viewerGroups=["x"]):
        path = f"{RBAC}/{_PLURALS[document['kind']]}/{document['metadata']['name']}"
        if fleet.api.find(path) is not None:
            fleet.api.delete(path)


def _for_people(helm: Helm, **clusters: Any) -> list[Document]:
    return [
        each
        for each in helm.render({"trainingClusters": clusters})
        if each["kind"] in _PLURALS
        and each["metadata"]["name"].endswith((":view", ":clusters-view"))
    ]


def asked(fleet: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    """By the person who views the namespace."""
    where = (
        "-n",
        fleet.space.namespace,
        "--kubeconfig",
        str(fleet.planes[0].layout.kubeconfig(USER)),
    )
    return subprocess.run(
        [sys.executable, "-P", "-m", "lightcompute", *words, *where],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_viewer_of_a_namespace_sees_runs_and_is_told_what_the_rest_takes(
    viewer: Fleet, helm: Helm, tmp_path: Path
) -> None:
    viewer.join("us-iad1")
    viewer.reachable("us-iad1")
    viewer.submit("seen", {"RUN_SECONDS": 60}).in_phase("Running")
    viewer.space.watch.until(lambda: asked(viewer, "list").returncode == 0, lambda: "", 30)
    assert "us-iad1" in asked(viewer, "explain", "seen").stdout
    assert asked(viewer, "status", "seen").returncode == 0
    file = tmp_path / "run.yaml"
    training = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100}
    spec = {"training": training, "placement": {"gpuTypes": ["A100-80GB"]}}
    document = {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "next"},
        "spec": spec,
    }
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    for words in (("clusters",), ("explain", "-f", str(file))):
        said = asked(viewer, *words)
        assert said.returncode == 10
        assert "trainingClusters.viewerGroups" in said.stderr
        assert ":clusters-view" in said.stderr
    (binding,) = (
        each
        for each in _for_people(helm, enabled=True, viewerGroups=["system:authenticated"])
        if each["kind"] == "ClusterRoleBinding"
    )
    assert binding["roleRef"]["name"] == f"{NAMESPACE}:lightcompute:clusters-view"
    viewer.api.post(f"{RBAC}/clusterrolebindings", binding)
    viewer.space.watch.until(lambda: asked(viewer, "clusters").returncode == 0, lambda: "", 30)
    assert "us-iad1" in asked(viewer, "clusters").stdout
    foreseen = asked(viewer, "explain", "-f", str(file))
    assert foreseen.returncode == 0
    assert "us-iad1/US-IAD1/a100-80gb" in foreseen.stdout
