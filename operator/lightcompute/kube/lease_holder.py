"""Holding the Lease: waits for it, renews it, refuses writes while it is not certainly ours, gives it back.

It is certainly ours until (duration - margin) after a renewal was *sent*, on a clock that also runs while the process or the
machine is suspended. Whoever waits counts the whole duration from when they *saw* that renewal, which is later. The margin is for
a write that is on its way when the time is over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from lightcompute.backend import Conflict, PermanentFault, TemporaryFault
from lightcompute.kube import lease
from lightcompute.kube.faults import AlreadyExists, NotFound
from lightcompute.kube.lease import Document
from lightcompute.kube.paths import LEASES

logger = logging.getLogger(__name__)

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
RENEWALS = 3
"""Renewals in the time for which a Lease is good."""
MARGIN = 0.2
"""Share of that time which is kept for writes on their way."""


def suspended_time_too() -> float:
    """Seconds on a clock that never stands still: not for SIGSTOP, nor where the system has one for it, in a machine's sleep."""
    return time.clock_gettime(_CLOCK)


class Api(Protocol):
    """What of an API server is needed: `client.ClusterClient`."""

    async def get(self, path: str) -> Document:
        """The object at `path`."""

    async def create(self, path: str, body: Document) -> Document:
        """Creates `body`. Raises AlreadyExists."""

    async def replace(self, path: str, body: Document) -> Document:
        """Replaces the version that `body` names. Raises Conflict."""

    def now(self) -> datetime:
        """The server's time."""


class LeaseLost(Exception):
    """Somebody else holds the Lease: nothing may be written any more."""


class LeaseHolder:
    """One who wants the Lease. `client` is used for nothing else: no queue of other requests may delay a renewal."""

    def __init__(
        self,
        client: Api,
        *,
        namespace: str,
        name: str,
        seconds: int,
        identity: str,
        clock: Callable[[], float] = suspended_time_too,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._seconds = seconds
        self._identity = identity
        self._clock = clock
        self._held: lease.Record | None = None
        """The Lease as we wrote it last; None while we never held it, and after we gave it back."""
        self._certain_until = float("-inf")
        self._told = ""

    @property
    def held(self) -> bool:
        """Whether it is certainly ours."""
        return self._held is not None and self._clock() < self._certain_until

    @property
    def transitions(self) -> int | None:
        """How often the Lease had changed hands when we got it: our fencing token."""
        return None if self._held is None else self._held.transitions

    def guard(self) -> None:
        """Raises TemporaryFault unless the Lease is certainly ours: asked before each write."""
        if not self.held:
            raise TemporaryFault(
                f"not written: the Lease {self._namespace}/{self._name} was not renewed in time"
            )

    async def acquire(self) -> None:
        """Returns when the Lease is ours. Raises PermanentFault where we may not have it at all."""
        sighting = lease.Sighting()
        while True:
            try:
                if await self._try_to_take(sighting):
                    self._told = ""
                    logger.info("The Lease is ours, fencing token %s.", self.transitions)
                    return
            except (Conflict, AlreadyExists):
                self._tell("Somebody else took the Lease.")
            except TemporaryFault as fault:
                self._tell(f"The Lease cannot be read or written: {fault}")
            await asyncio.sleep(self._seconds / RENEWALS / 5)

    async def keep(self) -> None:
        """Renews it for as long as it is ours. Raises LeaseLost."""
        interval_seconds = self._seconds / RENEWALS
        begin = self._clock()
        while True:
            # Counted from when the last one was sent: a server that is slow to answer is asked no more rarely.
            await asyncio.sleep(max(0.0, begin + interval_seconds - self._clock()))
            begin = self._clock()
            try:
                await self._renew()
            except (TemporaryFault, PermanentFault) as fault:
                # Writes are refused once it is not certain; whether somebody else has it the next try will tell.
                logger.warning("The Lease was not renewed: %s", fault)
                await asyncio.sleep(interval_seconds / 5)
                begin -= interval_seconds

    async def release(self) -> None:
        """Gives it back, so that nobody has to wait. To be called when nothing is written any more."""
        ours, self._held = self._held, None
        if ours is None or self._clock() >= self._certain_until:
            return
        try:
            await self._write(lease.released(ours.document))
        except (TemporaryFault, PermanentFault) as fault:
            logger.warning("The Lease was not given back, it runs out by itself: %s", fault)
        else:
            logger.info("The Lease is given back.")

    async def _try_to_take(self, sighting: lease.Sighting) -> bool:
        record = await self._read()
        sighting.see(record, self._clock())
        if record is not None and record.holder == self._identity:
            # We wrote it, and never got the answer.
            await self._take(record.document, record.transitions)
            return True
        wait_seconds = sighting.free_in(self._clock(), default_seconds=self._seconds)
        if wait_seconds > 0:
            self._tell(f"Waiting for the Lease, which {sighting.holder} holds.")
            return False
        if record is None:
            await self._take(lease.new(self._namespace, self._name), sighting.transitions + 1)
            return True
        try:
            await self._take(record.document, record.transitions + 1)
        except NotFound:  # Deleted since we read it.
            return False
        return True

    async def _renew(self) -> None:
        """One renewal. Raises LeaseLost where somebody else was faster."""
        assert self._held is not None, "renewed before it was ours"
        try:
            await self._take(self._held.document, self._held.transitions)
        except (
            Conflict,
            NotFound,
        ):  # A deleted Lease is a conflict too: Leases may be made by a replacement.
            await self._renew_what_was_changed()

    async def _renew_what_was_changed(self) -> None:
        """Somebody changed or deleted the Lease, or we changed it and never got the answer."""
        assert self._held is not None, "renewed before it was ours"
        record = await self._read()
        if record is None:
            logger.warning("The Lease was deleted; it is made anew.")
            document = lease.new(self._namespace, self._name)
            await self._take(document, self._held.transitions + 1)
            return
        emptied = not record.holder and record.transitions == self._held.transitions
        if record.holder != self._identity and not emptied:
            self._certain_until = float("-inf")
            who = record.holder or "nobody"
            raise LeaseLost(
                f"{who} holds the Lease {self._namespace}/{self._name}, fencing token {record.transitions};"
                f" ours was {self._held.transitions}"
            )
        await self._take(record.document, record.transitions)

    async def _take(self, document: Document, transitions: int) -> None:
        """Writes our name and the time into this very version of the Lease."""
        sent = self._clock()
        wanted = lease.held(
            document,
            holder=self._identity,
            seconds=self._seconds,
            transitions=transitions,
            now=self._client.now(),
        )
        self._held = lease.read(await self._write(wanted))
        self._certain_until = sent + self._seconds * (1 - MARGIN)

    async def _read(self) -> lease.Record | None:
        try:
            async with self._time_limit():
                return lease.read(await self._client.get(LEASES.named(self._namespace, self._name)))
        except NotFound:
            return None
        except TimeoutError as error:
            raise TemporaryFault("the API server did not answer in time") from error

    async def _write(self, document: Document) -> Document:
        try:
            async with self._time_limit():
                if "resourceVersion" in document["metadata"]:
                    path = LEASES.named(self._namespace, self._name)
                    return await self._client.replace(path, document)
                return await self._client.create(LEASES.within(self._namespace), document)
        except TimeoutError as error:
            raise TemporaryFault("the API server did not answer in time") from error

    def _time_limit(self) -> asyncio.Timeout:
        return asyncio.timeout(self._seconds / RENEWALS)

    def _tell(self, text: str) -> None:
        """Logs what we wait for, once."""
        if text != self._told:
            self._told = text
            logger.info("%s", text)
