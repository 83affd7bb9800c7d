"""Three clusters, of which the first takes the runs of all: real control planes with simulated nodes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.fleets import GPUS, TYPES, Fleet, a_fleet
from support.testcluster.control_plane import ControlPlane
from support.testcluster.fixtures import built


@pytest.fixture(scope="session")
def planes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, checkout: Path
) -> Iterator[tuple[ControlPlane, ...]]:
    """Each with one node of one type of GPU, cheaper ones in the later."""
    built(request)
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as stack:
        planes = []
        for name, gpu_type in TYPES.items():
            plane = ControlPlane.start(
                folder / name, name, users={"nobody-much": "system:authenticated"}
            )
            stack.callback(plane.stop)
            plane.add_nodes(1, gpu_type, gpus=GPUS)
            planes.append(plane)
        for file in sorted((checkout / "crds").glob("*.yaml")):
            planes[0].api.apply_crd(file)
        yield tuple(planes)


@pytest.fixture
def patience() -> dict[str, float]:
    """Constants of the operator's modules that a module's tests need otherwise."""
    return {}


@pytest.fixture
def fleet(
    planes: tuple[ControlPlane, ...], tmp_path: Path, patience: dict[str, float]
) -> Iterator[Fleet]:
    """A namespace of runs and its operator, with nothing yet that runs could be placed into.

    Whatever a test is about: no run ever lived twice, and no more GPUs were held than there are.
    """
    with a_fleet(planes, tmp_path, patience) as fleet:
        yield fleet
        assert fleet.audit() == ()


@pytest.fixture
def pool_of_threads() -> Iterator[ThreadPoolExecutor]:
    """For what is waited for side by side."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        yield pool
