"""What is seen of TensorBoard's Service, and when none is asked for."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from lightcompute.api import labels
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.curves_services import PATIENCE_SECONDS, CurvesServices
from lightcompute.kube.family import Family
from lightcompute.kube.faults import AlreadyExists, Forbidden
from lightcompute.kube.observed import SeenService, kept_pod, kept_service
from lightcompute.kube.pools import Home
from lightcompute.testing.builders import a_run, a_running_attempt

RUN = a_run().with_metadata(namespace="team-a", uid="uid-1").with_attempts(a_running_attempt())


class Server:
    """Stands where a client would: refuses, or has a Service of that name."""

    def __init__(self) -> None:
        self.there: dict[str, Any] | None = None

    async def create(self, path: str, body: Any) -> Any:
        if self.there is None:
            raise Forbidden("services is forbidden")
        raise AlreadyExists("it exists")

    async def get(self, path: str) -> Any:
        return self.there


class Bench:
    """Services of one cluster, with what is seen there and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.woken: list[str] = []
        self.family = Family(self.woken.append)
        self.server = Server()
        client = cast("ClusterClient", self.server)
        self.curves = CurvesServices(client, self.family, Home(), clock=lambda: self.now)

    def with_pod(self, *beside: str, phase: str = "Running") -> Bench:
        pod = kept_pod(
            {
                "metadata": {"uid": "pod", "name": "p", "namespace": "team-a", "labels": marks()},
                "spec": {"initContainers": [{"name": each} for each in beside]},
                "status": {"phase": phase},
            }
        )
        self.family.pod_changed(None, pod)
        return self

    def served(self) -> bool | None:
        return self.curves.served(RUN.build(), 1)


def marks(attempt: int = 1) -> dict[str, str]:
    return {labels.RUN_UID: "uid-1", labels.ATTEMPT: str(attempt)}


def a_service(attempt: int = 1, **more: Any) -> SeenService:
    return kept_service({"metadata": {"uid": f"s-{attempt}", "labels": marks(attempt), **more}})


def test_a_pod_with_curves_wants_a_service_until_there_is_one() -> None:
    bench = Bench().with_pod("tensorboard")
    assert bench.served() is False
    bench.family.service_changed(None, a_service(attempt=2))
    assert bench.served() is False
    bench.family.service_changed(None, a_service())
    assert bench.served() is True


def test_a_pod_without_curves_wants_none() -> None:
    assert Bench().served() is None
    assert Bench().with_pod().served() is None
    assert Bench().with_pod("cache-warmer").served() is None


def test_what_is_being_deleted_is_waited_for_and_its_run_is_looked_at_when_it_is_gone() -> None:
    bench = Bench().with_pod("tensorboard")
    going = a_service(deletionTimestamp="2026-11-28T00:00:00Z")
    bench.family.service_changed(None, going)
    assert bench.served() is None
    bench.woken.clear()
    bench.family.service_changed(going, None)
    assert bench.served() is False
    assert bench.woken == ["uid-1"]


def test_one_that_was_refused_is_asked_for_again_after_a_time() -> None:
    bench = Bench().with_pod("tensorboard")
    told = asyncio.run(bench.curves.serve(RUN.build(), 1))
    assert told is not None
    assert "services is forbidden" in told.message
    assert bench.served() is None
    bench.now = PATIENCE_SECONDS
    assert bench.served() is False


def test_one_that_is_ours_and_not_seen_is_not_asked_for_at_every_look() -> None:
    bench = Bench().with_pod("tensorboard")
    bench.server.there = {"metadata": {"labels": marks() | {labels.PURPOSE: "tensorboard"}}}
    assert asyncio.run(bench.curves.serve(RUN.build(), 1)) is None
    assert bench.served() is None
    # Once it was seen, its loss is made good at once.
    bench.family.service_changed(None, a_service())
    assert bench.served() is True
    bench.family.service_changed(a_service(), None)
    assert bench.served() is False


def test_the_next_attempt_is_not_held_to_a_refusal_of_the_last() -> None:
    bench = Bench().with_pod("tensorboard")
    asyncio.run(bench.curves.serve(RUN.build(), 1))
    bench.curves.forget("uid-1", 1)
    assert bench.served() is False


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_is_over_wants_none(phase: str) -> None:
    assert Bench().with_pod("tensorboard", phase=phase).served() is None
