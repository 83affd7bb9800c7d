from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.chart_cluster import ChartCluster, chart_cluster
from support.helm_chart import Helm
from support.testcluster.binaries import HELM, NoBinaries, binary
from support.testcluster.control_plane import ControlPlane
from support.testcluster.fixtures import control_plane_apart as control_plane
from support.testcluster.fixtures import simulated

__all__ = ["control_plane", "simulated"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each renders the chart by a program that is built first: none of them belongs to the quick check."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The program, without a cluster. Where it cannot be built the test is skipped, but under CI it fails."""
    try:
        program = binary(HELM)
    except NoBinaries as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(reason))
    return Helm(program=program, home=tmp_path_factory.mktemp("helm"))


@pytest.fixture
def chart(simulated: ControlPlane, helm: Helm) -> Iterator[ChartCluster]:
    """The shared cluster, to install the chart in. Its nodes run no image, so pods are ready in name."""
    with chart_cluster(simulated, helm) as made:
        yield made
