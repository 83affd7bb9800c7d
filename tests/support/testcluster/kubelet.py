"""A kubelet's log endpoint for pods that run in name only, so that `kubectl logs` and whoever reads logs through the API server find some.

It listens on a loopback port in a thread of its own and reads each pod from the API server when it is asked for its log.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from support.testcluster.api import Api, Document
from support.testcluster.loops import LoopThread
from support.testcluster.trainer_log import container_lines, has_ended
from support.testcluster.trainer_plan import Line

_FOLLOW_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Which part of a log is asked for."""

    follow: bool
    tail_lines: int | None
    since: datetime | None
    limit_bytes: int | None
    timestamps: bool


class SimulatedKubelet:
    """Answers for the logs of every simulated node of one cluster."""

    def __init__(self, *, port: int, certificate: Path, key: Path, api: Api):
        self.port = port
        self._api = api
        self._loop = LoopThread("simulated-kubelet")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        try:
            self._runner = self._loop.run(self._serve(context))
        except OSError:
            self._loop.stop()
            raise

    def stop(self) -> None:
        """Ends the server and its thread."""
        self._loop.run(self._runner.cleanup())
        self._loop.stop()

    async def _serve(self, context: ssl.SSLContext) -> web.AppRunner:
        application = web.Application()
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context).start()
        return runner

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        parts = request.match_info
        path = f"/api/v1/namespaces/{parts['namespace']}/pods/{parts['pod']}"
        wish = _wish(request)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        # Whoever follows a log goes away when it has seen enough.
        with suppress(ConnectionError):
            await self._write(
                response, self._chunks(path, parts["container"], wish), wish.limit_bytes
            )
        return response

    async def _write(
        self, response: web.StreamResponse, chunks: AsyncIterator[bytes], limit_bytes: int | None
    ) -> None:
        left = limit_bytes
        async for chunk in chunks:
            cut = chunk if left is None else chunk[:left]
            await response.write(cut)
            if left is not None and (left := left - len(cut)) <= 0:
                break
        await response.write_eof()

    async def _chunks(self, path: str, container: str, wish: Wish) -> AsyncIterator[bytes]:
        told = 0
        first = True
        while True:
            pod = await asyncio.to_thread(self._api.find, path)
            if pod is None:
                return
            lines = _since(_lines(pod, container), wish)
            begin = (
                max(len(lines) - wish.tail_lines, 0)
                if first and wish.tail_lines is not None
                else told
            )
            told, first = len(lines), False
            yield _bytes(lines[begin:], timestamps=wish.timestamps)
            if not wish.follow or has_ended(pod):
                return
            await asyncio.sleep(_FOLLOW_SECONDS)


def _lines(pod: Document, container: str) -> tuple[Line, ...]:
    return container_lines(pod, container, now=datetime.now(UTC))


def _since(lines: tuple[Line, ...], wish: Wish) -> tuple[Line, ...]:
    return lines if wish.since is None else tuple(line for line in lines if line.time >= wish.since)


def _bytes(lines: tuple[Line, ...], *, timestamps: bool) -> bytes:
    texts = (f"{line.time.isoformat()} {line.text}" if timestamps else line.text for line in lines)
    return "".join(f"{text}\n" for text in texts).encode(errors="replace")


def _wish(request: web.Request) -> Wish:
    query = request.query
    since = query.get("sinceTime")
    if seconds := query.get("sinceSeconds"):
        since = datetime.fromtimestamp(
            datetime.now(UTC).timestamp() - int(seconds), UTC
        ).isoformat()
    return Wish(
        follow=query.get("follow") == "true",
        tail_lines=int(query["tailLines"]) if "tailLines" in query else None,
        since=datetime.fromisoformat(since) if since else None,
        limit_bytes=int(query["limitBytes"]) if "limitBytes" in query else None,
        timestamps=query.get("timestamps") == "true",
    )
