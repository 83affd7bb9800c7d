"""Removes from other clusters what no run owns any more: children of runs that are gone, and of attempts that are over.

Beside their run, children go with it, by their owner reference. In another cluster nobody sees to that but this. What does not bear
the mark of our own cluster is never touched, and nothing is removed before it was seen without an owner for GRACE_SECONDS.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from lightcompute.api import labels
from lightcompute.api.training_cluster import Owed
from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.atlas import Atlas
from lightcompute.kube.client import METADATA_LIST, ClusterClient
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.faults import NotFound
from lightcompute.kube.paths import CONFIG_MAPS, JOBS, PODS, RUNS, SERVICES, Kind
from lightcompute.kube.reading import Unreadable
from lightcompute.kube.runs import RunStore
from lightcompute.kube.worker_cluster import WorkerCluster

logger = logging.getLogger(__name__)

ROUND_SECONDS = 60.0
GRACE_SECONDS = 180.0
_PAGE = 500
_KINDS = (JOBS, PODS, CONFIG_MAPS, SERVICES)


class Found(NamedTuple):
    """A child in another cluster."""

    kind: Kind
    uid: str
    name: str
    run_uid: str
    run: tuple[str, str]
    """Namespace and name of its run, as it says."""
    attempt: int


class Sweep:
    """The rounds over all other clusters. `removed` is told how much each removed."""

    def __init__(
        self,
        client: ClusterClient,
        runs: RunStore,
        atlas: Atlas,
        *,
        removed: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._runs = runs
        self._atlas = atlas
        self._removed = removed
        self._clock = clock
        self._since: dict[str, float] = {}
        """When each was first seen without an owner, by UID."""

    async def run(self) -> None:
        """Rounds, for ever."""
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            seen: set[str] = set()
            for worker in self._atlas.workers:
                try:
                    seen |= await self._look(worker)
                except (TemporaryFault, PermanentFault) as fault:
                    logger.info("The cluster %s was not swept: %s", worker.name, fault)
            self._since = {uid: since for uid, since in self._since.items() if uid in seen}

    async def _look(self, worker: WorkerCluster) -> set[str]:
        site = worker.site
        if worker.is_own or site is None or not worker.reach.answers or worker.is_suspect:
            return set()
        found = [each async for each in self._children(site)]
        orphans = [each for each in found if self._is_over(each)]
        removed = 0
        for each in orphans:
            since = self._since.setdefault(each.uid, self._clock())
            if self._clock() - since >= GRACE_SECONDS and await self._is_certain(each):
                await self._remove(site, worker.name, each)
                removed += 1
        if removed:
            self._removed(removed)
        left = {(each.run_uid, each.attempt) for each in found}
        here = (None, worker.whereabouts)
        await self._atlas.settle(
            worker.name, lambda owed: owed.whereabouts in here and _is_settled(owed, left)
        )
        return {each.uid for each in orphans}

    async def _children(self, site: Site) -> AsyncIterator[Found]:
        namespace = site.home.namespace
        for kind in _KINDS:
            token = ""
            while True:
                query: list[tuple[str, str | int]] = [
                    ("limit", _PAGE),
                    ("labelSelector", site.selector),
                ]
                if token:
                    query.append(("continue", token))
                page = await site.client.get(kind.within(namespace), query, accept=METADATA_LIST)
                for item in page.get("items") or ():
                    metadata = item["metadata"]
                    marks = metadata.get("labels") or {}
                    number = str(marks.get(labels.ATTEMPT, ""))
                    yield Found(
                        kind=kind,
                        uid=metadata["uid"],
                        name=metadata["name"],
                        run_uid=str(marks.get(labels.RUN_UID, "")),
                        run=(
                            str(marks.get(labels.RUN_NAMESPACE, "")),
                            str(marks.get(labels.RUN_NAME, "")),
                        ),
                        attempt=int(number) if number.isdecimal() else 0,
                    )
                token = page["metadata"].get("continue") or ""
                if not token:
                    break

    def _is_over(self, child: Found) -> bool:
        """Whether no run owns it: its run is not known, or has made another attempt since this one ended."""
        try:
            read = self._runs.get(child.run_uid)
        except Unreadable:
            return False
        if read is None:
            return True
        attempts = read.run.status.attempts
        return bool(attempts) and child.attempt < attempts[-1].number

    async def _is_certain(self, child: Found) -> bool:
        """What is not known here is asked: a watch may be behind."""
        if self._runs.name(child.run_uid) is not None:
            return True
        namespace, name = child.run
        if not namespace or not name:
            return False
        try:
            run = await self._client.get(RUNS.named(namespace, name))
        except NotFound:
            return True
        return bool(run["metadata"]["uid"] != child.run_uid)

    async def _remove(self, site: Site, cluster: str, child: Found) -> None:
        namespace = str(site.home.namespace)
        logger.info(
            "Removing %s/%s from %s: its run %s has no use for it.",
            child.kind.plural,
            child.name,
            cluster,
            "/".join(child.run),
        )
        await site.client.delete(child.kind.named(namespace, child.name), uid=child.uid)


def _is_settled(owed: Owed, left: set[tuple[str, int]]) -> bool:
    return (owed.run_uid, owed.attempt) not in left
