"""What is known of TrainingClusters, for Prometheus: read off their statuses when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lightcompute.api.training_cluster import TrainingClusterStatus
from lightcompute.api.words import ClusterConditionType

OF_POOLS = {
    "lightcompute_pool_capacity_gpus": "GPUs of a pool's nodes.",
    "lightcompute_pool_free_gpus": "GPUs of a pool that no pod holds and no run has reserved.",
    "lightcompute_pool_reserved_gpus": "GPUs of a pool that runs have reserved and no pod of theirs holds yet.",
    "lightcompute_pool_runs": "Runs with an attempt in a pool.",
}
OF_CLUSTERS = {
    "lightcompute_cluster_reachable": "1 while the cluster answers and is known, 0 while it does not.",
    "lightcompute_cluster_owed": "Attempts of runs that are no more, which may be left in a cluster that could not be reached.",
}


class ClusterGauges(Collector):
    """Numbers by cluster and pool."""

    def __init__(self, told: Callable[[], Iterable[tuple[str, TrainingClusterStatus]]]) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        """The metrics, one after the other."""
        pools = {
            name: GaugeMetricFamily(name, text, labels=("cluster", "pool", "gpu_type"))
            for name, text in OF_POOLS.items()
        }
        clusters = {
            name: GaugeMetricFamily(name, text, labels=("cluster",))
            for name, text in OF_CLUSTERS.items()
        }
        for cluster, status in self._told():
            reachable = any(
                each.type is ClusterConditionType.REACHABLE and each.status == "True"
                for each in status.conditions
            )
            numbers = (float(reachable), float(len(status.owed)))
            for family, number in zip(clusters.values(), numbers, strict=True):
                family.add_metric((cluster,), number)
            for pool in status.node_pools:
                counts = (
                    pool.capacity_gpus,
                    pool.free_gpus,
                    pool.reserved_gpus,
                    pool.running_runs,
                )
                for family, count in zip(pools.values(), counts, strict=True):
                    family.add_metric((cluster, pool.name, pool.gpu_type), float(count))
        yield from (*clusters.values(), *pools.values())
