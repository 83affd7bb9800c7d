"""Who may take what is free: by priority, then by age, and nobody is starved by those behind."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.status import Place
from lightcompute.core.line import Pools, Waiting, Want, line_up
from lightcompute.core.room import Need, room_of
from lightcompute.testing.builders import at

NAMES = ("a", "b", "c")


def place(name: str) -> Place:
    return Place(cluster="ord", region="US-ORD1", pool=name, gpu_type="L40S")


def waiting(
    uid: str, *wants: str, pods: int = 1, gpus: int = 1, priority: int = 0, since: float = 0
) -> Waiting:
    need = Need(pods=pods, gpus=gpus)
    return Waiting(
        uid=uid,
        label=f"team/{uid}",
        priority=priority,
        since=at(since),
        wants=tuple(Want(place=place(name), need=need) for name in wants),
    )


def pools(**free: list[int]) -> Pools:
    """Pools with so many GPUs free on each of their nodes, which have 8."""
    return Pools(
        rooms={place(name): room_of(nodes) for name, nodes in free.items()},
        whole={place(name): room_of([8] * len(nodes)) for name, nodes in free.items()},
    )


def granted(runs: list[Waiting], there: Pools) -> dict[str, str | None]:
    turns = line_up(runs, there).turns
    return {uid: None if turn.granted is None else turn.granted.pool for uid, turn in turns.items()}


def test_the_older_is_served_before_the_younger_and_priority_before_age() -> None:
    runs = [
        waiting("young", "a", since=20),
        waiting("old", "a", since=10),
        waiting("urgent", "a", since=30, priority=5),
    ]
    assert granted(runs, pools(a=[2])) == {"urgent": "a", "old": "a", "young": None}


def test_each_takes_the_first_place_of_its_own_order_that_has_room() -> None:
    runs = [waiting(str(number), "a", "b", "c", since=number) for number in range(4)]
    assert granted(runs, pools(a=[1], b=[1], c=[1])) == {"0": "a", "1": "b", "2": "c", "3": None}


def test_small_runs_never_starve_a_large_one() -> None:
    large = waiting("large", "a", gpus=8, since=0)
    small = [waiting(f"small-{number}", "a", since=number) for number in range(1, 5)]
    plan = line_up([*small, large], pools(a=[4]))
    assert granted([*small, large], pools(a=[4])) == dict.fromkeys(
        ["large", "small-1", "small-2", "small-3", "small-4"]
    )
    assert plan.turns["small-1"].behind == {place("a"): "team/large"}


def test_a_run_that_fits_nowhere_keeps_nothing_from_others() -> None:
    giant = waiting("giant", "a", gpus=8, pods=2)
    assert granted([giant, waiting("small", "a", since=1)], pools(a=[4])) == {
        "giant": None,
        "small": "a",
    }


def test_a_large_run_keeps_one_place_and_leaves_the_others() -> None:
    large = waiting("large", "a", "b", gpus=8)
    small = waiting("small", "a", "b", since=1)
    assert granted([large, small], pools(a=[4], b=[4])) == {"large": None, "small": "b"}


RUNS = st.lists(
    st.tuples(
        st.integers(-1, 1),
        st.integers(0, 5),
        st.integers(1, 3),
        st.integers(1, 8),
        st.permutations(NAMES).flatmap(
            lambda order: st.integers(1, 3).map(lambda count: order[:count])
        ),
    ),
    max_size=8,
)
FREE = st.fixed_dictionaries({name: st.lists(st.integers(0, 8), max_size=3) for name in NAMES})


def made(described: list[tuple[int, int, int, int, list[str]]]) -> list[Waiting]:
    return [
        waiting(str(number), *wants, pods=pods, gpus=gpus, priority=priority, since=since)
        for number, (priority, since, pods, gpus, wants) in enumerate(described)
    ]


@given(described=RUNS, free=FREE, seed=st.integers(0, 99))
def test_the_order_in_which_runs_are_looked_at_does_not_matter(
    described: list[tuple[int, int, int, int, list[str]]], free: dict[str, list[int]], seed: int
) -> None:
    runs = made(described)
    shuffled = random.Random(seed).sample(runs, len(runs))
    assert line_up(runs, pools(**free)).turns == line_up(shuffled, pools(**free)).turns


@given(described=RUNS, free=FREE)
def test_never_more_is_granted_than_is_free(
    described: list[tuple[int, int, int, int, list[str]]], free: dict[str, list[int]]
) -> None:
    runs = {run.uid: run for run in made(described)}
    left = {name: sum(nodes) for name, nodes in free.items()}
    for uid, name in granted(list(runs.values()), pools(**free)).items():
        if name is not None:
            left[name] -= runs[uid].wants[0].need.total
    assert min(left.values()) >= 0


@given(described=RUNS, free=FREE)
def test_a_better_place_is_passed_over_only_with_a_reason(
    described: list[tuple[int, int, int, int, list[str]]], free: dict[str, list[int]]
) -> None:
    plan = line_up(made(described), pools(**free))
    for run in made(described):
        turn = plan.turns[run.uid]
        for want in run.wants:
            if want.place == turn.granted:
                break
            assert want.place in turn.behind


@given(described=RUNS, free=FREE, name=st.sampled_from(NAMES))
def test_another_node_never_makes_the_first_in_the_line_worse_off(
    described: list[tuple[int, int, int, int, list[str]]], free: dict[str, list[int]], name: str
) -> None:
    runs = sorted(made(described), key=lambda run: run.rank)
    if not runs:
        return
    more = {**free, name: [*free[name], 8]}
    order = [want.place.pool for want in runs[0].wants]
    before, after = (granted(runs, pools(**each))[runs[0].uid] for each in (free, more))
    rank = {pool: number for number, pool in enumerate(order)} | {None: len(order)}
    assert rank[after] <= rank[before]


def test_one_that_comes_later_joins_the_plan_as_it_would_have_been_from_the_start() -> None:
    first, second = waiting("first", "a"), waiting("second", "a", since=1)
    plan = line_up([first], pools(a=[2]))
    assert plan.is_behind_all(second)
    plan.add(second)
    assert plan.turns == line_up([first, second], pools(a=[2])).turns
    assert not plan.is_behind_all(waiting("urgent", "a", since=2, priority=1))
