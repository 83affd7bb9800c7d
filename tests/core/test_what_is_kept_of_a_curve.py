"""The curve in a status: bounded, of the right shape and unit, over all attempts, and the same at each look."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.foresight_of_target import MAX_POINTS, ValidationCurve
from lightcompute.core.curve import Scored, curve_told, kept, with_score
from lightcompute.testing.trainer import a_loss
from runcontract.losses import Loss, LossUnit

UNIT: LossUnit = "NatsPerCharacter"


def scored(*steps: int, height: float = 3.0) -> tuple[Scored, ...]:
    known: tuple[Scored, ...] = ()
    for step in steps:
        known = with_score(known, Scored(step=step, loss=a_loss(height - step / 100_000)))
    return known


def told(
    known: ValidationCurve | None,
    points: tuple[Scored, ...],
    attempt: int = 1,
    begun: int | None = 0,
) -> ValidationCurve:
    found = curve_told(known, points, attempt=attempt, begun=begun, unit=UNIT)
    assert found is not None
    return found


def steps(curve: ValidationCurve) -> list[int]:
    return [each.step for each in curve.points]


@given(st.lists(st.tuples(st.integers(0, 2**53), st.floats(0, 1e6)), max_size=200))
def test_never_more_points_than_the_bound_and_always_the_first_the_newest_and_the_lowest(
    raw: list[tuple[int, float]],
) -> None:
    points = sorted(dict(raw).items())
    left = kept(points)
    assert len(left) == min(len(points), MAX_POINTS)
    assert left == sorted(set(left))
    if points:
        lowest = min(loss for _, loss in points)
        assert {0, len(points) - 1} <= set(left)
        assert lowest in {points[index][1] for index in left}


def test_what_is_kept_is_spread_over_the_whole_curve() -> None:
    found = steps(told(None, scored(*range(10, 10_001, 10))))
    gaps = [after - before for before, after in pairwise(found)]
    assert len(found) == MAX_POINTS
    assert (found[0], found[-1]) == (10, 10_000)
    assert max(gaps) <= 5 * min(gaps[:-1])


def test_another_look_at_the_same_log_changes_nothing() -> None:
    first = told(None, scored(*range(10, 1001, 10)))
    assert told(first, scored(*range(10, 1001, 10))) == first
    assert told(first, scored(*range(500, 1001, 10))) == first, "the end of the log alone"
    assert told(first, ()) == first


@pytest.mark.parametrize(
    "loss", [-1.0, 1e7, float("nan"), float("inf")], ids=["negative", "huge", "nan", "infinite"]
)
def test_what_is_no_loss_is_not_kept(loss: float) -> None:
    wrong = Loss.model_construct(nats_per_token=1.0, nats_per_character=loss, bits_per_byte=1.0)
    assert with_score(scored(10), Scored(step=20, loss=wrong)) == scored(10)


def test_a_step_that_does_not_come_after_the_others_is_not_kept() -> None:
    assert [each.step for each in scored(10, 20, 20, 15, 30)] == [10, 20, 30]


def test_an_attempt_that_went_back_to_a_checkpoint_takes_later_losses_with_it() -> None:
    first = told(None, scored(10, 20, 30, 40))
    second = told(first, scored(30, 40, height=2.9), attempt=2, begun=20)
    assert steps(second) == [10, 20, 30, 40]
    assert second.points[2].loss == pytest.approx(2.8997)
    assert told(second, scored(30, 40, height=2.9), attempt=2, begun=20) == second
    assert steps(told(first, (), attempt=2, begun=20)) == [10, 20]
    assert steps(told(first, scored(35), attempt=2, begun=None)) == [10, 20, 30, 35]
    assert steps(told(first, (), attempt=2, begun=None)) == [10, 20, 30, 40], "not told yet"


def test_losses_are_in_the_unit_of_the_target_and_without_one_there_are_none() -> None:
    points = scored(10, 20)
    first = told(None, points)
    found = curve_told(first, points, attempt=1, begun=0, unit="NatsPerToken")
    assert found is not None
    assert [each.loss for each in found.points] == pytest.approx([5.9998, 5.9996], abs=1e-5)
    assert curve_told(first, points, attempt=1, begun=0, unit=None) is None
