"""What the loop knows at a step beside tensors: where it stands, what it has seen, what was best.

It goes into each checkpoint as JSON. Python writes a float with all the digits that tell it from its neighbours, so sums come
back to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from runcontract.losses import Loss

MOST_HISTORY = 1000
"""Evaluations that a checkpoint tells of, the newest ones."""


class Evaluation(NamedTuple):
    """One validation loss and its step."""

    step: int
    validation: Loss


@dataclass(kw_only=True)
class RunningMean:
    """Sum and count of losses since somebody last looked."""

    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    def mean(self) -> float | None:
        """The mean, or None of nothing."""
        return self.total / self.count if self.count else None

    def take(self) -> float | None:
        """The mean; counting starts anew."""
        mean = self.mean()
        self.total, self.count = 0.0, 0
        return mean


@dataclass(kw_only=True)
class LoopState:
    """The loop's memory.

    `loss`, `gradient_norm` and `learning_rate` are the newest step's; `validation` is the newest loss and `evaluated_step` its
    step; `recorded_step` is that of the newest row of metrics.
    """

    step: int = 0
    loss: float = 0.0
    gradient_norm: float = 0.0
    learning_rate: float = 0.0
    recorded_step: int | None = None
    row_losses: RunningMean = field(default_factory=RunningMean)
    evaluation_losses: RunningMean = field(default_factory=RunningMean)
    training_loss: float | None = None
    validation: Loss | None = None
    evaluated_step: int | None = None
    best_validation: Loss | None = None
    best_step: int | None = None
    patience_reference: float | None = None
    stale_evaluations: int = 0
    history: tuple[Evaluation, ...] = ()

    def document(self) -> dict[str, Any]:
        """The state as JSON types, without the history, which readers of checkpoints look for beside it."""
        document = asdict(self)
        del document["history"]
        for key in ("validation", "best_validation"):
            loss = getattr(self, key)
            document[key] = None if loss is None else loss.document()
        return document

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], *, history: tuple[Evaluation, ...]
    ) -> LoopState:
        """The state that `document()` wrote; raises KeyError, TypeError or ValueError for anything else."""
        names = {entry.name for entry in fields(cls)} - {"history"}
        values: dict[str, Any] = {name: document[name] for name in names} | {"history": history}
        for key in ("row_losses", "evaluation_losses"):
            values[key] = RunningMean(**values[key])
        for key in ("validation", "best_validation"):
            values[key] = None if values[key] is None else Loss.model_validate(values[key])
        return cls(**values)

    def note_step(self, *, loss: float, gradient_norm: float, learning_rate: float) -> None:
        """Takes in what a step measured."""
        self.loss, self.gradient_norm, self.learning_rate = loss, gradient_norm, learning_rate
        self.row_losses.add(loss)
        self.evaluation_losses.add(loss)

    def note_evaluation(self, validation: Loss, *, min_delta: float) -> bool:
        """Takes in a validation loss at the present step; whether it is the best so far.

        Patience counts evaluations since the loss last fell by more than `min_delta` below the one that patience was last
        renewed at: many falls that are too small together count as one.
        """
        self.validation = validation
        self.evaluated_step = self.step
        self.training_loss = self.evaluation_losses.take()
        self.history = (*self.history, Evaluation(self.step, validation))[-MOST_HISTORY:]
        loss = validation.nats_per_token
        is_best = self.best_validation is None or loss < self.best_validation.nats_per_token
        if is_best:
            self.best_validation, self.best_step = validation, self.step
        if self.patience_reference is None or loss < self.patience_reference - min_delta:
            self.patience_reference, self.stale_evaluations = loss, 0
        else:
            self.stale_evaluations += 1
        return is_best
