"""The learning rate over a run, as a pure function of the step: nothing to save, nothing to restore.

`step` counts from 0 and is the step about to be taken. The warm-up reaches the peak at its last step; a decay begins at the
peak and would reach its end one step after the last, so that no step is taken with a rate of zero.
"""

from __future__ import annotations

import math

from runcontract.order import Schedule


def learning_rate_factor(schedule: Schedule, *, step: int, max_steps: int) -> float:
    """The learning rate of `step`, as a share of its peak."""
    if step < schedule.warmup_steps:
        return (step + 1) / schedule.warmup_steps
    height = _height(schedule, step, max_steps)
    return schedule.final_fraction + (1 - schedule.final_fraction) * height


def _height(schedule: Schedule, step: int, max_steps: int) -> float:
    """How far above its end the rate stands after the warm-up, from 1 to 0."""
    match schedule.type:
        case "Constant":
            return 1.0
        case "Cosine":
            share = _share_done(step, start=schedule.warmup_steps, end=max_steps)
            return (1 + math.cos(math.pi * share)) / 2
        case "WarmupStableDecay":
            start = max(max_steps * (1 - schedule.decay_fraction), schedule.warmup_steps)
            return 1 - _share_done(step, start=start, end=max_steps)


def _share_done(step: int, *, start: float, end: int) -> float:
    if step <= start:
        return 0.0
    return min((step - start) / max(end - start, 1), 1.0)
