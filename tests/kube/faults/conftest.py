"""Operators that are killed, lied to and cut off, on a real API server with simulated nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.testcluster.cluster import Cluster
from support.testcluster.control_plane import ControlPlane
from support.testcluster.fixtures import control_plane

__all__ = ["control_plane"]


@pytest.fixture(scope="session")
def served(control_plane: Cluster, checkout: Path) -> ControlPlane:
    """The control plane, with our resources and room for many runs at once."""
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("the trainers of these runs are simulated, and this cluster's are not")
    for file in sorted((checkout / "crds").glob("*.yaml")):
        control_plane.api.apply_crd(file)
    control_plane.add_nodes(2, "H100", gpus=64)
    return control_plane
