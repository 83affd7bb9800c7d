"""A copy of one kind of object, kept by list and watch: what vanished in a gap is noticed, since each list is compared with the copy.

Only what `keep` makes of an object is held. Changes are told as (before, after); a reader that must be certain asks the API server
itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Generic, TypeVar

import aiohttp

from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.faults import Expired
from lightcompute.kube.runs import is_newer

logger = logging.getLogger(__name__)

PAGE = 500
WATCH_SECONDS = 280
"""The server ends a watch after so long; a new one goes on from where it was."""
SILENCE_SECONDS = 90.0
"""A watch that says nothing for so long, not even a bookmark (one a minute), is taken for dead."""
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0

Kept = TypeVar("Kept")


class Reflector(Generic[Kept]):
    """The objects at `path` that `selector` (labels) and `fields` fit, by UID. One that `keep` makes nothing of is passed over."""

    def __init__(
        self,
        client: ClusterClient,
        path: str,
        *,
        keep: Callable[[Document], Kept | None],
        changed: Callable[[Kept | None, Kept | None], None],
        selector: str = "",
        fields: str = "",
    ) -> None:
        self._client = client
        self._path = path
        self._keep = keep
        self._changed = changed
        self._selector = selector
        self._fields = fields
        self._items: dict[str, Kept] = {}
        self._version = ""
        self._heard_at = time.monotonic()
        self._hurried = asyncio.Event()
        self.synced = asyncio.Event()
        """Set once the first list is in."""
        self.lists = 0
        """How often everything was listed."""
        self.fault: TemporaryFault | PermanentFault | None = None
        """Why it knows of no changes now; None while all is well."""

    @property
    def items(self) -> Iterable[Kept]:
        """What there is."""
        return self._items.values()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, uid: str) -> Kept | None:
        """The object with `uid`, or None."""
        return self._items.get(uid)

    @property
    def silent_seconds(self) -> float:
        """Time since the server last said anything: a list, an event or a bookmark."""
        return time.monotonic() - self._heard_at

    def made(self, document: Document) -> None:
        """Takes in an object that we created, as the answer has it: the watch may take a moment to tell of it.

        Where the watch is past that version already it knows better: the object has changed since, or is gone.
        """
        metadata = document["metadata"]
        if not self._version or not is_newer(metadata["resourceVersion"], self._version):
            return
        uid, kept = metadata["uid"], self._keep(document)
        if kept is not None and uid not in self._items:
            self._items[uid] = kept
            self._changed(None, kept)

    def hurry(self) -> None:
        """Ends the wait after a fault: somebody knows that the server answers again."""
        if self.fault is not None:
            self._hurried.set()

    async def run(self) -> None:
        """Lists, then watches, for ever."""
        waited = 0.0
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                waited = 0.0
            except Expired:
                self._version = ""
            except (TemporaryFault, PermanentFault) as fault:
                self.fault = fault
                waited = min(max(FIRST_WAIT_SECONDS, waited * 2), LONGEST_WAIT_SECONDS)
                logger.warning("Watching %s: %s. Tried again in %.1f s.", self._path, fault, waited)
                if await self._is_hurried_within(waited):
                    waited = 0.0

    async def _is_hurried_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._hurried.wait()
        except TimeoutError:
            return False
        self._hurried.clear()
        return True

    async def _list(self) -> None:
        """Takes everything anew, and tells what changed against the copy."""
        found: dict[str, Kept] = {}
        token: str | None = ""
        version = ""
        while token is not None:
            query: list[tuple[str, str | int]] = [("limit", PAGE), *self._query()]
            if token:
                query.append(("continue", token))
            token, version = self._sift(await self._client.get(self._path, query), found)
        self.lists += 1
        self._heard()
        before, self._items = self._items, found
        self._version = version
        for uid in before.keys() - found.keys():
            self._changed(before[uid], None)
        for uid, now in found.items():
            if before.get(uid) != now:
                self._changed(before.get(uid), now)
        self.synced.set()

    def _sift(self, page: Document, found: dict[str, Kept]) -> tuple[str | None, str]:
        """Adds to `found` what is kept of `page`; gives the token of the next page, if any, and the version of the list.

        Nothing else refers to the page, so it is gone before the next one comes: parsed, it is ten times what was sent.
        """
        for document in page.get("items") or ():
            kept = self._keep(document)
            if kept is not None:
                found[document["metadata"]["uid"]] = kept
        metadata = page["metadata"]
        return metadata.get("continue") or None, metadata["resourceVersion"]

    async def _watch(self) -> None:
        query: list[tuple[str, str | int]] = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", self._version),
            ("timeoutSeconds", WATCH_SECONDS),
            *self._query(),
        ]
        async with self._client.stream(self._path, query, idle_seconds=SILENCE_SECONDS) as content:
            self._heard()  # it is accepted, though nothing may change for a long time
            async for line in _lines(content):
                self._take(_event(line))

    def _take(self, event: Document) -> None:
        self._heard()
        type_, document = event.get("type"), event.get("object") or {}
        if type_ == "ERROR":
            expired = document.get("code") == 410
            text = f"the watch of {self._path} ended: {document.get('message')}"
            # Whatever it is, nothing before it is certain: list again.
            self._version = ""
            raise Expired(text) if expired else TemporaryFault(text)
        metadata = document["metadata"]
        self._version = metadata["resourceVersion"]
        if type_ == "BOOKMARK":
            return
        uid = metadata["uid"]
        before = self._items.pop(uid, None)
        if type_ == "DELETED":
            # What it was last: a pod's last state comes with its deletion.
            self._changed(before if self._fields else self._keep(document), None)
            return
        kept = self._keep(document)
        if kept is not None:
            self._items[uid] = kept
        if kept is not None or before is not None:
            self._changed(before, kept)

    def _query(self) -> tuple[tuple[str, str], ...]:
        given = (("labelSelector", self._selector), ("fieldSelector", self._fields))
        return tuple((name, text) for name, text in given if text)

    def _heard(self) -> None:
        self._heard_at = time.monotonic()
        self.fault = None


def _event(line: bytes) -> Document:
    try:
        event = json.loads(line)
    except ValueError as error:
        raise TemporaryFault("the watch sent a line that is no JSON") from error
    if not isinstance(event, dict):
        raise TemporaryFault("the watch sent a line that is no event")
    return event


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: an object may be larger than a reader's buffer."""
    rest = b""
    async for piece in content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line:
                yield line
