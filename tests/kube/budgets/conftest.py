"""Runs that draw from TrainingBudgets, on a real API server with simulated nodes: an operator for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.budgets import Purse
from support.run_spaces import Space, a_space
from support.testcluster.cluster import Cluster
from support.testcluster.fixtures import control_plane

__all__ = ["control_plane"]


@pytest.fixture(scope="session")
def served(control_plane: Cluster, checkout: Path) -> Cluster:
    """The control plane, with our resources."""
    if not control_plane.is_simulated:
        pytest.skip("the trainers of these runs are simulated, and this cluster's are not")
    for file in sorted((checkout / "crds").glob("*.yaml")):
        control_plane.api.apply_crd(file)
    return control_plane


@pytest.fixture
def space(served: Cluster, tmp_path: Path) -> Iterator[Space]:
    """A namespace with an operator that keeps TrainingBudgets."""
    patience = {"kube.accounts.TELL_SECONDS": 0.2, "kube.accounts.SPENT_SECONDS": 1.0}
    with a_space(served, tmp_path, patience=patience) as space:
        space.start_operator().wait_ready()
        yield space


@pytest.fixture
def purse(space: Space) -> Iterator[Purse]:
    """Its TrainingBudgets. Whatever a test is about: what runs had spent and reserved together was never above a limit that stood."""
    purse = Purse(space)
    yield purse
    assert purse.audit() == ()
