"""The one Lease of an API server, as several clients see it: versions, conflicts, and answers that get lost or come late."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from lightcompute.backend import Conflict, TemporaryFault
from lightcompute.kube.faults import AlreadyExists, NotFound
from lightcompute.kube.lease import Document

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)


class Fate(Enum):
    """What becomes of a request."""

    ANSWERED = auto()
    REQUEST_LOST = auto()
    ANSWER_LOST = auto()


@dataclass
class LeaseServer:
    """What is stored."""

    lease: Document | None = None
    version: int = 0
    writes: int = 0

    def store(self, document: Document) -> Document:
        """Stores a new version, with what the server adds."""
        self.version += 1
        self.writes += 1
        metadata = document["metadata"] | {"resourceVersion": str(self.version)}
        self.lease = copy.deepcopy(document) | {"metadata": metadata}
        return copy.deepcopy(self.lease)

    @property
    def holder(self) -> str:
        """Who is named in it."""
        return "" if self.lease is None else str(self.lease["spec"].get("holderIdentity", ""))


@dataclass
class LeaseClient:
    """One client of it. `fate` is asked at each request: what becomes of it, and after how many seconds it arrives."""

    server: LeaseServer
    fate: Callable[[], tuple[Fate, float]] = lambda: (Fate.ANSWERED, 0.0)
    clock_is_wrong_by: timedelta = timedelta()
    running: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.running.set()

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=asyncio.get_running_loop().time()) + self.clock_is_wrong_by

    async def get(self, path: str) -> Document:
        return await self._ask(lambda: self._get(path))

    async def create(self, path: str, body: Document) -> Document:
        return await self._ask(lambda: self._create(body))

    async def replace(self, path: str, body: Document) -> Document:
        return await self._ask(lambda: self._replace(body))

    async def _ask(self, what: Callable[[], Document]) -> Document:
        fate, seconds = self.fate()
        await asyncio.sleep(seconds)
        if fate is Fate.REQUEST_LOST:
            raise TemporaryFault("the request was lost")
        answer = what()
        await asyncio.sleep(0)
        if fate is Fate.ANSWER_LOST:
            raise TemporaryFault("the answer was lost")
        await self.running.wait()
        return answer

    def _get(self, path: str) -> Document:
        if self.server.lease is None:
            raise NotFound(path)
        return copy.deepcopy(self.server.lease)

    def _create(self, body: Document) -> Document:
        if self.server.lease is not None:
            raise AlreadyExists("it exists")
        return self.server.store(body)

    def _replace(self, body: Document) -> Document:
        if self.server.lease is None:
            # As a real one answers: Leases may be made by a replacement, but none with another's UID.
            raise Conflict("it does not exist")
        stored = self.server.lease["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != stored:
            raise Conflict("it was changed")
        return self.server.store(body)
