"""Where a run stands in the line: known at each look, and written with its own rounds only."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.reasons import Reason
from lightcompute.api.status import TrainingRunStatus
from lightcompute.core.decide import decide
from lightcompute.core.line import Line, Waiting
from lightcompute.core.snapshot import Standing
from lightcompute.testing.builders import NOON, RunBuilder, a_run, a_snapshot, an_offer, at

FULL = (an_offer(unavailable=Reason.NO_CAPACITY, any_placement=True),)
FREE = (an_offer(any_placement=True),)
RUNS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(-2, 2), st.integers(0, 3)), max_size=12
)


def waiting(uid: str, priority: int, age: int) -> Waiting:
    return Waiting(uid=uid, label=uid, priority=priority, since=at(age), wants=())


@given(puts=RUNS, leaves=st.lists(st.sampled_from("abcdef"), max_size=6))
def test_as_many_stand_before_a_run_as_have_a_smaller_rank(
    puts: list[tuple[str, int, int]], leaves: list[str]
) -> None:
    line, there = Line(), dict[str, Waiting]()
    for each in puts:
        run = waiting(*each)
        assert line.put(run) == there.get(run.uid)
        there[run.uid] = run
    for uid in leaves:
        assert line.leave(uid) == there.pop(uid, None)
    assert sorted(each.uid for each in line.runs) == sorted(there)
    assert len(line) == len(there)
    for run in there.values():
        assert line.ahead(run) == sum(other.rank < run.rank for other in there.values())


def looked_at(
    status: TrainingRunStatus, now: datetime, line: Standing | None, offers: object = FULL
) -> TrainingRunStatus:
    run: RunBuilder = a_run().with_status(status)
    return decide(a_snapshot(run, now=now, offers=offers, line=line)).status


def test_the_position_is_written_with_the_runs_own_round_and_not_between_rounds() -> None:
    first = looked_at(TrainingRunStatus(), NOON, Standing(position=3, length=12))
    assert (first.placement.line_position, first.placement.line_length) == (3, 12)
    between = looked_at(first, at(60), Standing(position=1, length=4))
    assert between == first
    again = looked_at(first, at(600), Standing(position=1, length=4))
    assert (again.placement.line_position, again.placement.line_length) == (1, 4)


def test_one_that_is_served_stands_in_no_line_any_more() -> None:
    first = looked_at(TrainingRunStatus(), NOON, Standing(position=3, length=12))
    served = looked_at(first, at(60), Standing(position=1, length=4), FREE)
    assert (served.placement.line_position, served.placement.line_length) == (None, None)
