"""A Job is what an attempt is seen by: what is not there when it comes is never made, and what is left when it went is never removed.

So it comes last and goes last, and a crash in between is made good by the next look.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from lightcompute.core.decision import StartAttempt
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.family import Family
from lightcompute.kube.performing import Performer
from lightcompute.kube.pools import Home, pool_of_settings
from lightcompute.kube.settings import OperatorSettings
from lightcompute.testing.builders import HERE, RunBuilder, a_run

_POOL = pool_of_settings(OperatorSettings().pool)
_START = StartAttempt(
    attempt=1, place=HERE, deadline_seconds=None, stop_after_seconds=None, grace_seconds=30
)


class Requests:
    """Stands where a client would, and notes the kind of what is made and removed."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.removed: list[str] = []

    async def create(self, path: str, body: Any) -> Any:
        self.made.append(f"{body['kind']} {body['metadata']['name'].rpartition('-')[2]}")
        return {**body, "metadata": {**body["metadata"], "uid": "made"}}

    async def delete(self, path: str, **_: Any) -> None:
        self.removed.append(path.split("/")[-2])

    async def patch(self, path: str, body: Any) -> Any:
        return {**body, "metadata": {**body["metadata"], "resourceVersion": "2"}}


def performer(requests: Requests) -> Performer:
    client = cast("ClusterClient", requests)
    return Performer(client, OperatorSettings(), Family(lambda _: None), Home())


def two_nodes() -> RunBuilder:
    return a_run().with_metadata(namespace="team-a", uid="uid-1").with_spec(trainer={"numNodes": 2})


def test_a_job_is_made_when_all_that_its_attempt_needs_is_there() -> None:
    requests = Requests()
    asyncio.run(performer(requests).start(two_nodes().build(), _START, _POOL))
    assert requests.made == [
        "ConfigMap order",
        "Service rendezvous",
        "Job trainer",
    ]


def test_a_job_is_removed_when_all_else_of_its_attempt_is() -> None:
    requests = Requests()
    asyncio.run(performer(requests).release(two_nodes().build(), 1))
    assert requests.removed == ["configmaps", "services", "services", "jobs"]
