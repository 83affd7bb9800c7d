"""The pools of a cluster's TrainingClusters, as `lightcompute clusters` shows them: by their spec and what the operator told of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from lightcompute.api.status import Place
from lightcompute.api.training_cluster import TrainingCluster
from lightcompute.api.words import ClusterConditionType
from lightcompute.cli.target import PoolRow
from lightcompute.kube.client import Document


def pool_rows(documents: Iterable[Document]) -> Iterator[PoolRow]:
    """A row for each pool; one for a TrainingCluster that cannot be read."""
    for document in documents:
        try:
            cluster = TrainingCluster.model_validate_json(json.dumps(document))
        except ValidationError:
            place = Place(cluster=str(document["metadata"]["name"])[:63])
            yield PoolRow(place=place, state="unreadable")
            continue
        yield from _rows(cluster)


def _rows(cluster: TrainingCluster) -> Iterator[PoolRow]:
    known = {pool.name: pool for pool in cluster.status.node_pools}
    state = _state(cluster)
    for pool in cluster.spec.node_pools:
        told = known.get(pool.name)
        yield PoolRow(
            place=Place(
                cluster=cluster.metadata.name,
                region=cluster.spec.region,
                pool=pool.name,
                gpu_type=pool.gpu_type,
            ),
            gpus=None if told is None else told.capacity_gpus,
            free=None if told is None else told.free_gpus,
            reserved=None if told is None else told.reserved_gpus,
            runs=0 if told is None else told.running_runs,
            price_per_gpu_hour=pool.price_per_gpu_hour_usd,
            state=state,
        )
    for former in cluster.status.former_pools:
        yield PoolRow(
            place=Place(
                cluster=cluster.metadata.name,
                region=cluster.spec.region,
                pool=former.name,
                gpu_type=former.gpu_type,
            ),
            runs=former.running_runs,
            state="removed",
        )


def _state(cluster: TrainingCluster) -> str:
    """The reason of the first answer that is not as it should be."""
    by_type = {condition.type: condition for condition in cluster.status.conditions}
    for type_ in ClusterConditionType:
        condition = by_type.get(type_)
        if condition is None:
            return "not looked at yet"
        if condition.status != "True":
            return condition.reason
    return "ok"
