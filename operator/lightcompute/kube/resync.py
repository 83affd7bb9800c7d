"""Compares what is known of runs with a list, once a minute: whatever the watch lost is found here, and made good.

A watch that loses something now and then is no fault (a deletion in the gap before a new list is lost by design); one that is
blind while everything looks well is. So what the watch has still not told of some time after a list showed it is counted, and a
watch that misses something round after round is reported as blind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import NamedTuple, Protocol

from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.client import JSON, METADATA_LIST, Document, Query
from lightcompute.kube.faults import NotFound
from lightcompute.kube.paths import RUNS
from lightcompute.kube.runs import RunStore, is_newer
from lightcompute.kube.work import WorkQueue

logger = logging.getLogger(__name__)

ROUND_SECONDS = 60.0
SETTLE_SECONDS = 5.0
"""So long after a list, what the watch has brought by then is not fetched once more."""
PATIENCE_SECONDS = 30.0
"""So long after a list, the watch may still tell of what was in it."""
BLIND_ROUNDS = 3
_PAGE = 500
_AGAIN_SECONDS = 2.0


class Api(Protocol):
    """What of an API server is needed: `client.ClusterClient`."""

    async def get(self, path: str, query: Query = (), *, accept: str = JSON) -> Document:
        """The object or list at `path`."""


class Listed(NamedTuple):
    """A run in a list."""

    version: str
    namespace: str
    name: str


class Told:
    """What the watch told of each run, kept apart from what was learnt in other ways."""

    def __init__(self) -> None:
        self._versions: dict[str, str] = {}
        self.count = 0
        """How often it told of anything."""

    def tell(self, uid: str, version: str) -> None:
        """The watch told of `version`."""
        self.count += 1
        self._versions[uid] = version

    def tell_gone(self, uid: str) -> None:
        """The watch told of a deletion."""
        self.count += 1
        self._versions.pop(uid, None)

    def missing(self, listed: dict[str, Listed], vanished: Iterable[str]) -> int:
        """How much of what a list showed it did not tell of. What was counted is not counted again."""
        behind = [uid for uid, run in listed.items() if self._is_behind(uid, run.version)]
        unburied = [uid for uid in vanished if uid in self._versions]
        for uid in behind:
            self._versions[uid] = listed[uid].version
        for uid in unburied:
            del self._versions[uid]
        return len(behind) + len(unburied)

    def _is_behind(self, uid: str, version: str) -> bool:
        known = self._versions.get(uid)
        return known is None or is_newer(version, known)


class Resync:
    """The rounds, over all runs in `namespaces` (everywhere when there are none). `missed` is told what each found."""

    def __init__(
        self,
        client: Api,
        runs: RunStore,
        queue: WorkQueue,
        told: Told,
        *,
        namespaces: Iterable[str] = (),
        missed: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._runs = runs
        self._queue = queue
        self._told = told
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._missed = missed
        self._told_before = 0
        self._blind_rounds = 0
        self.listed = asyncio.Event()
        """Set once every run that there was at the start is known."""

    @property
    def is_blind(self) -> bool:
        """Whether the watch has missed something round after round."""
        return self._blind_rounds >= BLIND_ROUNDS

    async def learn_all(self) -> None:
        """Takes in every run and wants it looked at: the start, before anything is done."""
        async for document in self._items(JSON):
            self._runs.seen(document)
        for uid in self._runs.keys():  # noqa: SIM118 - not a dict
            self._queue.add(uid)
        self.listed.set()

    async def run(self) -> None:
        """Learns all runs, then rounds for ever. One that fails is told of, and followed by the next."""
        while not self.listed.is_set():
            try:
                await self.learn_all()
            except (TemporaryFault, PermanentFault) as fault:
                logger.warning("The runs could not be listed: %s", fault)
                await asyncio.sleep(_AGAIN_SECONDS)
        while True:
            await asyncio.sleep(ROUND_SECONDS - PATIENCE_SECONDS)
            try:
                await self.round(SETTLE_SECONDS, PATIENCE_SECONDS)
            except (TemporaryFault, PermanentFault) as fault:
                logger.warning("The runs could not be listed for comparison: %s", fault)

    async def round(self, settle_seconds: float, patience_seconds: float) -> None:
        """One comparison: what is not known `settle_seconds` after the list is fetched; at the end the watch is judged."""
        before = self._runs.keys()
        listed = {
            item["metadata"]["uid"]: _listed(item) async for item in self._items(METADATA_LIST)
        }
        vanished = tuple(uid for uid in before if uid not in listed)
        await asyncio.sleep(settle_seconds)
        for uid in vanished:
            await self._confirm_gone(uid)
        versions = self._runs.versions()
        for uid, run in listed.items():
            if uid not in versions or is_newer(run.version, versions[uid]):
                await self._fetch(run)
        await asyncio.sleep(patience_seconds - settle_seconds)
        self._judge(self._told.missing(listed, vanished))

    async def _confirm_gone(self, uid: str) -> None:
        """A run that is not in the list may be younger than the list."""
        name = self._runs.name(uid)
        if name is None:
            return
        try:
            found = await self._client.get(RUNS.named(*name))
        except NotFound:
            found = None
        if found is None or found["metadata"]["uid"] != uid:
            self._runs.gone(uid)
            self._queue.add(uid)

    async def _fetch(self, run: Listed) -> None:
        try:
            document = await self._client.get(RUNS.named(run.namespace, run.name))
        except NotFound:
            return
        uid = self._runs.seen(document)
        if uid is not None:
            self._queue.add(uid)

    def _judge(self, missing: int) -> None:
        if missing:
            self._blind_rounds += 1
            self._missed(missing)
            logger.warning("The watch of runs did not tell of %d changes.", missing)
        elif self._told.count > self._told_before:
            self._blind_rounds = 0
        self._told_before = self._told.count

    async def _items(self, accept: str) -> AsyncIterator[Document]:
        for namespace in self._namespaces:
            token = ""
            while True:
                query: list[tuple[str, str | int]] = [("limit", _PAGE)]
                if token:
                    query.append(("continue", token))
                page = await self._client.get(RUNS.within(namespace), query, accept=accept)
                for item in page.get("items") or ():
                    yield item
                token = page["metadata"].get("continue") or ""
                if not token:
                    break


def _listed(item: Document) -> Listed:
    metadata = item["metadata"]
    return Listed(
        version=metadata["resourceVersion"],
        namespace=metadata["namespace"],
        name=metadata["name"],
    )
