"""The checkpoints that simulated attempts have left, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from lightcompute.core.revise import revised
from lightcompute.testing.tending import SimulatedUpkeep, Written
from lightcompute.testing.trainer import SimulatedAttempt, kept
from runcontract.results import KeptCheckpoint

__all__ = ["Written", "inventory", "whole_steps", "written"]
_KEPT = 3


def written(attempts: Mapping[int, SimulatedAttempt], now: datetime) -> Written:
    """The newest checkpoints at `now`."""
    by_step = {
        step: number for number, each in sorted(attempts.items()) for step in each.saved_steps(now)
    }
    return {step: by_step[step] for step in sorted(by_step)[-_KEPT:]}


def whole_steps(there: Written, upkeep: SimulatedUpkeep | None) -> list[int]:
    """Those that a trainer can go on from, oldest first."""
    return [step for step in sorted(there) if upkeep is None or not upkeep.is_broken(step, there)]


def inventory(there: Written, upkeep: SimulatedUpkeep | None) -> tuple[KeptCheckpoint, ...]:
    """As they are told: whole by the trainer's own word, until somebody judged them."""
    return tuple(_told(step, there, upkeep) for step in sorted(there))


def _told(step: int, there: Written, upkeep: SimulatedUpkeep | None) -> KeptCheckpoint:
    if upkeep is None or (there[step], step) not in upkeep.judged:
        return kept(step)
    broken = upkeep.is_broken(step, there)
    return revised(kept(step), verified=not broken, verdict="Invalid" if broken else "Valid")
