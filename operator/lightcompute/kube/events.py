"""Kubernetes Events for people, after the write that they tell of: in the background, best effort, the same one counted up."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass

from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.core.decision import Event
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.faults import NotFound
from lightcompute.kube.paths import EVENTS
from runcontract.base import API_VERSION

logger = logging.getLogger(__name__)

COMPONENT = "lightcompute"
MOST_WAITING = 2000
"""Events beyond so many are dropped: what matters stands in the status."""
REMEMBERED = 2000
_LONGEST_MESSAGE_BYTES = 1000
"""The server takes 1024."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Told:
    namespace: str
    name: str
    count: int


class EventRecorder:
    """Writes Events one after the other, so that they never hold up what they tell of."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client
        self._waiting: asyncio.Queue[tuple[TrainingRun, Event]] = asyncio.Queue(MOST_WAITING)
        self._told: OrderedDict[str, _Told] = OrderedDict()

    def add(self, run: TrainingRun, event: Event) -> None:
        """Takes an Event in, to be written soon."""
        try:
            self._waiting.put_nowait((run, event))
        except asyncio.QueueFull:
            logger.warning(
                "Too many events are waiting; %s of %s is not told.", event.reason, run.label
            )

    async def run(self) -> None:
        """Writes what waits, for ever."""
        while True:
            run, event = await self._waiting.get()
            try:
                await self._write(run, event)
            except (TemporaryFault, PermanentFault) as fault:
                logger.info(
                    "The event %s of %s was not written: %s", event.reason, run.label, fault
                )

    async def _write(self, run: TrainingRun, event: Event) -> None:
        key = _key(run, event)
        told = self._told.get(key)
        if told is not None:
            told = await self._counted_up(told)
        if told is None:
            told = await self._first(run, event, key)
        self._told[key] = told
        self._told.move_to_end(key)
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)

    async def _first(self, run: TrainingRun, event: Event, key: str) -> _Told:
        document = _document(run, event, key, now=self._now())
        namespace = str(run.metadata.namespace)
        await self._client.create(EVENTS.within(namespace), document)
        return _Told(namespace=namespace, name=document["metadata"]["name"], count=1)

    async def _counted_up(self, told: _Told) -> _Told | None:
        """`told` once more; None where it is gone, as servers drop events after an hour."""
        again = _Told(namespace=told.namespace, name=told.name, count=told.count + 1)
        changes = {"count": again.count, "lastTimestamp": self._now()}
        try:
            await self._client.patch(EVENTS.named(told.namespace, told.name), changes)
        except NotFound:
            return None
        return again

    def _now(self) -> str:
        return self._client.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(run: TrainingRun, event: Event) -> str:
    text = f"{run.metadata.uid} {event.type} {event.reason} {event.message}"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _shortened(message: str) -> str:
    return message.encode(errors="replace")[:_LONGEST_MESSAGE_BYTES].decode(errors="ignore")


def _document(run: TrainingRun, event: Event, key: str, *, now: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            # The time keeps it apart from one that another process of ours wrote before.
            "name": f"{run.metadata.name[:200]}.{key[:10]}{now[-9:-1].replace(':', '')}",
            "namespace": run.metadata.namespace,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": "TrainingRun",
            "name": run.metadata.name,
            "namespace": run.metadata.namespace,
            "uid": run.metadata.uid,
        },
        "type": event.type,
        "reason": event.reason.value,
        "message": _shortened(event.message),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
