"""A record of what the runs in one cluster want of its GPUs, at every change that its API server tells of.

It watches by itself and not by the operator's own copies, which are what is measured. What it means is judged by `gpu_audit`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from types import TracebackType
from typing import Self

from lightcompute.api import labels
from lightcompute.backend import TemporaryFault
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.paths import JOBS, PODS, Kind
from support.gpu_audit import By, Claim, claim_of
from support.testcluster.control_plane import ControlPlane

_KINDS = {By.JOBS: JOBS, By.PODS: PODS}
_WATCH_SECONDS = 3600
_AGAIN_SECONDS = 0.2
_SILENCE_SECONDS = 150
"""The server sends a bookmark a minute."""


class GpuWatch:
    """Records from `async with` to its end."""

    def __init__(self, plane: ControlPlane) -> None:
        self.name = plane.name
        self.claims: list[Claim] = []
        self.first_job_at: dict[str, float] = {}
        """When the first Job of a run was seen here, by the run's UID and `time.perf_counter`."""
        self.jobs: Counter[str] = Counter()
        """Jobs that were seen here, by UID of the run."""
        self._gaps: list[str] = []
        self._plane = plane
        self._known: set[str] = set()

    async def __aenter__(self) -> Self:
        self._client = await ClusterClient.connect(self._plane.kubeconfig)
        self._versions = {by: await self._nothing_yet(kind) for by, kind in _KINDS.items()}
        self._tasks = [asyncio.create_task(self._follow(by, kind)) for by, kind in _KINDS.items()]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.close()

    @property
    def gaps(self) -> list[str]:
        """Where changes may be missing, so that nothing can be said. To be asked before the end."""
        faults = [task.exception() for task in self._tasks if task.done()]
        return [*self._gaps, *(f"{self.name}: {fault!r}" for fault in faults if fault is not None)]

    async def _nothing_yet(self, kind: Kind) -> str:
        page = await self._client.get(kind.all(), [("labelSelector", labels.RUN_UID)])
        assert not page["items"], f"{self.name} has {kind.plural} of runs already"
        return str(page["metadata"]["resourceVersion"])

    async def _follow(self, by: By, kind: Kind) -> None:
        while not self._gaps:
            try:
                await self._watch(by, kind)
            except TemporaryFault:
                # A connection that broke: the server still has what followed, or says that it has not.
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _watch(self, by: By, kind: Kind) -> None:
        """Records until the server ends the watch, or tells of a gap."""
        query: list[tuple[str, str | int]] = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._versions[by]),
            ("timeoutSeconds", _WATCH_SECONDS),
            ("labelSelector", labels.RUN_UID),
        ]
        rest = b""
        async with self._client.stream(kind.all(), query, idle_seconds=_SILENCE_SECONDS) as content:
            async for piece in content.iter_any():
                *lines, rest = (rest + piece).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        self._gaps.append(f"{self.name}, {kind.plural}: {event['object']}")
                        return
                    if event["type"] != "BOOKMARK":
                        self._take(by, event["type"], event["object"])
                    self._versions[by] = event["object"]["metadata"]["resourceVersion"]

    def _take(self, by: By, type_: str, document: Document) -> None:
        self.claims.append(claim_of(by, document, gone=type_ == "DELETED"))
        metadata = document["metadata"]
        if by is By.JOBS and metadata["uid"] not in self._known:
            self._known.add(metadata["uid"])
            uid = metadata["labels"][labels.RUN_UID]
            self.first_job_at.setdefault(uid, time.perf_counter())
            self.jobs[uid] += 1
