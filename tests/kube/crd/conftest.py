from __future__ import annotations

from pathlib import Path

import pytest

from support.run_server import RunServer
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
def judge(served: Cluster) -> RunServer:
    """For questions only: nothing is kept."""
    return RunServer(api=served.api, namespace="default")


@pytest.fixture
def runs(served: Cluster, namespace: str) -> RunServer:
    """A namespace to put runs into."""
    return RunServer(api=served.api, namespace=namespace)
