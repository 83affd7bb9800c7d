"""The validation losses that are kept of a run: few enough for a status, and still the shape of the curve.

Of one attempt only later steps are added, so that what was thinned out does not come back when the same log is looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightcompute.api.foresight_of_target import MAX_POINTS, ValidationCurve, ValidationPoint
from lightcompute.core.likelihood import MAX_LOSS
from runcontract.losses import Loss, LossUnit


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The validation loss at a step, as one attempt told it."""

    step: int
    loss: Loss


def with_score(known: tuple[Scored, ...], new: Scored) -> tuple[Scored, ...]:
    """`known` and `new`, where that is a loss and comes after them; thinned out."""
    values = (new.loss.nats_per_token, new.loss.nats_per_character, new.loss.bits_per_byte)
    if not all(0 <= value <= MAX_LOSS for value in values):
        return known
    if known and new.step <= known[-1].step:
        return known
    longer = (*known, new)
    left = kept([(each.step, each.loss.nats_per_token) for each in longer])
    return tuple(longer[index] for index in left)


def curve_told(
    known: ValidationCurve | None,
    scored: tuple[Scored, ...],
    *,
    attempt: int,
    begun: int | None,
    unit: LossUnit | None,
) -> ValidationCurve | None:
    """`known` with what `attempt`, the newest, tells, in the `unit` of the target; None without one.

    It began from the step `begun`, as far as is known, and does later steps again: of other attempts only those before it remain.
    """
    if unit is None:
        return None
    if known is not None and known.unit != unit:
        known = None
    points = known.points if known is not None else ()
    if known is not None and known.attempt != attempt:
        if begun is None and scored:
            begun = scored[0].step - 1
        points = tuple(each for each in points if begun is None or each.step <= begun)
    newest = points[-1].step if points else -1
    added = tuple(
        ValidationPoint(step=each.step, loss=float(f"{each.loss.in_unit(unit):.6g}"))
        for each in scored
        if each.step > newest
    )
    if not added and (known is None or points == known.points):
        return known
    longer = (*points, *added)
    left = kept([(each.step, each.loss) for each in longer])
    return ValidationCurve(
        unit=unit, attempt=attempt, points=tuple(longer[index] for index in left)
    )


def kept(points: Sequence[tuple[int, float]], most: int = MAX_POINTS) -> list[int]:
    """Of `points`, which are steps in rising order and losses, the indices of `most` that are kept.

    The first, the newest and the lowest always are; of the others those go first that leave the smallest gap.
    """
    left = list(range(len(points)))
    while len(left) > most:
        lowest = min(left, key=lambda index: points[index][1])
        gaps = [
            (points[after][0] - points[before][0], place)
            for place, (before, after) in enumerate(zip(left, left[2:], strict=False), start=1)
            if left[place] != lowest
        ]
        del left[min(gaps)[1]]
    return left
