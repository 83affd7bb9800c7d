"""What a person sees of TrainingClusters with kubectl and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lightcompute.api.crd import TRAINING_CLUSTER
from support.cases import Document, changed
from support.kubectl import explained, kubectl, needs_kubectl, table
from support.resource_server import ResourceServer
from support.testcluster.cluster import Cluster

pytestmark = [pytest.mark.slow, needs_kubectl]
SEEN: Document = {
    "conditions": [
        {
            "type": type_,
            "status": "True",
            "reason": reason,
            "lastTransitionTime": "2030-01-01T12:00:00Z",
        }
        for type_, reason in (("Accepted", "ClusterAccepted"), ("Reachable", "ClusterAnswers"))
    ],
    "version": "v1.33.1",
    "latencyMilliseconds": 20,
    "capacityGPUs": 32,
    "freeGPUs": 7,
    "reservedGPUs": 2,
    "runningRuns": 3,
}


@pytest.fixture
def clusters(served: Cluster) -> ResourceServer:
    """The TrainingClusters."""
    return ResourceServer(api=served.api, plural=TRAINING_CLUSTER.plural)


def test_a_list_tells_where_each_cluster_is_and_what_is_free_in_it(
    served: Cluster, clusters: ResourceServer, cluster_document: Document
) -> None:
    clusters.write_status(clusters.create(cluster_document), SEEN)
    name = cluster_document["metadata"]["name"]
    [row] = table(kubectl(served, "get", "tcluster", name))
    assert row.pop("AGE")
    assert row == {
        "NAME": name,
        "REGION": "US-IAD1",
        "REACHABLE": "True",
        "GPUS": "32",
        "FREE": "7",
        "RESERVED": "2",
        "RUNS": "3",
    }
    [row] = table(kubectl(served, "get", "tcluster", name, "-o", "wide"))
    assert {key: row[key] for key in ("VERSION", "LATENCY", "REASON")} == {
        "VERSION": "v1.33.1",
        "LATENCY": "20",
        "REASON": "ClusterAnswers",
    }


def test_a_cluster_that_nobody_has_looked_at_is_listed_too(
    served: Cluster, clusters: ResourceServer, cluster_document: Document
) -> None:
    clusters.create(cluster_document)
    rows = table(kubectl(served, "get", "trainingclusters"))
    [row] = (row for row in rows if row["NAME"] == cluster_document["metadata"]["name"])
    assert (row["REGION"], row["REACHABLE"], row["FREE"]) == ("US-IAD1", "", "")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("tcluster", "A cluster that runs may be placed into"),
        ("tcluster.spec", "What a person knows of the cluster"),
        ("tcluster.spec.connection", "How the cluster is reached: one of two ways"),
        ("tcluster.spec.connection.kubeconfigSecret", "in the operator's own namespace"),
        ("tcluster.spec.namespace", "Cannot change once the cluster was reached"),
        ("tcluster.spec.nodePools", "No node may belong to two pools"),
        ("tcluster.spec.nodePools", "pricePerGPUHourUSD <string> -required-"),
        ("tcluster.spec.nodePools.pricePerGPUHourUSD", 'as text such as "1.10"'),
        ("tcluster.spec.nodePools.maxNodes", "It doesn't grow with 0, or when not given"),
        ("tcluster.spec.nodePools.tolerations", "A taint of nodes that pods put up with"),
        ("tcluster.status.owed", "What runs that are no more may have left there"),
    ],
)
def test_explain_teaches(served: Cluster, path: str, says: str) -> None:
    assert says in explained(served, "TrainingCluster", path)


def test_every_slip_is_told_before_anything_is_placed(
    served: Cluster, cluster_document: Document, tmp_path: Path
) -> None:
    slips = {
        "spec.connection.inCluster": True,
        "spec.nodePools.0.pricePerGPUHourUSD": "free",
        "spec.nodePools.0.gpusPerNode": 0,
    }
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(changed(cluster_document, slips)), "utf-8")
    told = kubectl(served, "apply", "-f", str(file), succeeds=False)
    for where, says in (
        ("spec.connection.kubeconfigSecret", "give one of inCluster: true and kubeconfigSecret"),
        ("spec.nodePools[0].pricePerGPUHourUSD", "a number of US dollars in quotes"),
        ("spec.nodePools[0].gpusPerNode", "greater than or equal to 1"),
    ):
        assert where in told
        assert says in told


def test_a_file_that_is_applied_again_changes_nothing(
    served: Cluster, clusters: ResourceServer, cluster_document: Document, tmp_path: Path
) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(cluster_document), "utf-8")
    path = clusters.path(cluster_document["metadata"]["name"])
    assert kubectl(served, "apply", "-f", str(file)).strip().endswith("created")
    first = clusters.api.get(path)["metadata"]
    # kubectl says "configured": to it the defaults within pools are a difference, and to the server they are none.
    kubectl(served, "apply", "-f", str(file))
    again = clusters.api.get(path)["metadata"]
    assert again["resourceVersion"] == first["resourceVersion"]


def test_the_example_of_the_page_is_taken(served: Cluster, checkout: Path, tmp_path: Path) -> None:
    page = (checkout / "docs" / "clusters.md").read_text(encoding="utf-8")
    file = tmp_path / "cluster.yaml"
    file.write_text(page.partition("```yaml\n")[2].partition("```")[0], "utf-8")
    told = kubectl(served, "apply", "--dry-run=server", "-f", str(file))
    assert "trainingcluster.lightcompute.dev/us-iad1 created" in told
