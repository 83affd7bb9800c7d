"""The server behind `proxy.FaultProxy`: it does to requests what the rules say. Everything in it happens on one event loop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from support.testcluster.api import tls_context
from support.testcluster.kubeconfig import Access
from support.testcluster.proxy_rules import Fault, Ledger, Seen
from support.testcluster.proxy_wire import has_gone, passing, reset, status, status_response

_LARGEST_BODY_BYTES = 64 * 1024 * 1024


@dataclass(kw_only=True, eq=False)
class Stream:
    """An answer that goes on: a watch, or a log that is followed."""

    path: str
    is_watch: bool
    client: asyncio.Transport | None
    response: web.StreamResponse
    pump: asyncio.Task[None]


class ProxyServer:
    """Listens on one port and passes on to one API server."""

    def __init__(self, *, port: int, upstream: Access, ledger: Ledger):
        self._port = port
        self._upstream = upstream
        self._ledger = ledger
        self._streams: set[Stream] = set()
        self._clients: set[asyncio.Transport] = set()
        self._light = asyncio.Event()

    async def open(self) -> None:
        """Begins to listen."""
        self._light.set()
        own_tls = tls_context(self._upstream) if self._upstream.server.startswith("https") else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=own_tls),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        application = web.Application(client_max_size=_LARGEST_BODY_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await self._listen()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()

    async def close(self) -> None:
        """Ends every connection."""
        self._light.set()
        await self.for_watches("", self.cut, all_streams=True)
        await self._runner.cleanup()
        # What is still to be sent to a client that does not read would hold its connection open.
        for client in self._clients:
            client.abort()
        await self._session.close()
        # TLS connections close in later turns of the loop.
        await asyncio.sleep(0.1)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        client = request.transport
        if isinstance(client, asyncio.Transport):
            self._clients.add(client)
        is_watch = request.query.get("watch", "") in {"1", "true", "True"}
        number = self._ledger.note(
            Seen(method=request.method, path=request.raw_path, time=datetime.now(UTC), is_watch=is_watch)
        )  # fmt: skip
        begin = time.monotonic()
        # Read in whole before anything else, so that it can be sent on even after its client gave up.
        body = await request.read()
        await self._light.wait()
        if has_gone(request):
            return web.Response()
        rule = self._ledger.take(request.method, request.raw_path)

        def ended(status: int | None) -> None:
            fault = rule.fault if rule is not None else None
            seconds = time.monotonic() - begin
            self._ledger.amend(
                number, lambda seen: replace(seen, status=status, seconds=seconds, fault=fault)
            )

        if rule is not None and rule.fault is Fault.ANSWER:
            ended(rule.status)
            return status_response(rule)
        if rule is not None and rule.fault is Fault.DROP_REQUEST:
            ended(None)
            reset(request.transport)
            return web.Response()
        if rule is not None and rule.fault is Fault.DELAY:
            await asyncio.sleep(rule.delay_seconds)
        drop = rule is not None and rule.fault is Fault.DROP_RESPONSE
        return await self._forward(request, body, ended=ended, drop=drop, is_watch=is_watch)

    async def _forward(
        self,
        request: web.Request,
        body: bytes,
        *,
        ended: Callable[[int | None], None],
        drop: bool,
        is_watch: bool,
    ) -> web.StreamResponse:
        url = URL(self._upstream.server + request.raw_path, encoded=True)
        try:
            async with self._session.request(
                request.method,
                url,
                headers=self._headers(request),
                data=body or None,
                allow_redirects=False,
                skip_auto_headers=("Accept-Encoding", "User-Agent", "Content-Type"),
            ) as answer:
                if drop:
                    await answer.read()
                    ended(None)
                    reset(request.transport)
                    return web.Response()
                ended(answer.status)
                return await self._pass_on(request, answer, is_watch=is_watch)
        except (aiohttp.ClientError, ConnectionError):
            # The server is down, or one of the ends went away in the middle: to the other that is a reset.
            reset(request.transport)
            return web.Response()

    def _headers(self, request: web.Request) -> CIMultiDict[str]:
        """Those of the request; kubectl sends no token over plain HTTP, so the proxy adds the one it was made with."""
        headers = passing(request.headers)
        if "Authorization" not in headers and self._upstream.token:
            headers["Authorization"] = f"Bearer {self._upstream.token}"
        return headers

    async def _pass_on(
        self, request: web.Request, answer: aiohttp.ClientResponse, *, is_watch: bool
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            status=answer.status, reason=answer.reason, headers=passing(answer.headers)
        )
        await response.prepare(request)
        client = request.transport if isinstance(request.transport, asyncio.Transport) else None
        pump = asyncio.create_task(self._pump(answer, response, by_lines=is_watch))
        stream = Stream(
            path=request.raw_path, is_watch=is_watch, client=client, response=response, pump=pump
        )
        self._streams.add(stream)
        try:
            # Waited for, not awaited: who cuts a stream cancels its pump, and this handler still has to end the answer.
            await asyncio.wait({pump})
        finally:
            pump.cancel()
            self._streams.discard(stream)
        if not pump.cancelled() and (error := pump.exception()) is not None:
            raise error
        if not has_gone(request):
            await response.write_eof()
        return response

    async def _pump(
        self, answer: aiohttp.ClientResponse, response: web.StreamResponse, *, by_lines: bool
    ) -> None:
        rest = b""
        async for chunk in answer.content.iter_any():
            # Only whole lines of a watch are passed on, so that an event can be put between any two.
            whole, cut, rest = (rest + chunk).rpartition(b"\n") if by_lines else (chunk, b"", b"")
            await self._light.wait()
            await response.write(whole + cut)
        if rest:
            await response.write(rest)

    async def for_watches(
        self, path: str, act: Callable[[Stream], Any], *, all_streams: bool = False
    ) -> int:
        """Does something to the watches whose path contains `path`; gives how many."""
        found = [
            stream
            for stream in self._streams
            if (stream.is_watch or all_streams) and path in stream.path
        ]
        for stream in found:
            await act(stream)
        return len(found)

    async def cut(self, stream: Stream) -> None:
        """Resets a stream."""
        reset(stream.client)
        stream.pump.cancel()

    async def inject(self, stream: Stream, event: int | dict[str, Any]) -> None:
        """Puts an event, or the ERROR event of a status, into a stream; after an error it ends."""
        is_error = isinstance(event, int)
        document = {"type": "ERROR", "object": status(event)} if isinstance(event, int) else event
        with suppress(ConnectionError):
            await stream.response.write(json.dumps(document).encode() + b"\n")
        if is_error:
            stream.pump.cancel()

    async def go_dark(self, *, refuse: bool) -> None:
        """Nothing passes any more."""
        self._light.clear()
        if refuse:
            await self._site.stop()
            for client in self._clients:
                reset(client)
            self._clients.clear()
            await self.for_watches("", self.cut, all_streams=True)

    async def come_back(self) -> None:
        """Everything passes again."""
        if self._site not in self._runner.sites:
            await self._listen()
        self._light.set()
