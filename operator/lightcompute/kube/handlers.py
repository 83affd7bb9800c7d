"""The watch on TrainingRuns, by kopf, in a thread and an event loop of its own: kopf ends every task it finds in the loop it runs in.

Its one handler hands on what the watch told of and does nothing else. kopf writes nothing: no finalizer, no annotation, no Event;
its connections refuse every request that is not a GET. What it may lose (a deletion in the gap before a new list) the resync finds.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import kopf
from kubernetes.aio.client import ApiClient, Configuration

from lightcompute.kube.client import Document, configuration_from
from lightcompute.kube.paths import RUNS

logger = logging.getLogger(__name__)

GROUP, VERSION = RUNS.root.removeprefix("/apis/").split("/")
WATCH_SECONDS = 60
"""The server ends each watch after so long, so that a living one is heard of at least so often."""
CLOSING_SECONDS = 0.1
"""Closed connections need some turns of the loop to be gone."""
NOTHING_OF_OURS = f"{GROUP}/no-finalizer-of-kopf"
"""kopf takes its finalizer off objects; this is one that no object has."""

Tell = Callable[[str | None, Document], None]
"""Told of each event: its type (None for what a list held) and the object."""
Answered = Callable[[str, str, int, float], None]
"""Told of each answer: method, path, status code (0 for none), seconds."""


class KopfWatch:
    """kopf in its thread. `tell` and `answered` are called in the event loop that started it."""

    def __init__(
        self,
        *,
        kubeconfig: Path | None,
        context: str | None,
        namespaces: Collection[str],
        tell: Tell,
        answered: Answered,
    ) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._namespaces = tuple(namespaces)
        self._heard_at = dict.fromkeys(self._paths(), time.monotonic())
        """By the path that is watched: when it was last heard of."""
        self._tell = tell
        self._answer = answered
        self._stop: asyncio.Event | None = None
        """In kopf's loop. An Event of threads would keep a thread waiting, and so kopf from ending when it fails."""
        self._kopfs_loop: asyncio.AbstractEventLoop | None = None
        self._handed_over: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        """For the other loop. Both threads may use a deque at once."""
        self._woken = False
        self._sessions: list[aiohttp.ClientSession] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def silent_seconds(self) -> float:
        """Time since the watch was last heard of: an event, or the answer to a request. With several, the most silent one's."""
        return time.monotonic() - min(self._heard_at.values())

    @property
    def alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    async def run(self) -> None:
        """Returns when kopf has ended, whyever it did; raises what it raised."""
        self._loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, args=(ended,), name="kopf", daemon=True)
        self._thread.start()
        try:
            await ended
        finally:
            self.stop()

    def stop(self) -> None:
        """Asks it to end."""
        if self._stop is not None and self._kopfs_loop is not None:
            with suppress(RuntimeError):  # Its loop is closed: it has ended.
                self._kopfs_loop.call_soon_threadsafe(self._stop.set)

    def _work(self, ended: asyncio.Future[None]) -> None:
        """What the thread does."""
        assert self._loop is not None
        error: BaseException | None = None
        try:
            asyncio.run(self._operate())
        except BaseException as caught:  # noqa: BLE001 - whatever ended kopf is raised where somebody waits for it
            error = caught
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_settle, ended, error)

    async def _operate(self) -> None:
        self._kopfs_loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            await kopf.operator(
                registry=self._registry(),
                settings=settings(),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                standalone=True,
                # There are no peers to be told apart; to make a name up, kopf would ask for that of the user, who has none in an image.
                identity="lightcompute",  # type: ignore[arg-type]  # a name for str, not exported
                stop_flag=self._stop,
            )
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        """Closes what kopf leaves open when a watch is cut off, while there is still a loop to close it in."""
        for session in self._sessions:
            await session.close()
        await asyncio.sleep(CLOSING_SECONDS)

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, errors=kopf.ErrorsMode.TEMPORARY, backoff=5)(self._login)
        kopf.on.event(GROUP, VERSION, RUNS.plural, registry=registry, id="run")(self._seen)
        return registry

    async def _seen(self, event: Any, **_: Any) -> None:
        """The one handler."""
        document = event["object"]
        self._heard(document["metadata"].get("namespace") if self._namespaces else None)
        self._hand_over(self._tell, event["type"], document)

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """The same server, credentials and TLS as our own client has, read anew each time that kopf is refused."""
        configuration = await configuration_from(self._kubeconfig, self._context)
        return kopf.AiohttpSession(
            server=str(configuration.host), aiohttp_session=self._session(configuration)
        )

    def _session(self, configuration: Configuration) -> aiohttp.ClientSession:
        tls = ApiClient(configuration).rest_client
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls.ssl_context),
            proxy=tls.proxy,
            trust_env=True,
            headers={"User-Agent": "lightcompute"},
            middlewares=(self._middleware(configuration),),
            read_bufsize=2**21,
        )
        self._sessions.append(session)
        return session

    def _middleware(self, configuration: Configuration) -> aiohttp.ClientMiddlewareType:
        """What each request passes through: only GETs do, with the credentials of now."""

        async def pass_on(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            if request.method != "GET":
                raise PermissionError(f"kopf may not write: {request.method} {request.url.path}")
            token = await configuration.get_api_key_with_prefix(
                "BearerToken", alias="authorization"
            )
            if token:
                request.headers["Authorization"] = token
            if configuration.tls_server_name:
                request.server_hostname = configuration.tls_server_name
            began = time.monotonic()
            try:
                response = await handler(request)
            except (aiohttp.ClientError, OSError, TimeoutError):
                self._answered(request, 0, began)
                raise
            self._answered(request, response.status, began)
            return response

        return pass_on

    def _answered(self, request: aiohttp.ClientRequest, code: int, began: float) -> None:
        now = time.monotonic()
        path = request.url.path
        if path in self._heard_at and 200 <= code < 300:
            self._heard_at[path] = now
        self._hand_over(self._answer, request.method, path, code, now - began)

    def _heard(self, namespace: str | None) -> None:
        self._heard_at[RUNS.within(namespace)] = time.monotonic()

    def _paths(self) -> tuple[str, ...]:
        """What is watched."""
        return tuple(map(RUNS.within, self._namespaces)) or (RUNS.all(),)

    def _hand_over(self, function: Callable[..., None], *arguments: object) -> None:
        """Has the other loop call `function`. It is woken once for all that comes while it is busy: waking it costs most."""
        assert self._loop is not None
        self._handed_over.append((function, arguments))
        if not self._woken and not self._loop.is_closed():
            self._woken = True
            self._loop.call_soon_threadsafe(self._take_over)

    def _take_over(self) -> None:
        # Before anything is taken: what comes from now on may come too late for this round.
        self._woken = False
        while self._handed_over:
            function, arguments = self._handed_over.popleft()
            function(*arguments)


def _settle(ended: asyncio.Future[None], error: BaseException | None) -> None:
    if ended.done():
        return
    if error is None:
        ended.set_result(None)
    else:
        ended.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))


