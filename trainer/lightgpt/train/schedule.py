"""Muon's momentum over a run, as a pure function of the step; the learning rate is `runcontract.schedule`."""

from __future__ import annotations


def muon_momentum(*, start: float, end: float, warmup_steps: int, step: int) -> float:
    """Muon's momentum at `step`: linear from `start` to `end`, which it reaches at `warmup_steps`."""
    if step >= warmup_steps:
        return end
    return start + (end - start) * step / warmup_steps
