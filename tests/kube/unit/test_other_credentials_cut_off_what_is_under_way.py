"""A client that goes on with other credentials hears of what changes again at once: a stream that is cut off must not look like a silent one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from lightcompute.backend import TemporaryFault
from lightcompute.kube.client import ClusterClient


@asynccontextmanager
async def a_server() -> AsyncIterator[int]:
    """Begins an answer at each path and does not end it."""
    over = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"begun\n")
        await over.wait()
        return response

    app = web.Application()
    app.router.add_get("/{any:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    yield site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    over.set()
    await runner.cleanup()


def test_a_stream_that_is_under_way_ends_with_a_fault_at_once() -> None:
    def configuration(port: int) -> Configuration:
        return Configuration(host=f"http://127.0.0.1:{port}")

    async def read_and_renew(client: ClusterClient, port: int) -> None:
        async with client.stream("/watch", idle_seconds=30) as content:
            assert await content.readline() == b"begun\n"
            await client.use(configuration(port))
            await content.readline()

    async def cut_off() -> None:
        async with a_server() as port:
            client = ClusterClient(configuration(port))
            began = time.monotonic()
            with pytest.raises(TemporaryFault, match="other credentials"):
                await read_and_renew(client, port)
            assert time.monotonic() - began < 5
            async with client.stream("/watch", idle_seconds=30) as content:
                assert await content.readline() == b"begun\n"
            await client.close()

    asyncio.run(cut_off())
