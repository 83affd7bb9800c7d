"""The operator as a process: what runs, in which order it begins and ends, and when it must not go on.

Everything but the watch on runs (`handlers`, given as `make_watch`) shares one event loop. Nothing outward is done before the Lease is
ours. Whatever ends by itself ends the process: whoever starts it again knows what to do, a half of an operator does not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from itertools import cycle
from typing import Any, Protocol

from lightcompute.backend import PermanentFault
from lightcompute.kube.backend import KubeBackend
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.cluster_gauges import ClusterGauges
from lightcompute.kube.lease_holder import LeaseHolder, LeaseLost
from lightcompute.kube.metrics import Gauges, Metrics
from lightcompute.kube.money_gauges import MoneyGauges
from lightcompute.kube.probes import Check, Probes
from lightcompute.kube.resync import Resync, Told
from lightcompute.kube.runs import RunStore
from lightcompute.kube.settings import OperatorSettings
from lightcompute.kube.startup import Exit
from lightcompute.kube.work import WorkQueue, coalesce_seconds
from lightcompute.kube.workers import Workers
from lightcompute.loop import Loop
from runcontract.faults import ConfigurationFault, Fault

logger = logging.getLogger(__name__)

SILENT_SECONDS = 210.0
"""A watch that is not heard of for so long, three times what a living one may be silent, is dead."""
LAST_LOOKS_SECONDS = 20.0
"""So long the looks under way may take when the process is asked to end."""
_WATCH_END_SECONDS = 5.0


class Watch(Protocol):
    """The watch on runs: `handlers.KopfWatch`."""

    @property
    def silent_seconds(self) -> float:
        """Time since it was last heard of."""

    async def run(self) -> None:
        """Watches until it is stopped or fails."""

    def stop(self) -> None:
        """Asks it to end."""


class MakeWatch(Protocol):
    """How the watch on runs is made."""

    def __call__(self, *, tell: Any, answered: Any) -> Watch:
        """`tell` is told of each event, `answered` of each request."""


class Operator:
    """One process. `lease_client` is used for the Lease alone."""

    def __init__(
        self,
        settings: OperatorSettings,
        client: ClusterClient,
        lease_client: ClusterClient,
        metrics: Metrics,
        make_watch: MakeWatch,
    ) -> None:
        self._settings = settings
        self._client = client
        self._metrics = metrics
        self._stop = asyncio.Event()
        self._looks_begun = False
        self._queue = WorkQueue()
        self._runs = RunStore()
        self._told = Told()
        self._backend = KubeBackend(
            client, settings, self._runs, self._wake, heard=metrics.asked, swept=metrics.swept
        )
        self._workers = Workers(
            self._queue, Loop(self._backend), self._runs, metrics, now=client.now
        )
        self._resync = Resync(
            client,
            self._runs,
            self._queue,
            self._told,
            namespaces=settings.namespaces,
            missed=metrics.missed,
        )
        self._lease = LeaseHolder(
            lease_client,
            namespace=settings.lease_namespace,
            name=settings.lease_name,
            seconds=settings.lease_seconds,
            identity=f"{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().hex[:8]}",
        )
        client.guard = self._lease.guard
        self._watch = make_watch(tell=self._told_of, answered=metrics.asked)
        self._live: dict[str, Check] = {}
        self._probes = Probes(live=self._live, ready=self._ready(), page=metrics.page)
        metrics.registry.register(Gauges(self._runs.readable, self._silences, self._gauges()))
        metrics.registry.register(ClusterGauges(self._backend.atlas.told))
        metrics.registry.register(MoneyGauges(self._runs.readable, self._backend.accounts.told))

    async def run(self) -> Exit:
        """Until it is asked to end or cannot go on."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        port = await self._answer()
        logger.info(
            "Answering http://%s:%d/healthz, /readyz and /metrics.", self._settings.http_host, port
        )
        try:
            if not await self._acquire():
                return Exit.DONE
            return await self._act()
        finally:
            await self._probes.stop()

    def _wake(self, uid: str) -> None:
        """Something of a run's children changed: a start alone is half a dozen such changes, and one look serves them all."""
        self._queue.add_at(uid, time.monotonic() + coalesce_seconds(len(self._queue)))

    async def _answer(self) -> int:
        host, port = self._settings.http_host, self._settings.http_port
        try:
            return await self._probes.start(host, port)
        except OSError as error:
            raise ConfigurationFault(
                Fault(
                    where=f"--http-host {host} --http-port {port}",
                    found=error.strerror or str(error),
                    expected="a free port of this machine",
                )
            ) from error

    # ---- begin --------------------------------------------------------------------------------------

    async def _acquire(self) -> bool:
        """Whether the Lease is ours; False when we were asked to end before."""
        acquiring = asyncio.create_task(self._lease.acquire(), name="lease")
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((acquiring, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not acquiring.done():
            acquiring.cancel()
            return False
        try:
            acquiring.result()
        except PermanentFault as fault:
            where = f"{self._settings.lease_namespace}/{self._settings.lease_name}"
            raise ConfigurationFault(
                Fault(
                    where=f"Lease {where}",
                    found=str(fault),
                    expected="a Lease that we may make and renew",
                    action="Check --lease-namespace, and the rights of the account.",
                )
            ) from fault
        return True

    async def _act(self) -> Exit:
        keeping = asyncio.create_task(self._lease.keep(), name="lease")
        looking = asyncio.create_task(self._look(), name="looks at runs")
        watching = asyncio.create_task(self._watch.run(), name="watch of runs")
        others = [
            asyncio.create_task(each, name=getattr(each, "__qualname__", "background"))
            for each in (*self._backend.background(), self._resync.run())
        ]
        self._live |= self._checks()
        stopping = asyncio.create_task(self._stop.wait(), name="signal")
        tasks = (stopping, keeping, looking, watching, *others)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return _judged([task for task in tasks if task.done()], stopping)
        finally:
            await self._wind_down(keeping, looking, watching, [stopping, *others])

    async def _look(self) -> None:
        """Looks begin when everything is known that there is: what is not seen may otherwise be taken for gone."""
        await self._resync.listed.wait()
        await self._backend.begin()
        logger.info("Looking at %d runs.", len(self._runs))
        self._looks_begun = True
        await self._workers.run(self._settings.workers)

    def _told_of(self, type_: str | None, document: Document) -> None:
        """The watch told of an event."""
        metadata = document["metadata"]
        uid = metadata["uid"]
        if type_ == "DELETED":
            self._told.tell_gone(uid)
            self._runs.gone(uid)
            self._queue.add(uid)
            return
        self._told.tell(uid, metadata["resourceVersion"])
        if self._runs.seen(document) is not None:
            self._queue.add(uid)

    # ---- end ----------------------------------------------------------------------------------------

    async def _wind_down(
        self,
        keeping: asyncio.Task[None],
        looking: asyncio.Task[None],
        watching: asyncio.Task[None],
        others: list[asyncio.Task[Any]],
    ) -> None:
        """First no more work, then nothing more is written, then somebody else may."""
        self._live.clear()
        self._queue.close()
        self._watch.stop()
        if self._looks_begun:
            await asyncio.wait((looking,), timeout=LAST_LOOKS_SECONDS)
        if self._looks_begun and not looking.done():
            logger.warning("Looks under way did not end in %.0f s.", LAST_LOOKS_SECONDS)
        await _end(looking, *others)
        await _end(keeping)
        await self._lease.release()
        await asyncio.wait((watching,), timeout=_WATCH_END_SECONDS)
        await _end(watching)

    # ---- what is asked ------------------------------------------------------------------------------

    def _checks(self) -> dict[str, Check]:
        return {
            "runsWatch": lambda: _silence("runs", self._watch.silent_seconds),
            "childrenWatch": self._silent_children,
            "looks": self._stuck_looks,
            "resync": lambda: (
                "the watch of runs misses changes, round after round"
                if self._resync.is_blind
                else ""
            ),
        }

    def _ready(self) -> dict[str, Check]:
        return {
            "lease": lambda: "" if self._lease.held else "the Lease is not ours",
            "runs": lambda: "" if self._resync.listed.is_set() else "the runs are not listed yet",
            "children": lambda: (
                ""
                if all(each.synced.is_set() for each in self._backend.reflectors)
                else "Jobs, pods and Services are not listed yet"
            ),
            "budgets": lambda: (
                ""
                if self._backend.accounts.listed.is_set()
                else "the TrainingBudgets are not listed yet"
            ),
        }

    def _silent_children(self) -> str:
        found = (_silence(kind, seconds) for kind, seconds in self._silences() if kind != "runs")
        return "; ".join(filter(None, found))

    def _stuck_looks(self) -> str:
        stuck = self._workers.stuck()
        return f"the looks at {', '.join(stuck[:3])} do not end" if stuck else ""

    def _silences(self) -> tuple[tuple[str, float], ...]:
        children: dict[str, float] = {}
        for kind, reflector in zip(cycle(("jobs", "pods")), self._backend.reflectors, strict=False):
            children[kind] = max(children.get(kind, 0.0), reflector.silent_seconds)
        return (("runs", self._watch.silent_seconds), *children.items())

    def _gauges(self) -> dict[str, Callable[[], float]]:
        return {
            "lightcompute_looks_stuck": lambda: len(self._workers.stuck()),
            "lightcompute_queue_keys": lambda: len(self._queue),
            "lightcompute_waiting_runs": lambda: self._backend.placing.waiting,
            "lightcompute_queue_oldest_seconds": lambda: self._queue.oldest_seconds,
            "lightcompute_lease_held": lambda: float(self._lease.held),
            "lightcompute_lease_transitions": lambda: (
                -1 if self._lease.transitions is None else self._lease.transitions
            ),
        }


def _silence(kind: str, seconds: float) -> str:
    if seconds <= SILENT_SECONDS:
        return ""
    return f"the watch of {kind} has been silent for {seconds:.0f} s, at most {SILENT_SECONDS:.0f} s are normal"


def _judged(ended: Iterable[asyncio.Task[Any]], stopping: asyncio.Task[Any]) -> Exit:
    """What it means that these tasks have ended."""
    judged = Exit.DONE
    for task in ended:
        error = task.exception()
        if isinstance(error, LeaseLost):
            logger.error("Somebody else acts now: %s.", error)
            return Exit.LEASE_LOST
        if task is not stopping:
            logger.error("What must not end has ended: %s.", task.get_name(), exc_info=error)
            judged = Exit.FAILED
    if judged is Exit.DONE:
        logger.info("Asked to end.")
    return judged


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
