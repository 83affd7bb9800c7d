"""Pools as the status of their TrainingCluster tells them: written by the operator, which counts, and read by whoever may only read that.

Both directions are here, so that what is read back is the room that was counted. What stands in no status (a pool that took nothing
in a moment ago, what is being reserved just now) nobody but the operator knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from lightcompute.api.reasons import Reason, known_reason
from lightcompute.api.status import Place
from lightcompute.api.training_cluster import (
    MAX_NODE_COUNTS,
    NodeCount,
    NodePool,
    PoolStatus,
    TrainingCluster,
)
from lightcompute.api.words import ClusterConditionType
from lightcompute.core.market import Stall
from lightcompute.core.room import Room


def node_counts(room: Room) -> tuple[NodeCount, ...]:
    """The nodes of `room`, as a status has them. Where it has no space for all kinds, none is told with more than it has."""
    kinds = list(room.nodes)
    while len(kinds) > MAX_NODE_COUNTS:
        losses = [(gpus - fewer) * nodes for (fewer, _), (gpus, nodes) in pairwise(kinds)]
        least = losses.index(min(losses))
        (fewer, some), (_, others) = kinds[least : least + 2]
        kinds[least : least + 2] = [(fewer, some + others)]
    return tuple(NodeCount(gpus=gpus, nodes=nodes) for gpus, nodes in kinds)


def stalls_told(cluster: TrainingCluster) -> tuple[Stall, ...]:
    """Its pools, as far as its status tells."""
    shut = _shut(cluster)
    told = {pool.name: pool for pool in cluster.status.node_pools}
    return tuple(
        _stall(cluster, pool, told.get(pool.name), shut) for pool in cluster.spec.node_pools
    )


def _stall(
    cluster: TrainingCluster,
    pool: NodePool,
    told: PoolStatus | None,
    shut: tuple[Reason, str] | None,
) -> Stall:
    growth = max(0, (pool.max_nodes or 0) - (0 if told is None else told.nodes))
    return Stall(
        place=Place(
            cluster=cluster.metadata.name,
            region=cluster.spec.region,
            pool=pool.name,
            gpu_type=pool.gpu_type,
        ),
        price_per_gpu_hour=pool.price_per_gpu_hour_usd,
        gpu_resource=pool.gpu_resource,
        room=Room() if told is None else _room(pool, told.free_nodes, told.addable_nodes),
        whole=Room() if told is None else _room(pool, told.all_nodes, growth),
        reserved=0 if told is None else told.reserved_gpus,
        namespaces=cluster.spec.allowed_namespaces,
        shut=shut or _uncounted(told),
    )


def _room(pool: NodePool, nodes: Iterable[NodeCount], growth: int) -> Room:
    return Room(
        nodes=tuple((each.gpus, each.nodes) for each in nodes),
        growth=growth,
        gpus_per_node=pool.gpus_per_node,
    )


def _shut(cluster: TrainingCluster) -> tuple[Reason, str] | None:
    """Why nobody can use the cluster, in the words that the operator has for it."""
    by_type = {each.type: each for each in cluster.status.conditions}
    accepted = by_type.get(ClusterConditionType.ACCEPTED)
    reachable = by_type.get(ClusterConditionType.REACHABLE)
    if accepted is None or reachable is None:
        return Reason.CLUSTER_UNREACHABLE, "no operator has looked at it yet"
    if accepted.status != "True":
        return Reason.CLUSTER_REFUSED, f"{accepted.reason}: {accepted.message}"
    if reachable.status != "True":
        reason = known_reason(reachable.reason, Reason.CLUSTER_UNREACHABLE)
        return Reason.CLUSTER_UNREACHABLE, f"{reason}: {reachable.message}"
    return None


def _uncounted(told: PoolStatus | None) -> tuple[Reason, str] | None:
    if told is None:
        return Reason.CLUSTER_UNREACHABLE, "its nodes are not known yet"
    if told.nodes and not told.free_nodes:
        words = "its operator is of a version that does not tell which nodes have free GPUs"
        return Reason.CLUSTER_UNREACHABLE, words
    return None
