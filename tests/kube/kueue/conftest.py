"""Tests here have a control plane of their own with a real Kueue beside it, which asks its webhooks about every Job of the cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.testcluster.cluster import Cluster
from support.testcluster.fixtures import built, namespace, started
from support.testcluster.kueue import Kueue

__all__ = ["namespace"]


@pytest.fixture(scope="module")
def kueue(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kueue]:
    """Kueue, with two nodes of 8 A100-40GB and two of 8 L40S."""
    built(request)
    folder = tmp_path_factory.mktemp("us-ord1")
    plane = started(folder, "us-ord1")
    try:
        with Kueue.start(plane, folder / "kueue") as running:
            yield running
    finally:
        plane.stop()


@pytest.fixture(scope="module")
def control_plane(kueue: Kueue) -> Cluster:
    """The cluster of that Kueue: fixtures that ask for the shared one get it here."""
    return kueue.cluster
