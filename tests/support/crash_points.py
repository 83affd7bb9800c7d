"""Kills an operator at chosen writes: those of many runs are held in front of the API server until the operator is dead.

Each of the runs then stands exactly between two writes. What was held never reaches the server, or reaches it at once, or when the
next operator is at work. Events and the Lease are no points: nothing is decided by Events, and who holds the Lease is another test.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from aiohttp import web

from lightcompute.api import labels
from support.testcluster.cluster import Cluster
from support.testcluster.kubeconfig import Access, write_kubeconfig
from support.testcluster.loops import LoopThread
from support.testcluster.processes import free_ports
from support.testcluster.proxy_rules import WRITES, Ledger
from support.testcluster.proxy_server import ProxyServer
from support.testcluster.proxy_wire import reset

_NO_POINT = re.compile(r"/(events|leases)(/|\?|$)")
_LOOK_SECONDS = 0.1


class Fate(StrEnum):
    """What becomes of a write whose sender was killed."""

    LOST = "lost"
    """It never reaches the server."""
    DONE = "done"
    """It is carried out; nobody hears of it."""
    LATE = "late"
    """It is carried out when the next operator is at work already."""


@dataclass(kw_only=True, eq=False)
class Point:
    """The `number`-th write about the run called `run`."""

    run: str
    number: int
    fate: Fate
    reached: bool = False
    told: str = ""
    """Which write it was."""
    released: asyncio.Event = field(default_factory=asyncio.Event)


class CrashProxy:
    """In front of one API server."""

    def __init__(self, cluster: Cluster, *, folder: Path) -> None:
        (port,) = free_ports(1)
        self._server = _Server(port=port, upstream=cluster.access, ledger=Ledger())
        self._loop = LoopThread("crash-proxy")
        self._loop.run(self._server.open())
        folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig = write_kubeconfig(
            folder / f"proxy-{port}.kubeconfig",
            Access(server=f"http://127.0.0.1:{port}", token=cluster.token),
            name=f"{cluster.name}-proxy",
        )

    def stop(self) -> None:
        """Ends it."""
        self._loop.run(self._server.close())
        self._loop.stop()

    def add(self, point: Point) -> None:
        """From now on that write is held."""
        self._server.points[point.run] = point

    @property
    def reached(self) -> tuple[Point, ...]:
        """Points whose write is held."""
        return tuple(point for point in self._server.points.values() if point.reached)

    def writes(self, run: str) -> int:
        """How many writes about the run there were."""
        return self._server.counts[run]

    def until_reached(self, ended: Callable[[str], bool], seconds: float) -> None:
        """Returns when every run stands at its point or has ended without one, at the latest after `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            points = tuple(self._server.points.values())
            if all(point.reached or ended(point.run) for point in points):
                return
            time.sleep(_LOOK_SECONDS)

    def release(self, *fates: Fate) -> tuple[Point, ...]:
        """Writes that are held meet their fate; gives them when all have. Their senders are to be dead."""
        points = tuple(point for point in self.reached if point.fate in fates)
        self._loop.run(self._server.release(points))
        return points


class _Server(ProxyServer):
    def __init__(self, *, port: int, upstream: Access, ledger: Ledger) -> None:
        super().__init__(port=port, upstream=upstream, ledger=ledger)
        self.points: dict[str, Point] = {}
        self.counts: Counter[str] = Counter()
        self._held: dict[Point, asyncio.Task[None] | None] = {}
        self._forwarded: dict[Point, asyncio.Event] = {}

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method not in WRITES or _NO_POINT.search(request.raw_path):
            return await super()._handle(request)
        body = await request.read()
        point = self._point_of(request, body)
        if point is None:
            return await super()._handle(request)
        point.reached = True
        point.told = f"{request.method} {request.path.rpartition('/')[2]}"
        done = self._forwarded.setdefault(point, asyncio.Event())
        await point.released.wait()
        try:
            if point.fate is Fate.LOST:
                reset(request.transport)
                return web.Response()
            return await self._forward(
                request, body, ended=lambda _: None, drop=True, is_watch=False
            )
        finally:
            done.set()

    def _point_of(self, request: web.Request, body: bytes) -> Point | None:
        """The point that this write is, counting it."""
        run = _run_of(request.path, body)
        self.counts[run] += 1
        point = self.points.get(run)
        if point is None or point.reached or self.counts[run] != point.number:
            return None
        return point

    async def release(self, points: tuple[Point, ...]) -> None:
        """They meet their fate."""
        for point in points:
            point.released.set()
        for point in points:
            await self._forwarded[point].wait()
            del self.points[point.run]


def _run_of(path: str, body: bytes) -> str:
    """The name of the run that a write is about."""
    parts = path.split("/")
    if "trainingruns" in parts:
        return parts[parts.index("trainingruns") + 1]
    document = json.loads(body) if body else {}
    marks = document.get("metadata", {}).get("labels") or {}
    if labels.RUN_NAME in marks:
        return str(marks[labels.RUN_NAME])
    # A child is called RUN-HASH-ATTEMPT-PURPOSE, a pod of it with a rank and five letters more.
    found = re.match(r"(.*)-[0-9a-f]{8}-[0-9]+-[a-z]+", parts[-1])
    return found[1] if found else ""
