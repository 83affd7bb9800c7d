"""A proxy that lets something happen at chosen writes of an operator: those about one run, counted from the first.

Either the write fails in one of the ways in which writes fail, or it is held until the operator is dead, so that one kill meets many
runs, each exactly between two of its writes. Events and the Lease do not count: nothing is decided by Events, and who holds the
Lease is tested elsewhere.
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
from support.testcluster.proxy_rules import WRITES, Fault, Ledger, Rule
from support.testcluster.proxy_server import ProxyServer
from support.testcluster.proxy_wire import reset, status_response

_NO_POINT = re.compile(r"/(events|leases)(/|\?|$)")
_LOOK_SECONDS = 0.1


class Fate(StrEnum):
    """What becomes of a write."""

    LOST = "lost"
    """Its sender is killed before it reaches the server."""
    DONE = "done"
    """Its sender is killed before the answer comes."""
    LATE = "late"
    """Its sender is killed, and it is carried out when the next operator is at work already."""
    REQUEST_LOST = "request-lost"
    """The connection breaks before the server hears of it."""
    ANSWER_LOST = "answer-lost"
    """The server carries it out, and the connection breaks before the answer comes."""
    CONFLICT = "409"
    EXPIRED = "410"
    TOO_MANY = "429"
    INTERNAL = "500"
    UNAVAILABLE = "503"


KILLS = (Fate.LOST, Fate.DONE, Fate.LATE)
FAILURES = tuple(fate for fate in Fate if fate not in KILLS)


@dataclass(kw_only=True, eq=False)
class Point:
    """The `number`-th write about the run called `run`."""

    run: str
    number: int
    fate: Fate
    reached: bool = False
    released: asyncio.Event = field(default_factory=asyncio.Event)
    met: asyncio.Event = field(default_factory=asyncio.Event)
    """Its fate."""


class WritePoints:
    """The proxy, in front of one API server."""

    def __init__(self, cluster: Cluster, *, folder: Path) -> None:
        (port,) = free_ports(1)
        self._server = _Server(port=port, upstream=cluster.access, ledger=Ledger())
        self._loop = LoopThread("write-points")
        self._loop.run(self._server.open())
        folder.mkdir(parents=True, exist_ok=True)
        self.kubeconfig = write_kubeconfig(
            folder / f"proxy-{port}.kubeconfig",
            Access(server=f"http://127.0.0.1:{port}", token=cluster.token),
            name=f"{cluster.name}-proxy",
        )

    def stop(self) -> None:
        """Ends it, and whatever is held."""
        self._loop.run(self._server.let_go())
        self._loop.run(self._server.close())
        self._loop.stop()

    def add(self, point: Point) -> None:
        """From now on that write meets its fate."""
        self._server.points[point.run] = point

    @property
    def held(self) -> tuple[Point, ...]:
        """Points whose write is held."""
        return tuple(point for point in self._server.points.values() if point.reached)

    def writes(self, run: str) -> int:
        """How many writes about the run there were."""
        return self._server.counts[run]

    def until_held(self, ended: Callable[[str], bool], seconds: float) -> None:
        """Returns when every run stands at its point or has ended without one, at the latest after `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            points = tuple(self._server.points.values())
            if all(point.reached or ended(point.run) for point in points):
                return
            time.sleep(_LOOK_SECONDS)

    def release(self, *fates: Fate) -> tuple[Point, ...]:
        """Writes that are held meet their fate; gives them when all have. Their senders are to be dead."""
        points = tuple(point for point in self.held if point.fate in fates)
        self._loop.run(self._server.release(points))
        return points


class _Server(ProxyServer):
    def __init__(self, *, port: int, upstream: Access, ledger: Ledger) -> None:
        super().__init__(port=port, upstream=upstream, ledger=ledger)
        self.points: dict[str, Point] = {}
        self.counts: Counter[str] = Counter()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method not in WRITES or _NO_POINT.search(request.raw_path):
            return await super()._handle(request)
        body = await request.read()
        point = self._point_of(request, body)
        if point is None:
            return await super()._handle(request)
        point.reached = True
        try:
            return await self._meet(point, request, body)
        finally:
            point.met.set()

    async def _meet(self, point: Point, request: web.Request, body: bytes) -> web.StreamResponse:
        if point.fate in KILLS:
            await point.released.wait()
        match point.fate:
            case Fate.LOST | Fate.REQUEST_LOST:
                reset(request.transport)
                return web.Response()
            case Fate.DONE | Fate.LATE | Fate.ANSWER_LOST:
                return await self._forward(
                    request, body, ended=lambda _: None, drop=True, is_watch=False
                )
            case _:
                status = int(point.fate)
                wait = 1 if point.fate is Fate.TOO_MANY else None
                return status_response(
                    Rule(fault=Fault.ANSWER, status=status, retry_after_seconds=wait)
                )

    def _point_of(self, request: web.Request, body: bytes) -> Point | None:
        """The point that this write is, counting it."""
        run = run_of(request.path, body)
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
            await point.met.wait()
            del self.points[point.run]

    async def let_go(self) -> None:
        """Nothing is held any more: what is, is lost."""
        for point in self.points.values():
            point.fate = Fate.LOST
            point.released.set()


def run_of(path: str, body: bytes) -> str:
    """The name of the run that a write is about; nothing where it is about none."""
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
