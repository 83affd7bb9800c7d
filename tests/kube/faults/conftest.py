"""Operators that are killed, lied to and cut off, on a real API server with simulated nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.run_spaces import Space, a_space
from support.testcluster.cluster import Cluster
from support.testcluster.control_plane import ControlPlane
from support.testcluster.fixtures import control_plane_apart as control_plane
from support.testcluster.fixtures import fault_proxy
from support.testcluster.proxy import FaultProxy
from support.workloads import UNHURRIED
from support.write_points import WritePoints

__all__ = ["control_plane", "fault_proxy"]


@pytest.fixture(scope="session")
def served(control_plane: Cluster, checkout: Path) -> ControlPlane:
    """The control plane, with our resources and room for many runs at once."""
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("the trainers of these runs are simulated, and this cluster's are not")
    for file in sorted((checkout / "crds").glob("*.yaml")):
        control_plane.api.apply_crd(file)
    control_plane.add_nodes(2, "H100", gpus=64)
    return control_plane


@pytest.fixture
def write_points(
    served: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WritePoints]:
    """A proxy that knows the operator's writes by run and number."""
    proxy = WritePoints(served, folder=tmp_path_factory.mktemp("proxy"))
    yield proxy
    proxy.stop()


@pytest.fixture
def counted_space(
    served: ControlPlane, write_points: WritePoints, tmp_path: Path
) -> Iterator[Space]:
    """A namespace with an operator behind `write_points`."""
    with a_space(served, tmp_path, kubeconfig=write_points.kubeconfig, patience=UNHURRIED) as space:
        space.start_operator().wait_ready()
        yield space


@pytest.fixture
def faulty_space(served: ControlPlane, fault_proxy: FaultProxy, tmp_path: Path) -> Iterator[Space]:
    """A namespace with an operator behind `fault_proxy`."""
    with a_space(served, tmp_path, kubeconfig=fault_proxy.kubeconfig, patience=UNHURRIED) as space:
        space.start_operator().wait_ready()
        yield space
