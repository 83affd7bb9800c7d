"""The range of a loss at a later step: arithmetic that nothing makes fail, wider the farther ahead, and never surer than it may be."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightcompute.core.likelihood import (
    ALLOWANCE,
    FARTHEST,
    FEWEST_POINTS,
    Point,
    Range,
    _bands,
    _widened,
    fitting,
    lowest_loss,
)
from lightcompute.core.target_outlook import verdict

numbers = st.floats(allow_nan=True) | st.sampled_from([0.0, -1.0, 1e-300, 1e6, 1e308, math.inf])
hostile = st.lists(
    st.builds(Point, step=st.integers(-5, 50) | st.integers(0, 2**53), loss=numbers), max_size=40
)
tame = st.lists(
    st.builds(Point, step=st.integers(1, 1000), loss=st.floats(0.5, 10)), min_size=6, max_size=32
)


def law(a: float, b: float, c: float, *steps: int, noise: float = 0.0) -> list[Point]:
    chance = random.Random(7)
    return [Point(step=s, loss=a + b * s**-c + chance.gauss(0, noise)) for s in steps]


def expected(points: list[Point], step: int, **more: float) -> Range:
    found = lowest_loss(points, step=step, **more)
    assert found is not None
    return found


@given(hostile, st.integers(0, 2**53), st.floats(-1, 2))
@settings(max_examples=400, deadline=None)
def test_any_points_give_a_range_in_order_or_none(
    points: list[Point], step: int, fall: float
) -> None:
    found = lowest_loss(points, step=step, rate_fall=fall)
    assert found == lowest_loss(list(reversed(fitting(points))), step=step, rate_fall=fall)
    if found is None:
        return
    best = min(each.loss for each in fitting(points))
    assert 0 <= found.low <= found.high <= best
    assert math.isfinite(found.high)


@given(tame, st.floats(0.1, 10), st.floats(0, 5))
def test_an_easier_target_is_never_less_likely(
    points: list[Point], hard: float, more: float
) -> None:
    found = lowest_loss(points, step=2 * fitting(points)[-1].step)
    if found is not None:
        order = ("Unlikely", "Unclear", "Likely")
        easier, harder = verdict(found, hard + more), verdict(found, hard)
        assert order.index(easier) >= order.index(harder)


@pytest.mark.parametrize(("a", "b", "c"), [(1.2, 3.0, 0.5), (0.0, 4.0, 0.2), (2.0, 20.0, 1.0)])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_the_range_holds_the_law_that_made_the_points_and_widens_with_distance(
    a: float, b: float, c: float, noise: float
) -> None:
    points = law(a, b, c, *range(50, 501, 50), noise=noise)
    before = 0.0
    for step in (550, 650, 800, 1200, 2000, 5000):
        found = expected(points, step)
        assert found.low <= a + b * step**-c <= found.high + 0.01
        assert found.high - found.low > before
        before = found.high - found.low


@given(tame, st.floats(1.01, 4), st.floats(1.1, 2.4))
def test_neither_end_is_higher_farther_ahead(
    points: list[Point], near: float, farther: float
) -> None:
    far_apart = [Point(step=each.step * 1000, loss=each.loss) for each in points]
    newest = fitting(far_apart)[-1].step
    sooner = lowest_loss(far_apart, step=int(newest * near))
    later = lowest_loss(far_apart, step=int(newest * near * farther))
    if sooner is not None and later is not None:
        assert later.low <= sooner.low + 1e-9
        assert later.high <= sooner.high + 1e-9


@given(tame, st.floats(1.1, 2.4), st.floats(1.1, 2.4))
def test_the_range_before_it_is_cut_at_the_best_loss_is_never_narrower_farther_ahead(
    points: list[Point], near: float, farther: float
) -> None:
    known = fitting(points)
    if len(known) >= FEWEST_POINTS:
        sooner, later = (_widened(_bands(known), ratio) for ratio in (near, near * farther))
        assert later.high - later.low >= 0.99 * (sooner.high - sooner.low)


def test_too_few_points_and_too_far_a_step_give_none() -> None:
    points = law(1.0, 3.0, 0.5, *range(10, 10 * FEWEST_POINTS + 1, 10))
    newest = points[-1].step
    assert lowest_loss(points[1:], step=newest + 1) is None
    assert lowest_loss([*points[1:], points[-1]], step=newest + 1) is None, "one a step"
    assert lowest_loss(points, step=FARTHEST * newest) is not None
    assert lowest_loss(points, step=FARTHEST * newest + 1) is None


def test_a_step_that_is_scored_already_has_the_best_loss_so_far() -> None:
    points = law(1.0, 3.0, 0.5, 10, 20, 30, 40)
    best = points[-1].loss
    assert lowest_loss(points, step=40) == Range(low=best, high=best)


def test_a_curve_that_rises_stays_at_its_best() -> None:
    points = [Point(step=10 * n, loss=2.0 + 0.1 * n) for n in range(1, 11)]
    assert expected(points, 200).high == 2.1


def test_points_on_a_line_do_not_say_that_the_line_goes_on() -> None:
    points = [Point(step=100 * n, loss=4.0 - 0.2 * n) for n in range(1, 7)]
    found = expected(points, 1200)
    assert found.low < 2.0, "it may go on for a while"
    assert found.high > 2.6, "or not"


def test_a_fall_of_the_learning_rate_lowers_the_low_end_alone() -> None:
    points = law(1.2, 3.0, 0.5, *range(50, 501, 50))
    plain, falls = expected(points, 800), expected(points, 800, rate_fall=0.9)
    assert falls.high == plain.high
    assert plain.low - falls.low == pytest.approx(ALLOWANCE * 0.9 * points[-1].loss)
