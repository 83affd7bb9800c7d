"""Tests here keep checkpoints in a bucket of a real S3 server; each in a prefix of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.s3_server import Place, S3Server
from support.testcluster.binaries import NoBinaries
from support.training_fixtures import process_as_it_was, workshop

__all__ = ["process_as_it_was", "workshop"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each needs a program that is built first: none of them belongs to the quick check."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One for each pytest worker. Where it cannot be built the test is skipped, but under CI it fails."""
    try:
        server = S3Server(tmp_path_factory.mktemp("s3"))
    except NoBinaries as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(reason))
    with server:
        yield server


@pytest.fixture
def new_place(server: S3Server, tmp_path: Path) -> Callable[[], Place]:
    """Makes prefixes that nobody has used, each with machines that have nothing."""

    def make() -> Place:
        name = uuid.uuid4().hex[:8]
        return Place(server, prefix=f"runs/{name}", folder=tmp_path / name)

    return make


@pytest.fixture
def place(new_place: Callable[[], Place]) -> Place:
    """One of them."""
    return new_place()
