"""The real cluster as fixtures: one for the whole session, since it takes half a minute to come to be."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from support.realnode.programs import NoRealNode
from support.realnode.rig import Rig, running


def unhurried(request: pytest.FixtureRequest) -> None:
    """What is set up once may take longer than any test, the first time above all."""
    request.config.hook.pytest_timeout_cancel_timer(item=request._pyfuncitem)


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The cluster. Where the machine cannot have one the test is skipped with the reason, but under CI it fails."""
    unhurried(request)
    cluster = running(tmp_path_factory.mktemp("rig"))
    try:
        started = cluster.__enter__()
    except NoRealNode as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(reason))
    try:
        yield started
    finally:
        cluster.__exit__(None, None, None)


@pytest.fixture
def namespace(rig: Rig) -> Iterator[str]:
    """A fresh namespace; deleted afterwards, with what runs in it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    rig.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    rig.api.eventually(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)
    yield name
    rig.api.delete(f"/api/v1/namespaces/{name}")