class Backoffs:
    """Waits between two tries of a request, without end: an API server that is away for an hour is asked again after that."""

    def __iter__(self) -> Iterator[float]:
        """Anew for each request."""
        yield from (0.2, 0.5, 1.0, 2.0, 4.0)
        while True:
            yield 5.0


class NothingKept(kopf.DiffBaseStorage):
    """kopf compares versions of an object for handlers of changes. We have none, and copying each object costs time."""

    def build(self, **_: Any) -> Any:
        """Nothing of it."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Nothing was kept."""

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


class NoProgress(kopf.ProgressStorage):
    """kopf keeps the progress of handlers in an object. Ours has none."""

    def fetch(self, **_: Any) -> None:
        """Nothing was kept."""

    def store(self, **_: Any) -> None:
        """Nothing is kept."""

    def purge(self, **_: Any) -> None:
        """There is nothing to take away."""

    def touch(self, **_: Any) -> None:
        """Nothing is written to wake anybody."""

    def clear(self, *, essence: Any) -> Any:
        """There is nothing in it to be taken out."""
        return essence


def settings() -> kopf.OperatorSettings:
    """kopf, writing nothing, patient with the API server, and no longer silent than a watch may be."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.peering.standalone = True
    # Neither namespaces nor CRDs are watched: the right to do so is not asked for.
    chosen.scanning.disabled = True
    chosen.process.ultimate_exiting_timeout = None
    chosen.watching.server_timeout = WATCH_SECONDS
    chosen.watching.inactivity_timeout = 70.0
    chosen.watching.connect_timeout = 10.0
    chosen.watching.chunk_size = 500
    chosen.queueing.idle_timeout = 1.0
    chosen.queueing.exit_timeout = 1.0
    chosen.networking.error_backoffs = Backoffs()
    chosen.networking.connect_timeout = 10.0
    chosen.networking.request_timeout = 30.0
    chosen.networking.trust_env = True
    chosen.persistence.finalizer = NOTHING_OF_OURS
    chosen.persistence.diffbase_storage = NothingKept()
    chosen.persistence.progress_storage = NoProgress()
    return chosen
