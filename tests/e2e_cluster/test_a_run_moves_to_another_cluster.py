"""Two real clusters with a bucket between them: a run that is preempted again and again, moved, and left alone by its operator for a while."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lightcompute.api import labels
from support.realnode.bucket import all_valid, has_saved, hashes, make_key, server, with_key
from support.realnode.commands import kubectl
from support.realnode.fixtures import unhurried
from support.realnode.images import ours
from support.realnode.release import NAMESPACE, Release
from support.realnode.rig import GPU_TYPE, LABELS, Rig, running_beside
from support.realnode.runs import Runs
from support.s3_server import S3Server
from support.source import CHECKOUT
from support.testcluster.api import Document
from support.testcluster.kubeconfig import Access, write_kubeconfig

__all__ = ["server"]

pytestmark = [pytest.mark.e2e, pytest.mark.realnode, pytest.mark.timeout(500)]

CLUSTERS = "/apis/lightcompute.dev/v1alpha1/trainingclusters"
FIRST, SECOND = "us-ord1", "us-iad1"
AWAY = "training"
"""The namespace for runs in the second cluster."""
EVERY = 50
STEPS = 160 * EVERY
"""So many that no attempt comes to the end while an operator is away."""
SELDOM = {"everySteps": 500, "batchSize": 8}


@pytest.fixture(scope="module")
def second(
    request: pytest.FixtureRequest, rig: Rig, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rig]:
    """Another cluster, with the image of the trainer and the account that docs/clusters.md has made there."""
    unhurried(request)
    with running_beside(rig, tmp_path_factory.mktemp("second")) as second:
        image = ours.trainer()
        second.store.load(image.name, partial(ours.archive, image))
        kubectl(second, "apply", "-f", str(CHECKOUT / "docs" / "manifests" / "worker-cluster.yaml"))
        yield second


@pytest.fixture
def joined(release: Release, second: Rig, tmp_path: Path) -> Iterator[Rig]:
    """Both clusters as places for runs. Without any TrainingCluster, as before and after, the switch changes nothing."""
    release.upgrade(**{"trainingClusters.enabled": "true"})
    api = release.rig.api
    config = write_kubeconfig(tmp_path / "second", _access(second, tmp_path), name=SECOND)
    api.post(
        f"/api/v1/namespaces/{NAMESPACE}/secrets",
        {"metadata": {"name": SECOND}, "stringData": {"kubeconfig": config.read_text("utf-8")}},
    )
    away = {"connection": {"kubeconfigSecret": {"name": SECOND}}, "namespace": AWAY}
    for document in (
        _cluster(FIRST, {"connection": {"inCluster": True}}),
        _cluster(SECOND, away),
    ):
        api.post(CLUSTERS, document)
    for name in (FIRST, SECOND):
        api.eventually(f"{CLUSTERS}/{name}", _is_reachable, seconds=60)
    yield second
    for name in (FIRST, SECOND):
        api.delete(f"{CLUSTERS}/{name}")
    api.delete(f"/api/v1/namespaces/{NAMESPACE}/secrets/{SECOND}")


def _access(second: Rig, folder: Path) -> Access:
    """As the account in the second cluster, with its token."""
    path = f"/api/v1/namespaces/{AWAY}/secrets/lightcompute-operator"
    second.api.eventually(path, lambda secret: "token" in secret.get("data", {}))
    data = second.api.get(path)["data"]
    authority = folder / "ca.crt"
    authority.write_bytes(base64.b64decode(data["ca.crt"]))
    token = base64.b64decode(data["token"]).decode()
    return Access(server=second.plane.access.server, token=token, ca_file=authority)


def _cluster(name: str, spec: Document) -> Document:
    pool = {
        "name": "gpus", "gpuType": GPU_TYPE, "gpusPerNode": 4, "pricePerGPUHourUSD": "3.6",
        "nodeSelector": LABELS,
    }  # fmt: skip
    return {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingCluster",
        "metadata": {"name": name},
        "spec": {"region": name.upper(), "nodePools": [pool], **spec},
    }


def _is_reachable(cluster: Document) -> bool:
    conditions = cluster.get("status", {}).get("conditions", ())
    return any(each["type"] == "Reachable" and each["status"] == "True" for each in conditions)


def test_a_run_that_is_preempted_moved_and_left_alone_ends_with_the_very_weights_of_one_that_is_not(
    runs: Runs, joined: Rig, release: Release, server: S3Server
) -> None:
    make_key(joined.api, AWAY)
    spec = with_key(runs, server) | {"checkpoints": {"everySteps": EVERY}}
    here, there = {"placement": {"clusters": [FIRST]}}, {"placement": {"clusters": [SECOND]}}
    runs.order("undisturbed", spec | here, maxSteps=STEPS, evaluation=SELDOM)
    undisturbed = runs.succeeded("undisturbed")
    runs.order("moved", spec | here, maxSteps=STEPS, evaluation=SELDOM)

    runs.until("moved", partial(has_saved, number=1))
    preempt(runs.rig, runs.namespace)
    runs.until("moved", partial(has_saved, number=2))
    runs.edit("moved", **there)
    (operator,) = release.pods()
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{operator['metadata']['name']}"
    runs.rig.api.delete(path, gracePeriodSeconds=0)
    preempt(runs.rig, runs.namespace)
    runs.until("moved", partial(has_saved, number=3))
    preempt(joined, AWAY)
    moved = runs.succeeded("moved")

    assert [each.place.cluster for each in moved.attempts] == [FIRST, FIRST, SECOND, SECOND]
    assert [each.reason for each in moved.attempts] == ["Preempted"] * 3 + ["Completed"]
    assert not any(each.counts for each in moved.attempts)
    # Each was asked to leave and saved, and the next one found that: nothing was done twice.
    assert not any(each.lost_steps for each in moved.attempts)
    assert hashes(server, runs, "moved", STEPS) == hashes(server, runs, "undisturbed", STEPS)
    assert moved.results is not None
    assert undisturbed.results is not None
    assert moved.results.best_validation == undisturbed.results.best_validation
    # Three and the best, all of them verified, in the cluster that the run ended in.
    assert 3 <= len(moved.checkpoints) <= 4
    assert all_valid(moved)


def preempt(rig: Rig, namespace: str) -> None:
    """Deletes the newest trainer of the run there, as a node that is taken away does."""
    found = rig.api.get(
        f"/api/v1/namespaces/{namespace}/pods",
        labelSelector=f"{labels.RUN_NAME}=moved,{labels.PURPOSE}=trainer",
    )["items"]
    pod = max(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))
    rig.api.delete(f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}")
