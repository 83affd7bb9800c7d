"""Runs in pools that their TrainingCluster names no more: a pool may be removed or renamed, or get another type, while runs live in it.

Such a run goes on. What its pods hold is counted on the nodes that they are on, whatever pool these belong to now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lightcompute.api.status import Place
from lightcompute.api.training_cluster import MAX_POOLS, FormerPool
from lightcompute.kube.holds import Hold
from lightcompute.kube.pools import Pool


def is_in(place: Place, pool: Pool) -> bool:
    """Whether `place` is `pool`, as it is named now."""
    return (place.pool, place.gpu_type) == (pool.place.pool, pool.place.gpu_type)


def pools_for(place: Place, pools: tuple[Pool, ...]) -> tuple[int, ...]:
    """Those of `pools` whose nodes pods for `place` may yet take: the one of its name, or else all of its type of GPU.

    Of a pool that was renamed nothing tells which one it became, and pods that have no node yet are given up after a while.
    """
    named = tuple(index for index, pool in enumerate(pools) if pool.place.pool == place.pool)
    alike = (index for index, pool in enumerate(pools) if pool.place.gpu_type == place.gpu_type)
    return named or tuple(alike)


def former_pools(pools: tuple[Pool, ...], holds: Iterable[Hold]) -> tuple[FormerPool, ...]:
    """What is held in places that are none of `pools`, by name and type."""
    runs: Counter[tuple[str, str]] = Counter()
    gpus: Counter[tuple[str, str]] = Counter()
    for hold in holds:
        if not any(is_in(hold.place, pool) for pool in pools):
            key = hold.place.pool, hold.place.gpu_type
            runs[key] += 1
            gpus[key] += hold.need.total
    return tuple(
        FormerPool(name=name, gpu_type=gpu_type, running_runs=runs[name, gpu_type], gpus=gpus[name, gpu_type])
        for name, gpu_type in sorted(runs)[:MAX_POOLS]
    )  # fmt: skip
