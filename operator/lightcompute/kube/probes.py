"""What kubelets and Prometheus ask over HTTP: is it alive, does it work, what does it count. Answers come from memory only.

It is served by the loop that does the work: a loop that is blocked does not answer, which is the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from aiohttp import web

from lightcompute.kube.metrics import CONTENT_TYPE

Check = Callable[[], str]
"""What is wrong, in a sentence; empty when nothing is."""


class Probes:
    """`/healthz`, `/readyz` and `/metrics`. The mappings are read at each question: they may grow."""

    def __init__(
        self,
        *,
        live: Mapping[str, Check],
        ready: Mapping[str, Check],
        page: Callable[[], bytes],
    ) -> None:
        self._live = live
        self._ready = ready
        self._page = page
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Begins to answer, and returns the port. Raises OSError where it cannot be had."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Answers no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return _answer(self._live)

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._ready)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._page(), headers={"Content-Type": CONTENT_TYPE})


def _answer(checks: Mapping[str, Check]) -> web.Response:
    found = {name: check() for name, check in checks.items()}
    failing = any(found.values())
    body = {
        "status": "failing" if failing else "ok",
        "checks": {name: wrong or "ok" for name, wrong in found.items()},
    }
    return web.json_response(
        body, status=503 if failing else 200, dumps=lambda value: json.dumps(value, indent=2) + "\n"
    )
