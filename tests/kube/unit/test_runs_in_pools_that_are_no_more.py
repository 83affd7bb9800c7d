"""Runs in pools that their TrainingCluster names no more: counted where their pods may be, and told by the name that the pool had."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from lightcompute.api.status import Place
from lightcompute.api.training_cluster import FormerPool, TrainingCluster, TrainingClusterStatus
from lightcompute.cli.cluster_pools import pool_rows
from lightcompute.core.room import Need
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.cluster_report import report
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.former_pools import former_pools, pools_for
from lightcompute.kube.holds import Hold
from lightcompute.kube.pools import pools_of
from lightcompute.kube.settings import OperatorSettings
from lightcompute.kube.stock import Count, Stock
from lightcompute.kube.worker_cluster import WorkerCluster
from support.testcluster.fleet import Pool, training_cluster

A100, L40S = "A100-80GB", "L40S"


def a_cluster(*pools: tuple[str, str]) -> TrainingCluster:
    """With pools of these names and types."""
    made = tuple(Pool(gpu_type=gpu_type, more={"name": name}) for name, gpu_type in pools)
    return TrainingCluster.model_validate(training_cluster("iad", made))


def a_hold(pool: str, gpu_type: str, *, run: str = "run-1", gpus: int = 2) -> Hold:
    place = Place(cluster="iad", region="IAD", pool=pool, gpu_type=gpu_type)
    return Hold(run_uid=run, attempt=1, place=place, need=Need(pods=1, gpus=gpus))


def a_stock(cluster: TrainingCluster, nodes: dict[str, str], gpus: int = 8) -> Stock:
    """With nodes of these types."""
    stock = Stock(cast("ClusterClient", None), pools_of(cluster), lambda: None)
    for name, gpu_type in nodes.items():
        kept = stock._kept_node(
            {
                "metadata": {"name": name, "labels": {"lightcompute.dev/gpu-type": gpu_type}},
                "status": {
                    "allocatable": {"nvidia.com/gpu": str(gpus)},
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            }
        )
        stock._node_changed(None, kept)
    return stock


@pytest.mark.parametrize(
    ("now", "counted_for"),
    [
        pytest.param([("a", A100), ("c", L40S)], (0,), id="as it was"),
        pytest.param([("c", L40S), ("a", "H100-80GB")], (1,), id="another type"),
        pytest.param([("c", L40S), ("b", A100)], (1,), id="renamed"),
        pytest.param([("b", A100), ("b2", A100)], (0, 1), id="split in two"),
        pytest.param([("c", L40S)], (), id="removed"),
    ],
)
def test_what_has_no_node_yet_is_kept_where_its_pods_may_go(
    now: list[tuple[str, str]], counted_for: tuple[int, ...]
) -> None:
    hold = a_hold("a", A100)
    pools = pools_of(a_cluster(*now))
    assert pools_for(hold.place, pools) == counted_for
    nodes = {"one": A100, "two": L40S, "three": "H100-80GB"}
    for index, count in enumerate(a_stock(a_cluster(*now), nodes).counts([hold])):
        expected = 2 if index in counted_for else 0
        assert count.reserved == expected
        assert count.room.free == max(0, count.whole.free - expected)


def test_what_has_a_node_is_counted_there_and_kept_nowhere_else() -> None:
    """The pods of a pool that was renamed hold the nodes of the new one."""
    stock = a_stock(a_cluster(("b", A100)), {"one": A100})
    pod = {
        "metadata": {
            "labels": {"lightcompute.dev/run-uid": "run-1", "lightcompute.dev/attempt": "1"}
        },
        "spec": {
            "nodeName": "one",
            "containers": [{"resources": {"limits": {"nvidia.com/gpu": "2"}}}],
        },
    }
    stock._pod_changed(None, stock._kept_pod(pod))
    (count,) = stock.counts([a_hold("a", A100)])
    assert (count.room.free, count.reserved, count.runs) == (6, 0, 0)


@pytest.mark.parametrize(
    ("others", "asked"),
    [
        pytest.param((), {"example.com/gpu": "2"}, id="alone"),
        pytest.param((L40S,), {"example.com/gpu": "2"}, id="beside a pool of another resource"),
        pytest.param((L40S,), {"nvidia.com/gpu": "2"}, id="by the pool's own name"),
        pytest.param(
            (L40S,), {"nvidia.com/gpu": "2", "example.com/nic": "8"}, id="beside other devices"
        ),
    ],
)
def test_a_gpu_is_held_by_a_pod_of_a_run_by_whatever_name_it_asked(
    others: tuple[str, ...], asked: dict[str, str]
) -> None:
    """Their pool had another `gpuResource` when its pods were made, which a pool beside it may still have."""
    pools = (
        Pool(gpu_type=A100),
        *(Pool(gpu_type=each, more={"gpuResource": "example.com/gpu"}) for each in others),
    )
    cluster = TrainingCluster.model_validate(training_cluster("iad", pools))
    stock = a_stock(cluster, {"one": A100})
    marks = {"lightcompute.dev/run-uid": "run-1", "lightcompute.dev/attempt": "1"}
    spec = {"nodeName": "one", "containers": [{"resources": {"limits": asked}}]}
    pod = {"metadata": {"labels": marks}, "spec": spec}
    stock._pod_changed(None, stock._kept_pod(pod))
    count = stock.counts([a_hold(A100.lower(), A100)])[0]
    assert (count.room.free, count.reserved, count.runs) == (6, 0, 1)
    stock._pod_changed(stock._kept_pod(pod), None)
    assert stock.counts([])[0].room.free == 8


def test_a_pod_of_nobody_holds_what_it_asked_for_alone() -> None:
    stock = a_stock(a_cluster(("a", A100)), {"one": A100})
    asked = {"resources": {"limits": {"example.com/nic": "2"}}}
    assert (
        stock._kept_pod({"metadata": {}, "spec": {"nodeName": "one", "containers": [asked]}})
        is None
    )


def test_runs_are_told_by_the_name_and_type_that_their_pool_had() -> None:
    pools = pools_of(a_cluster(("a", "H100-80GB"), ("c", L40S)))
    holds = (
        a_hold("a", A100),
        a_hold("a", A100, run="run-2", gpus=4),
        a_hold("gone", L40S, run="run-3"),
        a_hold("c", L40S, run="run-4"),
    )
    assert former_pools(pools, holds) == (
        FormerPool(name="a", gpu_type=A100, running_runs=2, gpus=6),
        FormerPool(name="gone", gpu_type=L40S, running_runs=1, gpus=2),
    )


def told(
    cluster: TrainingCluster, holds: tuple[Hold, ...], counts: tuple[Count, ...] = (), **known: Any
) -> TrainingClusterStatus:
    worker = WorkerCluster(
        cluster,
        own=cast("Site", None),
        settings=OperatorSettings(),
        origin="ours",
        wake=lambda _: None,
        changed=lambda: None,
    )
    return report(
        TrainingClusterStatus.model_validate(known),
        worker=worker,
        fault=None,
        counts=counts,
        holds=holds,
        generation=1,
        now=datetime(2030, 1, 1, tzinfo=UTC),
    )


def test_the_status_tells_of_them_and_counts_each_run_once() -> None:
    cluster, hold = a_cluster(("b", A100)), a_hold("a", A100)
    counts = a_stock(cluster, {"one": A100}).counts([hold])
    status = told(cluster, (hold,), counts)
    assert [(pool.name, pool.running_runs) for pool in status.node_pools] == [("b", 0)]
    assert [(pool.name, pool.gpus) for pool in status.former_pools] == [("a", 2)]
    assert status.running_runs == 1


def test_a_cluster_that_cannot_be_seen_is_told_as_last_seen_but_for_pools_that_are_no_more() -> (
    None
):
    seen = [
        {"name": "a", "gpuType": A100, "capacityGPUs": 8, "runningRuns": 1},
        {"name": "c", "gpuType": L40S, "capacityGPUs": 4},
    ]
    status = told(a_cluster(("b", A100), ("c", L40S)), (a_hold("a", A100),), nodePools=seen)
    assert [pool.name for pool in status.node_pools] == ["c"]
    assert (status.capacity_gpus, status.running_runs) == (4, 1)


def test_the_list_of_places_shows_them() -> None:
    cluster = training_cluster("iad", (Pool(gpu_type=L40S),))
    cluster["status"] = {"formerPools": [{"name": "a", "gpuType": A100, "runningRuns": 2}]}
    rows = [
        (row.place.pool, row.place.gpu_type, row.runs, row.state) for row in pool_rows([cluster])
    ]
    assert rows[1:] == [("a", A100, 2, "removed")]
