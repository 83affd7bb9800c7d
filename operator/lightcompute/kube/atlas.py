"""All TrainingClusters: which there are, which can be relied on, and what is told of each in its status."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from lightcompute.api.gpu_types import unknown_gpu_type
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Place
from lightcompute.api.training_cluster import (
    MAX_OWED,
    Owed,
    TrainingCluster,
    TrainingClusterStatus,
)
from lightcompute.backend import Conflict, PermanentFault, TemporaryFault
from lightcompute.kube.client import ClusterClient, Document, Heard
from lightcompute.kube.cluster_report import report, tells_but_nodes
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.faults import Forbidden, NotFound
from lightcompute.kube.holds import Holds
from lightcompute.kube.paths import CLUSTERS, NAMESPACES
from lightcompute.kube.pools import Pool
from lightcompute.kube.reflector import Reflector
from lightcompute.kube.settings import OperatorSettings
from lightcompute.kube.stock import Count
from lightcompute.kube.worker_cluster import WorkerCluster
from runcontract.base import API_VERSION

logger = logging.getLogger(__name__)

TELL_SECONDS = 2.0
"""So often what is told of clusters is compared with what is known."""
NODES_SECONDS = 30.0
"""That free GPUs, as many as before, are on other nodes, is told no more often: pods that come and go would else be written about."""
_AGAIN_SECONDS = 5.0


@dataclass(kw_only=True, slots=True)
class _Entry:
    document: Document
    worker: WorkerCluster | None = None
    task: asyncio.Task[None] | None = None
    fault: tuple[Reason, str] | None = None
    """What is wrong with the spec."""
    told: TrainingClusterStatus | None = None
    """The status as it was last read or written."""
    told_at: float = -NODES_SECONDS
    """When it was last written, on the clock of this process."""


class Atlas:
    """The clusters by name. `wake` is told of runs about whose children something changed."""

    def __init__(
        self,
        client: ClusterClient,
        settings: OperatorSettings,
        own: Site,
        holds: Holds,
        wake: Callable[[str], None],
        heard: Heard | None = None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._own = own
        self._holds = holds
        self._wake = wake
        self._heard = heard
        self._entries: dict[str, _Entry] = {}
        self._origin = ""
        self._group: asyncio.TaskGroup | None = None
        self.changed: Callable[[], None] = lambda: None
        """Called when what can be placed where may have changed."""
        self.listed = asyncio.Event()
        """Set once it is known which clusters there are."""
        self._reflector: Reflector[Document] = Reflector(
            client, CLUSTERS.all(), keep=lambda document: document, changed=self._seen
        )

    # ---- what others ask ----------------------------------------------------------------------------

    @property
    def workers(self) -> tuple[WorkerCluster, ...]:
        """Every cluster that can be used as written."""
        return tuple(entry.worker for entry in self._entries.values() if entry.worker is not None)

    def __len__(self) -> int:
        return len(self._entries)

    def worker(self, name: str) -> WorkerCluster | None:
        """The cluster `name`, if it can be used as written."""
        entry = self._entries.get(name)
        return None if entry is None else entry.worker

    def knows(self, name: str) -> bool:
        """Whether there is a TrainingCluster `name`, whatever is wrong with it."""
        return name in self._entries

    def pool(self, place: Place) -> Pool | None:
        """The pool at `place`."""
        worker = self.worker(place.cluster)
        found = None if worker is None else worker.pool(place.pool)
        return found if found is not None and found.place == place else None

    def told(self) -> tuple[tuple[str, TrainingClusterStatus], ...]:
        """The status of each, as it stands."""
        return tuple(
            (name, entry.told) for name, entry in self._entries.items() if entry.told is not None
        )

    def counts(self, worker: WorkerCluster) -> tuple[Count, ...]:
        """Its pools, counted; none before they are known."""
        if worker.stock is None or not worker.stock.is_synced:
            return ()
        return worker.stock.counts(self._holds.of(worker.name))

    # ---- the watch ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watches, for ever. A server that has no such resource, or does not let us see it, is one without clusters."""
        if not self._settings.training_clusters:
            self.listed.set()
            await asyncio.Event().wait()
        while not await self._may_be_listed():  # noqa: ASYNC110 - the server is what is waited for
            await asyncio.sleep(_AGAIN_SECONDS)
        async with asyncio.TaskGroup() as group:
            self._group = group
            for entry in list(self._entries.values()):
                self._begin(entry)
            group.create_task(self._reflector.run())
            group.create_task(self._note_listed())
            group.create_task(self._telling())

    async def _may_be_listed(self) -> bool:
        try:
            await self._client.get(CLUSTERS.all(), (("limit", 1),))
            found = await self._client.get(NAMESPACES.named("kube-system"))
        except (NotFound, Forbidden) as fault:
            if not self.listed.is_set():
                logger.info("No TrainingClusters are used: %s", fault)
            self.listed.set()
            await asyncio.sleep(60)
            return False
        except (TemporaryFault, PermanentFault) as fault:
            logger.warning("The TrainingClusters could not be listed: %s", fault)
            return False
        self._origin = found["metadata"]["uid"]
        return True

    async def _note_listed(self) -> None:
        await self._reflector.synced.wait()
        self.listed.set()

    def _seen(self, before: Document | None, after: Document | None) -> None:
        name = str((after or before or {})["metadata"]["name"])
        if after is None:
            self._end(self._entries.pop(name, None))
            self._moved(name)
            return
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry(document=after)
        entry.document = after
        self._read(entry)
        self.changed()

    def _read(self, entry: _Entry) -> None:
        try:
            cluster = TrainingCluster.model_validate_json(json.dumps(entry.document))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            entry.fault = Reason.CLUSTER_REFUSED, f"{where}: {first['msg']}"
            return
        entry.told = cluster.status
        entry.fault = self._fault(cluster)
        if entry.worker is not None and entry.worker.takes(cluster):
            return
        self._end(entry)
        entry.worker = WorkerCluster(
            cluster,
            own=self._own,
            settings=self._settings,
            origin=self._origin,
            wake=self._wake,
            changed=lambda: self._moved(cluster.metadata.name),
            heard=self._heard,
        )
        self._begin(entry)

    def _fault(self, cluster: TrainingCluster) -> tuple[Reason, str] | None:
        """What the schema cannot tell."""
        for pool in cluster.spec.node_pools:
            told = unknown_gpu_type(pool.gpu_type, self._settings.extra_gpu_types)
            if told:
                return Reason.UNKNOWN_GPU_TYPE, f"nodePools {pool.name}: {told}"
        return None

    def fault_of(self, name: str) -> tuple[Reason, str] | None:
        """What is wrong with the spec of the cluster."""
        entry = self._entries.get(name)
        return None if entry is None else entry.fault

    def _begin(self, entry: _Entry) -> None:
        if self._group is not None and entry.worker is not None:
            entry.task = self._group.create_task(_kept_running(entry.worker))

    def _end(self, entry: _Entry | None) -> None:
        if entry is not None and entry.task is not None:
            entry.task.cancel()
            entry.task = None

    def _moved(self, name: str) -> None:
        """Something about the cluster changed: what can be placed, and how runs there are seen."""
        self.changed()
        worker = self.worker(name)
        if worker is None or not worker.is_own:
            for hold in tuple(self._holds.of(name)):
                self._wake(hold.run_uid)

    # ---- what is told -------------------------------------------------------------------------------

    async def _telling(self) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            for name in tuple(self._entries):
                try:
                    await self._tell(name)
                except (TemporaryFault, PermanentFault) as fault:
                    logger.info("The status of the cluster %s was not written: %s", name, fault)

    async def _tell(
        self, name: str, owed: Callable[[tuple[Owed, ...]], tuple[Owed, ...]] | None = None
    ) -> None:
        entry = self._entries.get(name)
        if entry is None:
            return
        known = entry.told or TrainingClusterStatus()
        status = report(
            known,
            worker=entry.worker,
            fault=entry.fault,
            counts=() if entry.worker is None else self.counts(entry.worker),
            holds=tuple(self._holds.of(name)),
            generation=int(entry.document["metadata"].get("generation") or 0),
            now=self._client.now(),
        )
        if owed is not None:
            status = status.model_copy(update={"owed": owed(known.owed)[-MAX_OWED:]})
        if status == known:
            return
        recently = time.monotonic() - entry.told_at < NODES_SECONDS
        if recently and tells_but_nodes(known, status):
            return
        metadata = entry.document["metadata"]
        body = {
            "apiVersion": API_VERSION,
            "kind": "TrainingCluster",
            "metadata": {
                key: metadata[key] for key in ("name", "uid", "resourceVersion") if key in metadata
            },
            "spec": entry.document.get("spec"),
            "status": status.document(),
        }
        written = await self._client.replace(CLUSTERS.named(name, "status"), body)
        if self._entries.get(name) is entry:
            entry.document = written
            entry.told_at = time.monotonic()
            entry.told = TrainingClusterStatus.model_validate(written.get("status") or {})

    async def owe(self, name: str, owed: Owed) -> None:
        """Notes in the cluster's status that something may be left in it. Raises TemporaryFault where that did not succeed."""
        if name not in self._entries:
            logger.warning(
                "Attempt %d of %s may be left in %s, of which there is no TrainingCluster.",
                owed.attempt,
                owed.run,
                name,
            )
            return
        await self._change_owed(
            name,
            lambda known: (
                *(
                    each
                    for each in known
                    if (each.run_uid, each.attempt) != (owed.run_uid, owed.attempt)
                ),
                owed,
            ),
        )

    async def settle(self, name: str, settled: Callable[[Owed], bool]) -> None:
        """Strikes what is owed no more."""
        entry = self._entries.get(name)
        if entry is None or entry.told is None or not any(map(settled, entry.told.owed)):
            return
        await self._change_owed(
            name, lambda known: tuple(each for each in known if not settled(each))
        )

    async def _change_owed(
        self, name: str, change: Callable[[tuple[Owed, ...]], tuple[Owed, ...]]
    ) -> None:
        try:
            await self._tell(name, change)
        except Conflict:
            self._seen(None, await self._client.get(CLUSTERS.named(name)))
            await self._tell(name, change)


async def _kept_running(worker: WorkerCluster) -> None:
    """Whatever is wrong with one cluster must not stop the others or the process."""
    while True:
        try:
            await worker.run()
        except Exception:
            logger.exception(
                "Watching the cluster %s was not to end; it is begun anew.", worker.name
            )
        await asyncio.sleep(_AGAIN_SECONDS)
