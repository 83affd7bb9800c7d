"""A real cluster of one node with the operator installed in it by Helm, once for all tests of this folder.

They change what the others stand on: the operator is ended, held and taken away. So they run one after another on one worker, and what takes it
away comes last whatever the order of the rest: a file says so with `COMES_LAST`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.realnode.fixtures import namespace, rig, unhurried
from support.realnode.release import Release, prepared
from support.realnode.rig import Rig
from support.realnode.runs import Runs

__all__ = ["namespace", "rig"]

HERE = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """After whoever shuffles them."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.realnode)
    places = [place for place, item in enumerate(items) if item.path.parent == HERE]
    ours = sorted((items[place] for place in places), key=_comes_last)
    for place, item in zip(places, ours, strict=True):
        items[place] = item


def _comes_last(item: pytest.Item) -> int:
    module = item.getparent(pytest.Module)
    return int(getattr(module.obj, "COMES_LAST", 0)) if module is not None else 0


@pytest.fixture(scope="session")
def installed(request: pytest.FixtureRequest, rig: Rig) -> Release:
    """The operator, installed."""
    unhurried(request)
    release = prepared(rig)
    release.install()
    return release


@pytest.fixture
def release(installed: Release) -> Release:
    """The operator, at work before and after."""
    installed.scale(1)
    return installed


@pytest.fixture
def runs(release: Release, namespace: str) -> Runs:
    """The runs of a fresh namespace."""
    return Runs(release.rig, namespace)


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    """Where a test leaves what a person may want to look at."""
    folder = Path(os.environ.get("LIGHTCOMPUTE_ARTEFACTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
