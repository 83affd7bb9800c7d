"""A pool as the status of its TrainingCluster tells it: read back, it is the room that was counted, and never more."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.reasons import Reason
from lightcompute.api.training_cluster import (
    MAX_NODE_COUNTS,
    NodeCount,
    PoolStatus,
    TrainingCluster,
)
from lightcompute.core.market import Stall
from lightcompute.core.room import Need, Room, room_of
from lightcompute.core.told_pools import node_counts, stalls_told

FEW_KINDS = st.lists(st.integers(0, MAX_NODE_COUNTS - 1), min_size=1, max_size=40)
MANY_KINDS = st.lists(st.integers(0, 200), min_size=30, max_size=60)
GOOD = (
    ("Accepted", "True", "ClusterAccepted"),
    ("Reachable", "True", "ClusterAnswers"),
    ("PoolsMatch", "True", "PoolsMatch"),
)


def a_cluster(
    *pools: dict[str, Any], conditions: tuple[tuple[str, str, str], ...] = GOOD, **spec: Any
) -> TrainingCluster:
    pool = {"name": "a", "gpuType": "L40S", "gpusPerNode": 8, "pricePerGPUHourUSD": "1.00"}
    moment = datetime(2030, 1, 1, tzinfo=UTC).isoformat()
    told = [
        {"type": type_, "status": status, "reason": reason, "message": "so", "lastTransitionTime": moment}
        for type_, status, reason in conditions
    ]  # fmt: skip
    return TrainingCluster.model_validate(
        {
            "metadata": {"name": "ord"},
            "spec": {
                "region": "US-ORD1",
                "connection": {"inCluster": True},
                "nodePools": [pool | {"maxNodes": 5}],
            }
            | spec,
            "status": {"conditions": told, "nodePools": list(pools)},
        }
    )


def the_stall(cluster: TrainingCluster) -> Stall:
    (stall,) = stalls_told(cluster)
    return stall


def told(room: Room, whole: Room, **more: Any) -> dict[str, Any]:
    status = PoolStatus(
        name="a",
        nodes=sum(count for _, count in whole.nodes),
        free_nodes=node_counts(room),
        all_nodes=node_counts(whole),
        addable_nodes=room.growth,
        **more,
    )
    return status.model_dump(mode="json", by_alias=True)


@given(free=FEW_KINDS, growth=st.integers(0, 3))
def test_what_is_read_back_is_what_was_counted(free: list[int], growth: int) -> None:
    room = room_of(free, growth=growth, gpus_per_node=8)
    whole = room_of([8] * len(free), growth=max(0, 5 - len(free)), gpus_per_node=8)
    stall = the_stall(a_cluster(told(room, whole)))
    assert (stall.room, stall.whole) == (room, whole)
    assert stall.shut is None


@given(free=MANY_KINDS, pods=st.integers(1, 5), gpus=st.integers(1, 64))
def test_of_more_kinds_than_are_listed_none_is_told_with_more_than_it_has(
    free: list[int], pods: int, gpus: int
) -> None:
    room, need = room_of(free), Need(pods=pods, gpus=gpus)
    rows = node_counts(room)
    back = the_stall(a_cluster(told(room, room))).room
    assert back is not None
    assert len(rows) <= MAX_NODE_COUNTS
    assert sum(row.nodes for row in rows) == len(free)
    assert [row.gpus for row in rows] == sorted({row.gpus for row in rows})
    assert room.holds(need) or not back.holds(need)


def test_the_kinds_that_are_listed_together_are_those_that_lose_least() -> None:
    room = Room(nodes=(*((10 * kind, 5) for kind in range(MAX_NODE_COUNTS)), (191, 1)))
    assert node_counts(room)[-1] == NodeCount(gpus=190, nodes=6)


@pytest.mark.parametrize(
    ("conditions", "reason", "words"),
    [
        ((), Reason.CLUSTER_UNREACHABLE, "no operator has looked at it yet"),
        (
            (("Accepted", "False", "UnknownGPUType"), GOOD[1], GOOD[2]),
            Reason.CLUSTER_REFUSED,
            "UnknownGPUType: so",
        ),
        (
            (GOOD[0], ("Reachable", "False", "NoAnswer"), GOOD[2]),
            Reason.CLUSTER_UNREACHABLE,
            "NoAnswer: so",
        ),
    ],
)
def test_a_cluster_that_cannot_be_used_says_why(
    conditions: tuple[tuple[str, str, str], ...], reason: Reason, words: str
) -> None:
    room = room_of([8])
    assert the_stall(a_cluster(told(room, room), conditions=conditions)).shut == (reason, words)


def test_a_pool_of_which_nothing_is_told_yet_takes_nobody() -> None:
    stall = the_stall(a_cluster())
    assert stall.shut == (Reason.CLUSTER_UNREACHABLE, "its nodes are not known yet")


def test_a_status_that_does_not_say_which_nodes_are_free_is_not_taken_for_a_full_pool() -> None:
    pool = {"name": "a", "nodes": 2, "capacityGPUs": 16, "freeGPUs": 16}
    shut = the_stall(a_cluster(pool)).shut
    assert shut is not None
    assert "version" in shut[1]


def test_who_may_use_it_and_at_what_price_come_from_its_spec() -> None:
    stall = the_stall(a_cluster(told(room_of([8]), room_of([8])), allowedNamespaces=["team-a"]))
    assert (stall.namespaces, stall.price_per_gpu_hour) == (("team-a",), 1_000_000)
