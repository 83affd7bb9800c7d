"""Where a curve of losses is likely to be at a later step: a range, by power laws fitted to what was reported. Arithmetic alone.

Losses of language models fall about as `a + b x step^-c`, but a curve's beginning fixes neither `a` nor `c`: very different laws fit it
alike and part later. So no single fit is believed. For each of a few exponents c, from a square root that never slows down over the
logarithm (c = 0) to a fall that is soon over, a and b follow by least squares in closed form, over all points and over the newest ones.
The range is from the lowest to the highest of these: those that fit about as well as the best, and of the newest points all usual ones,
since some points on a line do not say that the line goes on. Both ends have twice the scatter of the points beside them. A falling
learning rate lowers a loss below what its law says (models of annealing add a term in the rate for that); for the fall that is
still ahead the low end has an allowance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST_POINTS = 4
"""Two numbers are fitted for each exponent; with fewer points than this nothing is left over to tell how well."""
FARTHEST = 10
"""Times the newest step, up to which a curve is extrapolated."""
MAX_LOSS = 1e6
"""What is larger is no loss."""
ALLOWANCE = 0.15
"""Share of the loss that a fall of the learning rate from its peak to nothing may take off beside the law; 12 % was seen, with a high peak."""

_USUAL = (0.0, 0.25, 0.5, 1.0, 2.0)
_EXPONENTS = (-0.5, *_USUAL, 3.0)
_LEAST_SCATTER = 0.002
"""As a share of the loss: points that lie on a law more exactly than this do so by chance."""
_TOLERANCE = 4.0
"""A law is about as good as the best while the sum of its squared residuals is larger by less than this many variances."""
_SCATTERS = 2.0
_NODE = 1.2
"""Ratio of the steps at which the range is followed on its way."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A loss at a step, in any unit."""

    step: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class Range:
    """From the lowest to the highest loss that is to be expected."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class _Law:
    """`a + b x basis(step / newest step)`, which never rises."""

    exponent: float
    a: float
    b: float
    squares: float
    """Sum of squared residuals."""

    def at(self, ratio: float) -> float:
        return self.a + self.b * _basis(ratio, self.exponent)


@dataclass(frozen=True, kw_only=True)
class _Band:
    """Laws about as good as each other, and how far points lie from them."""

    laws: tuple[_Law, ...]
    scatter: float


def fitting(points: Sequence[Point]) -> tuple[Point, ...]:
    """Of `points` those that can be fitted, in the order of their steps: from step 1 on, losses that are losses, one a step."""
    good = {each.step: each for each in points if each.step >= 1 and 0 <= each.loss <= MAX_LOSS}
    return tuple(good[step] for step in sorted(good))


def lowest_loss(points: Sequence[Point], *, step: int, rate_fall: float = 0.0) -> Range | None:
    """Range of the lowest loss that will have been seen when `step` is scored; None where the points are too few or `step` too far.

    `rate_fall` is what is still ahead at the newest point of the fall of the learning rate until `step`, 1 for all of it.
    """
    known = fitting(points)
    if len(known) < FEWEST_POINTS or step > FARTHEST * known[-1].step:
        return None
    best = min(each.loss for each in known)
    if step <= known[-1].step:
        return Range(low=best, high=best)
    expected = _widened(_bands(known), step / known[-1].step)
    low = expected.low - ALLOWANCE * min(max(rate_fall, 0.0), 1.0) * known[-1].loss
    return Range(low=min(max(low, 0.0), best), high=min(max(expected.high, 0.0), best))


def _widened(bands: Sequence[_Band], ratio: float) -> Range:
    """The range at `ratio`, at least as wide as on the way there: where laws cross, nothing is known better than before."""
    found = _range(bands, ratio)
    nodes = math.ceil(math.log(ratio) / math.log(_NODE)) + 1
    on_the_way = (_range(bands, _NODE**node) for node in range(nodes))
    widest = max(each.high - each.low for each in on_the_way)
    return Range(low=min(found.low, found.high - widest), high=found.high)


def _range(bands: Sequence[_Band], ratio: float) -> Range:
    ends = [
        (law.at(ratio) - _SCATTERS * band.scatter, law.at(ratio) + _SCATTERS * band.scatter)
        for band in bands
        for law in band.laws
    ]
    return Range(low=min(low for low, _ in ends), high=max(high for _, high in ends))


def _bands(known: Sequence[Point]) -> tuple[_Band, ...]:
    """Of all points, of the newest two thirds and of the newest half: early steps follow no law."""
    return tuple(
        _band(known[-count:], newest=count == min(_counts(len(known))))
        for count in _counts(len(known))
    )


def _counts(points: int) -> tuple[int, ...]:
    least = FEWEST_POINTS
    return tuple(sorted({points, max(-(-2 * points // 3), least), max(-(-points // 2), least)}))


def _band(part: Sequence[Point], *, newest: bool) -> _Band:
    laws = tuple(_law(part, exponent) for exponent in _EXPONENTS)
    chance = len(part) * (_LEAST_SCATTER * part[-1].loss) ** 2
    best = min(law.squares for law in laws) + chance
    variance = best / (len(part) - 2)
    good = best + _TOLERANCE * variance
    kept = (
        law for law in laws if law.squares + chance <= good or (newest and law.exponent in _USUAL)
    )
    return _Band(laws=tuple(kept), scatter=math.sqrt(variance))


def _law(part: Sequence[Point], exponent: float) -> _Law:
    """By least squares, with b and, where the law has a floor, a not below zero."""
    last = part[-1].step
    heights = [_basis(each.step / last, exponent) for each in part]
    losses = [each.loss for each in part]
    mean_height, mean_loss = sum(heights) / len(part), sum(losses) / len(part)
    spread = sum((height - mean_height) ** 2 for height in heights)
    common = sum(
        (height - mean_height) * (loss - mean_loss)
        for height, loss in zip(heights, losses, strict=True)
    )
    b = max(common / spread, 0.0) if spread > 0 else 0.0
    a = mean_loss - b * mean_height
    if exponent > 0 and a < 0:
        b = _product(heights, losses) / _product(heights, heights)
        a = 0.0
    residuals = [loss - a - b * height for height, loss in zip(heights, losses, strict=True)]
    return _Law(exponent=exponent, a=a, b=b, squares=_product(residuals, residuals))


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def _basis(ratio: float, exponent: float) -> float:
    """Falls with `ratio`, whatever the exponent: a power, the logarithm, or a root."""
    if exponent == 0:
        return -math.log(ratio)
    return math.copysign(ratio**-exponent, exponent)
