"""A cluster that has just joined answers and is being listed: that is how each begins, and nobody is to be warned of it."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import yaml
from aiohttp import web

from lightcompute.api.reasons import Reason
from lightcompute.api.training_cluster import TrainingCluster
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.settings import OperatorSettings
from lightcompute.kube.worker_cluster import WorkerCluster
from support.testcluster.fleet import Pool, training_cluster


class _Server:
    """Answers a probe, and keeps whoever lists waiting."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.app = web.Application()
        self.app.router.add_get("/version", self._answer({"gitVersion": "v1.34.4"}))
        self.app.router.add_get(
            "/api/v1/namespaces/kube-system", self._answer({"metadata": {"uid": "theirs"}})
        )
        self.app.router.add_post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            self._answer({"status": {"allowed": True}}),
        )
        self.app.router.add_get("/{any:.*}", self._keep_waiting)

    def _answer(self, document: dict[str, Any]) -> Any:
        async def answer(_: web.Request) -> web.Response:
            return web.json_response(document)

        return answer

    async def _keep_waiting(self, _: web.Request) -> web.Response:
        await self.over.wait()
        return web.json_response({}, status=503)


class _OurServer:
    """Stands where our own cluster would, and has one Secret."""

    guard = None

    def __init__(self, port: int) -> None:
        named = {"cluster": "it", "user": "it"}
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "it", "user": {"token": "secret"}}],
            "contexts": [{"name": "it", "context": named}],
            "current-context": "it",
        }
        self._data = base64.b64encode(yaml.safe_dump(kubeconfig).encode()).decode()

    async def get(self, path: str, *_: Any) -> Any:
        return {"metadata": {"name": path.rpartition("/")[2]}, "data": {"kubeconfig": self._data}}


class _OurSite:
    def __init__(self, port: int) -> None:
        self.client = _OurServer(port)


@asynccontextmanager
async def _joining(server: _Server) -> AsyncIterator[WorkerCluster]:
    runner = web.AppRunner(server.app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    document = training_cluster("away", (Pool(gpu_type="L40S"),))
    cluster = WorkerCluster(
        TrainingCluster.model_validate(document),
        own=cast("Site", _OurSite(runner.addresses[0][1])),
        settings=OperatorSettings(),
        origin="ours",
        wake=lambda _: None,
        changed=lambda: None,
    )
    running = asyncio.create_task(cluster.run())
    try:
        yield cluster
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        server.over.set()
        await runner.cleanup()


def test_that_it_is_being_listed_is_said_and_is_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def told() -> None:
        async with _joining(_Server()) as cluster, asyncio.timeout(20):
            while cluster.reach.message != Reason.CLUSTER_SYNCING.sentence:  # noqa: ASYNC110 - a network is waited for
                await asyncio.sleep(0.01)

    with caplog.at_level(logging.INFO, "lightcompute"):
        asyncio.run(told())
    levels = [each.levelname for each in caplog.records if "ClusterSyncing" in each.getMessage()]
    assert levels == ["INFO"]
