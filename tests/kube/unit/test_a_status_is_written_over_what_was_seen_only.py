"""A status holds the ledger: it replaces the version that was looked at, and no other."""

from __future__ import annotations

import asyncio
import copy
from typing import Any, cast

import pytest

from lightcompute.api.training_run import TrainingRun
from lightcompute.api.words import Phase
from lightcompute.backend import Conflict, TemporaryFault
from lightcompute.core.revise import revised
from lightcompute.kube.backend import KubeBackend
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.runs import RunStore
from lightcompute.kube.settings import OperatorSettings
from lightcompute.testing.builders import NOON, a_run, a_running_attempt

UID = "uid-1"
Document = dict[str, Any]


class OneRun:
    """Stands where an API server's client would, and keeps one run as a server does: a version is compared where one is named."""

    def __init__(self) -> None:
        self.run: Document = {
            "metadata": {
                "name": "baseline",
                "namespace": "team-a",
                "uid": UID,
                "generation": 1,
                "resourceVersion": "1",
            },
            "spec": a_run().spec,
            "status": {},
        }
        self.loses_answers = False

    def now(self) -> Any:
        return NOON

    async def get(self, path: str) -> Document:
        assert path.endswith("/namespaces/team-a/trainingruns/baseline")
        return copy.deepcopy(self.run)

    async def replace(self, path: str, body: Document) -> Document:
        assert path.endswith("/namespaces/team-a/trainingruns/baseline/status")
        if body["metadata"].get("resourceVersion", self.version) != self.version:
            raise Conflict("it was changed")
        self.write(body["status"])
        if self.loses_answers:
            raise TemporaryFault("the answer was lost")
        return copy.deepcopy(self.run)

    @property
    def version(self) -> str:
        return str(self.run["metadata"]["resourceVersion"])

    def write(self, status: Document) -> None:
        """Somebody writes the status."""
        metadata = self.run["metadata"] | {"resourceVersion": str(int(self.version) + 1)}
        self.run = self.run | {"metadata": metadata, "status": copy.deepcopy(status)}


class Operator:
    """The backend over that server; no watch tells it anything."""

    def __init__(self, server: OneRun) -> None:
        self._runs = RunStore()
        self._runs.seen(copy.deepcopy(server.run))
        client = cast("ClusterClient", server)
        self._backend = KubeBackend(client, OperatorSettings(), self._runs, lambda _: None)

    def seen(self) -> TrainingRun:
        """The run as a look would have it."""
        read = asyncio.run(self._backend._read(UID))
        assert read is not None
        return read.run

    def record(self, run: TrainingRun, phase: Phase) -> TrainingRun:
        return asyncio.run(self._backend.record(run, revised(run.status, phase=phase)))


def charged() -> Document:
    """A status with a ledger in it."""
    return a_run().with_attempts(a_running_attempt(price="2.00")).status.document()


def test_a_write_over_a_version_that_was_not_seen_is_a_conflict_and_takes_nothing_away() -> None:
    server = OneRun()
    operator = Operator(server)
    seen = operator.seen()
    server.write(charged())
    with pytest.raises(Conflict):
        operator.record(seen, Phase.STARTING)
    assert server.run["status"] == charged()


def test_after_a_conflict_the_next_look_has_the_run_as_it_is_though_no_watch_told_of_it() -> None:
    server = OneRun()
    operator = Operator(server)
    seen = operator.seen()
    server.write(charged())
    with pytest.raises(Conflict):
        operator.record(seen, Phase.STARTING)
    assert operator.seen().status.attempts[0].charges
    assert operator.record(operator.seen(), Phase.STOPPING).status.attempts[0].charges


def test_after_a_write_without_an_answer_the_next_look_has_what_was_written() -> None:
    server = OneRun()
    operator = Operator(server)
    server.loses_answers = True
    with pytest.raises(TemporaryFault):
        operator.record(operator.seen(), Phase.STARTING)
    assert operator.seen().status.phase == Phase.STARTING


def test_what_was_written_is_the_version_of_the_next_write() -> None:
    operator = Operator(OneRun())
    first = operator.record(operator.seen(), Phase.STARTING)
    assert operator.record(first, Phase.RUNNING).status.phase == Phase.RUNNING
