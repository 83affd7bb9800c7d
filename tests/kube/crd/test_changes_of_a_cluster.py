"""What of a TrainingCluster may change before it was reached and after."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lightcompute.api.crd import TRAINING_CLUSTER
from support.cases import ABSENT, Document, changed
from support.cluster_documents import OWN, a_pool
from support.resource_server import ResourceServer

pytestmark = pytest.mark.slow
REACHED = {"clusterUid": "5d3cb1ad-3c0f-4b4a-9d26-0f4a3b3d2f6e"}
REMOTE: Document = {
    "spec.connection": {"kubeconfigSecret": {"name": "us-iad1"}},
    "spec.namespace": "training",
}
HELD: dict[str, tuple[Document, Document]] = {
    "another namespace": ({}, {"spec.namespace": "others"}),
    "from a kubeconfig to the operator's own": ({}, OWN),
    "from the operator's own to a kubeconfig": (OWN, REMOTE),
}
"""How the cluster was made, and how it is changed."""
FREE: dict[str, Document] = {
    "region": {"spec.region": "US-ORD1"},
    "Secret": {"spec.connection.kubeconfigSecret": {"name": "other", "key": "config"}},
    "context": {"spec.connection.context": "it"},
    "whose runs": {"spec.allowedNamespaces": ["team-a"]},
    "price": {"spec.nodePools.0.pricePerGPUHourUSD": "2.10"},
    "growth": {"spec.nodePools.0.maxNodes": 9},
    "a pool more": {"spec.nodePools": [a_pool(), a_pool(name="l40s", gpuType="L40S")]},
    "another pool": {"spec.nodePools": [a_pool(name="l40s", gpuType="L40S")]},
    "the default written out": {"spec.connection.inCluster": False},
    "a label": {"metadata.labels": {"a": "b"}},
}


@pytest.fixture
def clusters(judges: Mapping[str, ResourceServer]) -> ResourceServer:
    """The TrainingClusters."""
    return judges[TRAINING_CLUSTER.kind]


def change(cluster: Document, document: Document, changes: Document) -> Document:
    """`changes` as a person applies them: to the file, of which the server then makes the whole."""
    whole = changed(document, changes)
    return whole | {"metadata": cluster["metadata"] | whole["metadata"]}


@pytest.mark.parametrize("name", HELD)
def test_where_runs_are_is_held_once_the_cluster_was_reached(
    clusters: ResourceServer, cluster_document: Document, name: str
) -> None:
    before, after = HELD[name]
    document = changed(cluster_document, before)
    reached = clusters.write_status(clusters.create(document), REACHED)
    verdict = clusters.judge_change(change(reached, document, after))
    assert not verdict.taken
    [cause] = verdict.causes
    assert cause.field == "spec.namespace"
    assert "cannot change once the cluster was reached: put it back" in cause.message
    assert "delete this TrainingCluster and apply the new one" in cause.message


@pytest.mark.parametrize("status", [None, {"clusterUid": ""}], ids=["no status", "not reached"])
def test_a_cluster_that_was_never_reached_may_be_mended_in_all_of_it(
    clusters: ResourceServer, cluster_document: Document, status: Document | None
) -> None:
    cluster = clusters.create(cluster_document)
    cluster = cluster if status is None else clusters.write_status(cluster, status)
    for changes in ({"spec.namespace": "others"}, OWN):
        verdict = clusters.judge_change(change(cluster, cluster_document, changes))
        assert verdict.taken, verdict.message


@pytest.mark.parametrize("name", FREE)
def test_everything_else_is_free_at_any_time(
    clusters: ResourceServer, cluster_document: Document, name: str
) -> None:
    reached = clusters.write_status(clusters.create(cluster_document), REACHED)
    verdict = clusters.judge_change(change(reached, cluster_document, FREE[name]))
    assert verdict.taken, verdict.message


def test_a_cluster_of_our_own_stays_without_a_namespace(
    clusters: ResourceServer, cluster_document: Document
) -> None:
    document = changed(cluster_document, OWN)
    reached = clusters.write_status(clusters.create(document), REACHED)
    assert clusters.judge_change(change(reached, document, {"spec.region": "EU-FRA1"})).taken
    named = change(reached, document, {"spec.namespace": "training"})
    assert "leave namespace out with inCluster: true" in clusters.judge_change(named).message


def test_a_status_is_written_whatever_is_held(
    clusters: ResourceServer, cluster_document: Document
) -> None:
    reached = clusters.write_status(clusters.create(cluster_document), REACHED)
    later = clusters.write_status(reached, {**REACHED, "freeGPUs": 3})
    assert later["status"]["freeGPUs"] == 3
    assert later["metadata"]["generation"] == reached["metadata"]["generation"]


def test_nothing_more_than_that_is_held_by_the_schema() -> None:
    of_changes = [rule for rule in TRAINING_CLUSTER.rules if "oldSelf" in rule.holds]
    assert [rule.field for rule in of_changes] == ["spec.namespace"]


def test_leaving_the_namespace_out_is_no_way_around(
    clusters: ResourceServer, cluster_document: Document
) -> None:
    reached = clusters.write_status(clusters.create(cluster_document), REACHED)
    gone = change(reached, cluster_document, {"spec.namespace": ABSENT})
    told = clusters.judge_change(gone).message
    assert "give the namespace of that cluster which runs go to" in told
    assert "cannot change once the cluster was reached" in told
