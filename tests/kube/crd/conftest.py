from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lightcompute.api.crd import RESOURCES, TRAINING_CLUSTER, TRAINING_RUN
from support.cases import Document, changed
from support.cluster_documents import SMALL_CLUSTER
from support.resource_server import ResourceServer
from support.testcluster.cluster import Cluster
from support.testcluster.fixtures import control_plane, namespace

__all__ = ["control_plane", "namespace"]


@pytest.fixture(scope="session")
def served(control_plane: Cluster, checkout: Path) -> Cluster:
    """The control plane, with our resources."""
    for file in sorted((checkout / "crds").glob("*.yaml")):
        control_plane.api.apply_crd(file)
    return control_plane


@pytest.fixture(scope="session")
def judges(served: Cluster) -> Mapping[str, ResourceServer]:
    """By kind, for questions only: nothing is kept."""
    return {
        each.kind: ResourceServer(
            api=served.api,
            plural=each.plural,
            namespace="default" if each.scope == "Namespaced" else "",
        )
        for each in RESOURCES
    }


@pytest.fixture(scope="session")
def judge(judges: Mapping[str, ResourceServer]) -> ResourceServer:
    """For questions about runs."""
    return judges[TRAINING_RUN.kind]


@pytest.fixture
def runs(served: Cluster, namespace: str) -> ResourceServer:
    """A namespace to put runs into."""
    return ResourceServer(api=served.api, plural=TRAINING_RUN.plural, namespace=namespace)


@pytest.fixture
def cluster_document(judges: Mapping[str, ResourceServer]) -> Iterator[Document]:
    """A small TrainingCluster of a name of its own, which is deleted at the end if it was made."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    yield changed(SMALL_CLUSTER, {"metadata.name": name})
    server = judges[TRAINING_CLUSTER.kind]
    if server.api.find(server.path(name)) is not None:
        server.api.delete(server.path(name))
