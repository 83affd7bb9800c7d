"""A watch that was refused waits longer each time, and goes on at once when somebody knows that the server answers again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from lightcompute.kube import reflector as module
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.faults import Unauthorized
from lightcompute.kube.reflector import Reflector

_PATH = "/api/v1/pods"


@dataclass
class _Server:
    """Answers lists with nothing, and watches with silence; refuses as long as it is told to."""

    refuses_lists: bool = False
    refuses_watches: bool = False
    watches: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        watch = "watch" in request.query
        if self.refuses_watches if watch else self.refuses_lists:
            status = {"kind": "Status", "code": 401, "message": "no"}
            return web.json_response(status, status=401)
        if not watch:
            return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
        self.watches += 1
        response = web.StreamResponse()
        await response.prepare(request)
        await self.over.wait()
        return response


@asynccontextmanager
async def _reflecting(server: _Server) -> AsyncIterator[Reflector[Any]]:
    app = web.Application()
    app.router.add_get(_PATH, server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client = ClusterClient(Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}"))
    reflector: Reflector[Any] = Reflector(
        client, _PATH, keep=lambda document: document, changed=lambda *_: None
    )
    running = asyncio.create_task(reflector.run())
    try:
        yield reflector
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await client.close()
        server.over.set()
        await runner.cleanup()


async def _until_refused(reflector: Reflector[Any]) -> None:
    async with asyncio.timeout(10):
        while not isinstance(reflector.fault, Unauthorized):  # noqa: ASYNC110 - a network is waited for
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So long that no test sees the end of one."""
    monkeypatch.setattr(module, "FIRST_WAIT_SECONDS", 300.0)
    monkeypatch.setattr(module, "LONGEST_WAIT_SECONDS", 300.0)


def test_a_refused_list_is_tried_again_at_once_when_told() -> None:
    async def told() -> None:
        server = _Server(refuses_lists=True)
        async with _reflecting(server) as reflector:
            await _until_refused(reflector)
            assert not reflector.synced.is_set()
            server.refuses_lists = False
            reflector.hurry()
            async with asyncio.timeout(10):
                await reflector.synced.wait()
            assert reflector.fault is None

    asyncio.run(told())


def test_a_watch_that_is_accepted_has_no_fault_though_nothing_changes() -> None:
    async def told() -> None:
        server = _Server(refuses_watches=True)
        async with _reflecting(server) as reflector:
            await _until_refused(reflector)
            server.refuses_watches = False
            reflector.hurry()
            async with asyncio.timeout(10):
                while reflector.fault is not None:  # noqa: ASYNC110 - a network is waited for
                    await asyncio.sleep(0.01)
            assert (server.watches, reflector.lists) == (1, 1)

    asyncio.run(told())


def test_being_told_while_all_is_well_changes_nothing() -> None:
    async def told() -> None:
        server = _Server()
        async with _reflecting(server) as reflector:
            async with asyncio.timeout(10):
                while not server.watches:  # noqa: ASYNC110 - a network is waited for
                    await asyncio.sleep(0.01)
            reflector.hurry()
            await asyncio.sleep(0.05)
            assert (server.watches, reflector.lists) == (1, 1)

    asyncio.run(told())
