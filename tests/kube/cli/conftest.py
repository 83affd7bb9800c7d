from __future__ import annotations

from pathlib import Path

import pytest

from support.cluster_cli import ClusterCommands
from support.testcluster.cluster import Cluster
from support.testcluster.fixtures import (
    a_second_control_plane,
    control_plane,
    fault_proxy,
    namespace,
    simulated,
)

__all__ = ["a_second_control_plane", "control_plane", "fault_proxy", "namespace", "simulated"]


@pytest.fixture(scope="session")
def served(control_plane: Cluster, checkout: Path) -> Cluster:
    """The control plane, with our resources."""
    for file in sorted((checkout / "crds").glob("*.yaml")):
        control_plane.api.apply_crd(file)
    return control_plane


@pytest.fixture
def commands(
    served: Cluster, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> ClusterCommands:
    """The command line about a fresh namespace."""
    return ClusterCommands(
        api=served.api,
        namespace=namespace,
        kubeconfig=served.kubeconfig,
        folder=tmp_path,
        capsys=capsys,
    )
