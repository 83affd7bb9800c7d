"""Scenarios of runs on a real API server with simulated nodes: one operator for each module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.run_spaces import Space, a_space
from support.testcluster.cluster import Cluster
from support.testcluster.fixtures import control_plane, simulated

__all__ = ["control_plane", "simulated"]


@pytest.fixture(scope="session")
def served(control_plane: Cluster, checkout: Path) -> Cluster:
    """The control plane, with our resources."""
    if not control_plane.is_simulated:
        pytest.skip("the trainers of these scenarios are simulated, and this cluster's are not")
    for file in sorted((checkout / "crds").glob("*.yaml")):
        control_plane.api.apply_crd(file)
    return control_plane


@pytest.fixture(scope="module")
def patience() -> dict[str, float]:
    """Constants of the operator's modules that the module's tests need otherwise."""
    return {}


@pytest.fixture(scope="module")
def space(
    served: Cluster, tmp_path_factory: pytest.TempPathFactory, patience: dict[str, float]
) -> Iterator[Space]:
    """A namespace with an operator that works."""
    with a_space(served, tmp_path_factory.mktemp("space"), patience=patience) as space:
        space.start_operator().wait_ready()
        yield space
