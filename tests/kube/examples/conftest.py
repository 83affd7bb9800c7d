"""Examples on a real API server with simulated nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.run_spaces import Space, a_space
from support.testcluster.cluster import Cluster
from support.testcluster.fixtures import control_plane

__all__ = ["control_plane"]


@pytest.fixture
def space(control_plane: Cluster, checkout: Path, tmp_path: Path) -> Iterator[Space]:
    """A namespace with an operator that works."""
    if not control_plane.is_simulated:
        pytest.skip("the trainers of these runs are simulated, and this cluster's are not")
    for file in sorted((checkout / "crds").glob("*.yaml")):
        control_plane.api.apply_crd(file)
    with a_space(control_plane, tmp_path) as space:
        space.start_operator().wait_ready()
        yield space
