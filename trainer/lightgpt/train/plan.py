"""At which steps something happens: a pure reading of the order, once the size of an epoch is known."""

from __future__ import annotations

from dataclasses import dataclass

from lightgpt.data.sampler import WindowSampler
from lightgpt.train.metrics import row_interval
from runcontract.order import Checkpoints, Training

EVALUATIONS = 10
"""Evaluations of a run whose order does not say how often."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Steps are counted when they are done: step 1 is the first. One of the `save_every` is None."""

    max_steps: int
    evaluate_every: int
    save_every: int | None
    save_every_s: int | None
    row_every: int

    def evaluates(self, step: int) -> bool:
        """Whether the validation part is scored after `step`."""
        return step > 0 and (step % self.evaluate_every == 0 or step >= self.max_steps)

    def saves(self, step: int) -> bool:
        """Whether a checkpoint is saved after `step`, whatever the clock says."""
        by_steps = self.save_every is not None and step % self.save_every == 0
        return step > 0 and (by_steps or step >= self.max_steps)

    def has_row(self, step: int) -> bool:
        """Whether `metrics.csv` has a row for `step`."""
        return step > 0 and (step % self.row_every == 0 or self.evaluates(step))


def make_plan(training: Training, checkpoints: Checkpoints, sampler: WindowSampler) -> Plan:
    """The plan of an order over the training part that `sampler` reads."""
    passes = training.gradient_accumulation_steps
    steps_per_epoch = sampler.steps_per_epoch(passes)
    max_steps = training.max_steps or sampler.steps_for_epochs(training.max_epochs or 1, passes)
    evaluation = training.evaluation
    evaluate_every = _interval(
        evaluation.every_steps, evaluation.every_epochs, steps_per_epoch
    ) or -(-max_steps // EVALUATIONS)
    save_every = _interval(checkpoints.every_steps, checkpoints.every_epochs, steps_per_epoch)
    return Plan(
        max_steps=max_steps,
        evaluate_every=evaluate_every,
        save_every=None if checkpoints.every_seconds else save_every or evaluate_every,
        save_every_s=checkpoints.every_seconds,
        row_every=row_interval(max_steps),
    )


def _interval(steps: int | None, epochs: int | None, steps_per_epoch: int) -> int | None:
    return epochs * steps_per_epoch if epochs is not None else steps
