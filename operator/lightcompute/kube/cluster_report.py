"""What is told of a TrainingCluster in its status, from what is known of it: conditions, pools, totals. It asks nobody.

What only jitters (a latency) is told as before, so that nothing is written while nothing changes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from lightcompute.api.reasons import Reason
from lightcompute.api.training_cluster import (
    ClusterCondition,
    PoolStatus,
    TrainingClusterStatus,
)
from lightcompute.api.words import ClusterConditionType
from lightcompute.core.text import cut
from lightcompute.core.told_pools import node_counts
from lightcompute.kube.former_pools import former_pools
from lightcompute.kube.holds import Hold
from lightcompute.kube.stock import Count
from lightcompute.kube.worker_cluster import Reach, WorkerCluster

_Answer = tuple[Literal["True", "False", "Unknown"], Reason, str]


def report(
    known: TrainingClusterStatus,
    *,
    worker: WorkerCluster | None,
    fault: tuple[Reason, str] | None,
    counts: tuple[Count, ...],
    holds: tuple[Hold, ...],
    generation: int,
    now: datetime,
) -> TrainingClusterStatus:
    """The status after `known`; `holds` are what runs hold in the cluster.

    `worker` is None for a cluster whose spec cannot be read; `fault` says what is wrong with the spec.
    """
    reach = Reach() if worker is None else worker.reach
    pools = () if worker is None else _pools(worker, counts, known)
    former = () if worker is None else former_pools(worker.pools, holds)
    answers = {
        ClusterConditionType.ACCEPTED: _accepted(fault),
        ClusterConditionType.REACHABLE: _reachable(worker),
        ClusterConditionType.POOLS_MATCH: _pools_match(worker),
    }
    return TrainingClusterStatus(
        observed_generation=generation,
        conditions=tuple(
            _condition(known, type_, answer, generation=generation, now=now)
            for type_, answer in answers.items()
        ),
        cluster_uid=known.cluster_uid or ("" if worker is None else worker.uid),
        version=reach.version,
        latency_milliseconds=_latency(known.latency_milliseconds, reach.latency_milliseconds),
        capacity_gpus=sum(pool.capacity_gpus for pool in pools),
        free_gpus=sum(pool.free_gpus for pool in pools),
        reserved_gpus=sum(pool.reserved_gpus for pool in pools),
        running_runs=sum(pool.running_runs for pool in pools)
        + sum(pool.running_runs for pool in former),
        node_pools=pools,
        former_pools=former,
        owed=known.owed,
    )


def tells_but_nodes(known: TrainingClusterStatus, status: TrainingClusterStatus) -> bool:
    """Whether `status` says no more than that the free GPUs of `known`, as many as before, are on other nodes."""
    return status.model_copy(update={"node_pools": tuple(map(_summed, status.node_pools))}) == (
        known.model_copy(update={"node_pools": tuple(map(_summed, known.node_pools))})
    )


def _summed(pool: PoolStatus) -> PoolStatus:
    return pool.model_copy(update={"free_nodes": ()})


def _pools(
    worker: WorkerCluster, counts: tuple[Count, ...], known: TrainingClusterStatus
) -> tuple[PoolStatus, ...]:
    """As counted; as last seen where the cluster cannot be seen."""
    if not counts and not worker.reach.answers:
        named = {(pool.place.pool, pool.place.gpu_type) for pool in worker.pools}
        return tuple(pool for pool in known.node_pools if (pool.name, pool.gpu_type) in named)
    return tuple(
        PoolStatus(
            name=pool.place.pool,
            gpu_type=pool.place.gpu_type,
            nodes=count.nodes,
            capacity_gpus=count.capacity,
            free_gpus=count.room.free,
            reserved_gpus=count.reserved,
            running_runs=count.runs,
            free_nodes=node_counts(count.room),
            all_nodes=node_counts(count.whole),
            addable_nodes=count.room.growth,
        )
        for pool, count in zip(worker.pools, counts, strict=False)
    )


def _accepted(fault: tuple[Reason, str] | None) -> _Answer:
    if fault is not None:
        return "False", *fault
    return "True", Reason.CLUSTER_ACCEPTED, Reason.CLUSTER_ACCEPTED.sentence


def _reachable(worker: WorkerCluster | None) -> _Answer:
    if worker is None:
        return "Unknown", Reason.CLUSTER_REFUSED, "its spec cannot be read"
    reach = worker.reach
    if reach.answers:
        return "True", reach.reason, reach.message
    syncing = reach.reason is Reason.CLUSTER_SYNCING
    return "Unknown" if syncing else "False", reach.reason, reach.message


def _latency(known: int | None, now: int | None) -> int | None:
    """What is told of the latency: as before, unless it is another by far."""
    if known is None or now is None:
        return now
    return known if known <= 4 * now and now <= 4 * known else now


def _pools_match(worker: WorkerCluster | None) -> _Answer:
    if worker is None or worker.stock is None or not worker.stock.is_synced:
        return "Unknown", Reason.CLUSTER_SYNCING, "its nodes are not known yet"
    overlap = worker.stock.overlaps()
    if overlap is not None:
        names, nodes = overlap
        return "False", Reason.POOLS_OVERLAP, f"{nodes} nodes match the selectors of {names}"
    empty = worker.stock.empty_pools()
    if empty:
        return "False", Reason.POOL_EMPTY, f"no node matches the selector of {', '.join(empty)}"
    return "True", Reason.POOLS_MATCH, Reason.POOLS_MATCH.sentence


def _condition(
    known: TrainingClusterStatus,
    type_: ClusterConditionType,
    answer: _Answer,
    *,
    generation: int,
    now: datetime,
) -> ClusterCondition:
    status, reason, message = answer
    before = next((each for each in known.conditions if each.type is type_), None)
    same = before is not None and before.status == status
    return ClusterCondition(
        type=type_,
        status=status,
        reason=reason.value,
        message=cut(message),
        observed_generation=generation,
        last_transition_time=before.last_transition_time
        if same and before
        else now.replace(microsecond=0),
    )
