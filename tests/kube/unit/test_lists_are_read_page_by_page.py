"""A list of a large cluster comes in pages, and no more than one of them is in memory at a time."""

from __future__ import annotations

import asyncio
import gc
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from kubernetes.aio.client import Configuration

from lightcompute.kube.client import ClusterClient
from lightcompute.kube.reflector import Reflector

_PATH = "/api/v1/pods"
_PAGES = 3
_A_PAGE = 5
_MARK = "of-a-page-"


@dataclass
class _Server:
    """Gives pages, and counts what is left of those before when the next is asked for."""

    left: list[int] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            await self.over.wait()
            return response
        page = int(request.query.get("continue", "0"))
        self.left.append(sum(map(_is_of_a_page, gc.get_objects())))
        return web.Response(text=_page(page), content_type="application/json")


def _page(number: int) -> str:
    metadata = {"resourceVersion": "7"} | (
        {"continue": str(number + 1)} if number + 1 < _PAGES else {}
    )
    items = [
        {"metadata": {"uid": f"{number}-{each}", "generateName": _MARK, "labels": {}}}
        for each in range(_A_PAGE)
    ]
    return json.dumps({"metadata": metadata, "items": items})


def _is_of_a_page(found: object) -> bool:
    return type(found) is dict and found.get("generateName") == _MARK


def test_every_page_is_taken_in_and_none_is_kept_while_the_next_is_asked_for() -> None:
    async def listed() -> tuple[_Server, list[str]]:
        server, app = _Server(), web.Application()
        app.router.add_get(_PATH, server.answer)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        client = ClusterClient(Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}"))
        reflector: Reflector[Any] = Reflector(
            client, _PATH, keep=lambda pod: pod["metadata"]["uid"], changed=lambda *_: None
        )
        running = asyncio.create_task(reflector.run())
        try:
            async with asyncio.timeout(10):
                await reflector.synced.wait()
            return server, sorted(reflector.items)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await client.close()
            server.over.set()
            await runner.cleanup()

    server, uids = asyncio.run(listed())
    assert uids == [f"{page}-{each}" for page in range(_PAGES) for each in range(_A_PAGE)]
    assert server.left == [0] * _PAGES
