"""kube-score finds nothing in the chart but what is meant to be so; why, stands here beside each exception."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.helm_chart import CONFIGURATIONS, Document, Helm
from support.testcluster.binaries import KUBE_SCORE, NoBinaries, binary

_OK = 10
Finding = tuple[str, str, str]
"""Kind, name and check."""

EXCEPTIONS: dict[Finding, str] = {
    ("Deployment", "lightcompute", "container-resources"): (
        "It asks for CPU and has no limit of it: one that is throttled is late, for deadlines and for its Lease."
    ),
    ("Deployment", "lightcompute", "container-ephemeral-storage-request-and-limit"): (
        "It writes nothing but its log, which nodes rotate; a node that measures no local storage takes no pod that asks for some."
    ),
    ("Deployment", "lightcompute", "container-image-pull-policy"): (
        "Images are named by version or digest, which mean one content; a node without a registry can still start it."
    ),
    ("Deployment", "lightcompute", "deployment-strategy"): (
        "Recreate: only one operator may act, so a new one beside the old would wait for its Lease and serve nobody."
    ),
    ("Deployment", "lightcompute", "deployment-replicas"): (
        "One: a second waits for the Lease; what trains goes on within its budget while none acts."
    ),
    ("Deployment", "lightcompute", "pod-networkpolicy"): (
        "Off until asked for: it needs the API server's port, which only the person who installs it knows."
    ),
    ("NetworkPolicy", "lightcompute-trainers", "networkpolicy-targets-pod"): (
        "Its pods are the trainers, which the operator makes."
    ),
    ("Pod", "lightcompute-test", "container-resources"): "As the operator; it lives for seconds.",
    (
        "Pod",
        "lightcompute-test",
        "container-ephemeral-storage-request-and-limit",
    ): "As the operator.",
    ("Pod", "lightcompute-test", "container-image-pull-policy"): "As the operator.",
    ("Pod", "lightcompute-test", "pod-networkpolicy"): (
        "It lives for seconds, listens on nothing and asks the API server one question."
    ),
}


@pytest.fixture(scope="session")
def kube_score() -> Path:
    """The program. Where it cannot be built the test is skipped, but under CI it fails."""
    try:
        return binary(KUBE_SCORE)
    except NoBinaries as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(reason))


def judged(kube_score: Path, documents: Iterable[Document], folder: Path) -> set[Finding]:
    rendered = folder / "rendered.yaml"
    rendered.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    told = subprocess.run(
        [kube_score, "score", "--kubernetes-version", "v1.34", "--output-format", "json", rendered],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.startswith("["), told.stderr
    return set(_findings(json.loads(told.stdout)))


def _findings(told: list[dict[str, Any]]) -> Iterator[Finding]:
    assert {"Deployment", "Pod"} <= {each["type_meta"]["kind"] for each in told}
    for each in told:
        for check in each["checks"] or ():
            if check["grade"] < _OK and not check["skipped"]:
                kind, name = each["type_meta"]["kind"], each["object_meta"]["name"]
                yield kind, name, check["check"]["id"]


@pytest.mark.parametrize("values", CONFIGURATIONS)
def test_nothing_is_found_but_what_is_meant_to_be_so(
    kube_score: Path, helm: Helm, tmp_path: Path, values: str
) -> None:
    assert (
        judged(kube_score, helm.render(CONFIGURATIONS[values]), tmp_path) - set(EXCEPTIONS) == set()
    )


def test_every_exception_is_still_needed(kube_score: Path, helm: Helm, tmp_path: Path) -> None:
    needed = [
        judged(kube_score, helm.render(values), tmp_path) for values in CONFIGURATIONS.values()
    ]
    assert set(EXCEPTIONS) - set().union(*needed) == set()


def test_a_pod_whose_root_file_system_can_be_written_is_found(
    kube_score: Path, helm: Helm, tmp_path: Path
) -> None:
    rendered = helm.render()
    spoiled = json.loads(
        json.dumps(rendered).replace(
            '"readOnlyRootFilesystem": true', '"readOnlyRootFilesystem": false'
        )
    )
    assert (
        "Deployment",
        "lightcompute",
        "container-security-context-readonlyrootfilesystem",
    ) in judged(kube_score, spoiled, tmp_path)
