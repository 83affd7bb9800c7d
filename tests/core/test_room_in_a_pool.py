"""Room for pods: what is counted by hand on single nodes holds for the handful of numbers that a pool is kept as."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.core.quantity import whole
from lightcompute.core.room import Need, Room, room_of

NODES = st.lists(st.integers(0, 8), max_size=6)
NEEDS = st.builds(Need, pods=st.integers(1, 5), gpus=st.integers(1, 8))


def pods_that_fit(nodes: list[int], gpus: int) -> int:
    return sum(node // gpus for node in nodes)


@given(nodes=NODES, need=NEEDS, growth=st.integers(0, 2))
def test_it_holds_what_its_nodes_hold_one_by_one(nodes: list[int], need: Need, growth: int) -> None:
    room = room_of(nodes, growth=growth, gpus_per_node=8)
    assert room.holds(need) == (pods_that_fit(nodes + [8] * growth, need.gpus) >= need.pods)


@given(nodes=NODES, need=NEEDS, growth=st.integers(0, 2))
def test_what_is_put_in_is_missing_after_that_and_nothing_else_is(
    nodes: list[int], need: Need, growth: int
) -> None:
    room = room_of(nodes, growth=growth, gpus_per_node=8)
    left = room.without(need)
    if room.holds(need):
        before = room.free + 8 * room.growth
        assert left.free + 8 * left.growth == before - need.total
    assert all(gpus >= 0 and count > 0 for gpus, count in left.nodes)
    assert 0 <= left.growth <= growth


@given(nodes=NODES, needs=st.lists(NEEDS, max_size=6))
def test_never_more_is_put_in_than_is_free(nodes: list[int], needs: list[Need]) -> None:
    room, held = room_of(nodes), 0
    for need in needs:
        if room.holds(need):
            room, held = room.without(need), held + need.total
    assert held <= sum(nodes)


@given(nodes=NODES, need=NEEDS, more=st.integers(0, 8))
def test_another_node_never_makes_it_hold_less(nodes: list[int], need: Need, more: int) -> None:
    assert not room_of(nodes).holds(need) or room_of([*nodes, more]).holds(need)


def test_a_pod_is_put_onto_the_fullest_node_that_holds_it_and_a_new_one_last() -> None:
    room = room_of([1, 4, 8], growth=1, gpus_per_node=8)
    room = room.without(Need(pods=1, gpus=2))
    assert room.nodes == ((1, 1), (2, 1), (8, 1))
    assert room.without(Need(pods=2, gpus=8)).growth == 0


def test_a_run_without_gpus_needs_a_node_and_nothing_of_it() -> None:
    none = Need(pods=1, gpus=0)
    assert not Room().holds(none)
    assert room_of([0]).holds(none)
    assert room_of([3]).without(none) == room_of([3])


@pytest.mark.parametrize(
    ("quantity", "number"),
    [("8", 8), ("1500m", 2), ("0", 0), ("2k", 2000), ("1Ki", 1024), ("1.5", 2), ("1e3", 1000), (4, 4), ("x", 0), ("", 0)],
)  # fmt: skip
def test_a_quantity_is_read_as_kubernetes_writes_it(quantity: object, number: int) -> None:
    assert whole(quantity) == number
