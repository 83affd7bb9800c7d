"""A cluster whose watching ended by a fault of ours is begun anew, with the kubeconfig that it had."""

from __future__ import annotations

import asyncio
import base64
from typing import Any, cast

import yaml

from lightcompute.api.reasons import Reason
from lightcompute.api.training_cluster import TrainingCluster
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.settings import OperatorSettings
from lightcompute.kube.worker_cluster import WorkerCluster
from support.testcluster.fleet import Pool, training_cluster

_KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "it", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "it", "user": {"token": "secret"}}],
    "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    "current-context": "it",
}


class OurServer:
    """Stands where our own cluster would, and has one Secret."""

    guard = None

    async def get(self, path: str, *_: Any) -> Any:
        data = base64.b64encode(yaml.safe_dump(_KUBECONFIG).encode()).decode()
        return {"metadata": {"name": path.rpartition("/")[2]}, "data": {"kubeconfig": data}}


class OurSite:
    client = OurServer()


async def _told(cluster: WorkerCluster) -> None:
    """Runs it until it has tried to reach its server, which nobody answers for."""
    running = asyncio.create_task(cluster.run())
    await asyncio.sleep(0)  # it begins
    try:
        async with asyncio.timeout(5):
            while cluster.reach.reason is not Reason.NO_ANSWER:  # noqa: ASYNC110 - a network is waited for
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_it_connects_again_and_is_relied_on_only_when_everything_is_known_again() -> None:
    document = training_cluster("away", (Pool(gpu_type="L40S"),))

    async def twice() -> None:
        cluster = WorkerCluster(
            TrainingCluster.model_validate(document),
            own=cast("Site", OurSite()),
            settings=OperatorSettings(),
            origin="ours",
            wake=lambda _: None,
            changed=lambda: None,
        )
        await _told(cluster)
        first = cluster.stock
        await _told(cluster)
        assert cluster.stock is not first, "new watches"

    asyncio.run(twice())
