"""The test cluster as fixtures. A conftest.py names those that its folder wants.

LIGHTCOMPUTE_TEST_KUBECONFIG names a cluster that runs already (kind, a real one); then tests use that, and those that need simulated
nodes are skipped.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.testcluster.binaries import NoBinaries, are_built, build_all
from support.testcluster.cluster import Cluster, given_cluster
from support.testcluster.control_plane import ControlPlane
from support.testcluster.proxy import FaultProxy

GIVEN = "LIGHTCOMPUTE_TEST_KUBECONFIG"
_SHARED = pytest.StashKey[Cluster]()


def built(request: pytest.FixtureRequest) -> None:
    """Builds the programs where that is still to do. Where it cannot be done the test is skipped, but under CI it fails."""
    if are_built():
        return
    # It takes longer than any test may.
    request.config.hook.pytest_timeout_cancel_timer(item=request._pyfuncitem)
    try:
        build_all()
    except NoBinaries as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(reason))


def started(folder: Path, name: str) -> ControlPlane:
    """A control plane with two pools of two nodes."""
    plane = ControlPlane.start(folder, name)
    try:
        plane.add_nodes(2, "A100-40GB")
        plane.add_nodes(2, "L40S")
    except BaseException:
        plane.stop()
        raise
    return plane


def _cluster(request: pytest.FixtureRequest, folder: Path) -> Cluster:
    if given := os.environ.get(GIVEN):
        return given_cluster(Path(given), folder=folder)
    built(request)
    return started(folder, "us-ord1")


@pytest.fixture(scope="session")
def control_plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Cluster:
    """The cluster that tests share; one for each pytest worker, started when a test first asks for it.

    A session's fixture is made anew for each conftest.py that imports it, and a control plane at rest still takes its part of the cores:
    so the worker keeps it.
    """
    shared = request.config.stash.get(_SHARED, None)
    if shared is None:
        shared = _cluster(request, tmp_path_factory.mktemp("us-ord1"))
        request.config.stash[_SHARED] = shared
        request.config.add_cleanup(shared.stop)
    return shared


@pytest.fixture(scope="session")
def control_plane_apart(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A folder's own, for tests that do to it what others would not bear; imported there as `control_plane`."""
    cluster = _cluster(request, tmp_path_factory.mktemp("us-ord1"))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def a_second_control_plane(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """Another cluster beside the first."""
    built(request)
    plane = started(tmp_path_factory.mktemp("eu-fra1"), "eu-fra1")
    yield plane
    plane.stop()


@pytest.fixture
def simulated(control_plane: Cluster) -> ControlPlane:
    """The shared cluster, for tests that only simulated nodes can serve."""
    if not isinstance(control_plane, ControlPlane):
        pytest.skip(f"{GIVEN} names a cluster whose nodes are not simulated")
    return control_plane


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """A fresh namespace; deleted afterwards, which nobody waits for."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    # Pods are refused until the namespace has it.
    control_plane.api.eventually(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)
    yield name
    control_plane.api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def fault_proxy(control_plane: Cluster, tmp_path: Path) -> Iterator[FaultProxy]:
    """A proxy in front of the shared cluster that does what the test says."""
    proxy = FaultProxy.start(control_plane, folder=tmp_path)
    yield proxy
    proxy.stop()
