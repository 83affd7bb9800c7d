"""What the loop is made of beside steps: how it may end, whom it asks, where it writes, how it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lightgpt.train.recorder import Recorder
from lightgpt.train.requests import Requests
from lightgpt.train.saving import Saving
from runcontract.losses import Loss


class Ending(StrEnum):
    """Why the loop ended; the words are those of results."""

    MAX_STEPS = "MaxStepsReached"
    EARLY = "EarlyStopped"
    TARGET = "TargetMet"
    BUDGET = "BudgetReached"
    PREEMPTED = "Preempted"

    @property
    def is_of_the_order(self) -> bool:
        """Whether the order came to its end; the other reasons come from outside."""
        return self in {Ending.MAX_STEPS, Ending.EARLY, Ending.TARGET}


@dataclass(frozen=True, kw_only=True)
class Desk:
    """Where rank 0 records, saves, and hears what people want."""

    recorder: Recorder
    saving: Saving
    requests: Requests


class Judge(Protocol):
    """What the loop asks about the model."""

    def score(self, interrupted: Callable[[], bool]) -> Loss | None:
        """The validation loss; None when `interrupted` said so. Raises `DivergedError`."""

    def sample(self, step: int) -> str | None:
        """Text that the model writes; None where none is wanted."""

    def ends_run(self, validation: Loss) -> bool:
        """Whether the target is met and the order says to stop then."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How steps translate into what people count in."""

    epochs_per_step: float
    tokens_per_step: int

    def epoch(self, step: int) -> float:
        """Passes over the training part when `step` is done."""
        return step * self.epochs_per_step
