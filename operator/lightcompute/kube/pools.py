"""Where children go: a pool of nodes as pods ask for it, and the namespace and marks that its cluster wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lightcompute.api.money import MicroUSD
from lightcompute.api.status import Place
from lightcompute.api.training_cluster import NodePool, TrainingCluster
from lightcompute.api.training_run import TrainingRun
from lightcompute.kube.client import Document
from lightcompute.kube.settings import PoolSettings


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where the children of runs are, in one cluster."""

    namespace: str | None = None
    """One for all of them, in a cluster where runs are not; None where children stand beside their run, which owns them."""
    origin: str = ""
    """Who made what is in a cluster of others: the UID of our own cluster. Nobody else's is ever touched."""

    def namespace_of(self, run: TrainingRun) -> str:
        """The namespace of the run's children."""
        return self.namespace or str(run.metadata.namespace)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Nodes of one kind, as pods are put onto them."""

    place: Place
    price_per_gpu_hour: MicroUSD
    gpu_resource: str
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Document, ...] = ()
    gpus_per_node: int = 0
    max_nodes: int | None = None


def pool_of_settings(settings: PoolSettings) -> Pool:
    """The pool that the operator's options name."""
    return Pool(
        place=settings.place,
        price_per_gpu_hour=settings.price_per_gpu_hour_usd,
        gpu_resource=settings.gpu_resource,
        node_selector=settings.node_selector,
        tolerations=tuple({"key": each.key, "operator": "Exists"} for each in settings.tolerations),
    )


def pools_of(cluster: TrainingCluster) -> tuple[Pool, ...]:
    """The pools of a TrainingCluster."""
    return tuple(_pool(cluster, pool) for pool in cluster.spec.node_pools)


def _pool(cluster: TrainingCluster, pool: NodePool) -> Pool:
    return Pool(
        place=Place(
            cluster=cluster.metadata.name,
            region=cluster.spec.region,
            pool=pool.name,
            gpu_type=pool.gpu_type,
        ),
        price_per_gpu_hour=pool.price_per_gpu_hour_usd,
        gpu_resource=pool.gpu_resource,
        node_selector=pool.node_selector,
        tolerations=tuple(each.document() for each in pool.tolerations),
        gpus_per_node=pool.gpus_per_node,
        max_nodes=pool.max_nodes,
    )
