"""One optimizer step: forward and backward passes over the micro-batches, clipping, the update.

It reads nothing back from the device: loss and gradient norm stay tensors until somebody has to look.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lightgpt.model.gpt import GPT
from lightgpt.train.averaging import WeightAverage
from lightgpt.train.bfloat16 import in_bfloat16
from lightgpt.train.compiling import compile_faults, compiled
from lightgpt.train.determinism import derived_seed
from lightgpt.train.optimizer import RunOptimizer
from lightgpt.train.world import World
from runcontract.order import Training
from runcontract.schedule import learning_rate_factor

Batch = Callable[[int], tuple[Tensor, Tensor]]
"""Number of a forward pass -> this process's inputs [B, T] and targets [B, T], on the device."""


class StepOutcome(NamedTuple):
    """What a step measured, on the device; this process's share of the batch only."""

    loss: Tensor
    gradient_norm: Tensor


class _LossModule(nn.Module):
    """The loss as a module's forward pass, which is what distributed training wraps."""

    def __init__(self, model: GPT, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.model = model
        self._loss = loss

    def forward(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        return self._loss(tokens_BT, targets_BT)


def precision(training: Training, device: torch.device) -> AbstractContextManager[None]:
    """The context in which the model computes."""
    if not in_bfloat16(training, device):
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


class Stepper:
    """Takes steps. Which step is all that it is told; everything else is a function of it and the order."""

    def __init__(
        self,
        model: GPT,
        training: Training,
        *,
        world: World,
        batch: Batch,
        max_steps: int,
    ) -> None:
        self.optimizer = RunOptimizer(model, training.optimizer)
        self.average = (
            WeightAverage(model, training.averaging) if training.averaging.decay > 0 else None
        )
        self._training = training
        self._world = world
        self._batch = batch
        self._max_steps = max_steps
        loss = compiled(model.loss, world.device) if training.compile else model.loss
        self._compiles = training.compile
        self._loss: nn.Module = _LossModule(model, loss)
        if world.size > 1:
            self._loss = DistributedDataParallel(
                self._loss, broadcast_buffers=False, gradient_as_bucket_view=True
            )

    def learning_rate(self, step: int) -> float:
        """The learning rate of step number `step`, from 0."""
        return self._training.optimizer.learning_rate * self._factor(step)

    def _factor(self, step: int) -> float:
        return learning_rate_factor(self._training.schedule, step=step, max_steps=self._max_steps)

    def take(self, step: int) -> StepOutcome:
        """Takes step number `step`, from 0; raises `ConfigurationFault` when the model cannot be compiled."""
        self._loss.train()
        passes = self._training.gradient_accumulation_steps
        with compile_faults() if self._compiles else nullcontext():
            losses = [
                self._forward_backward(step * passes + index, is_last=index == passes - 1)
                for index in range(passes)
            ]
        norm = self.optimizer.clip()
        self.optimizer.step(factor=self._factor(step), step=step)
        if self.average is not None:
            self.average.update(steps_done=step + 1)
        return StepOutcome(losses[0] if passes == 1 else torch.stack(losses).sum(), norm)

    def _forward_backward(self, index: int, *, is_last: bool) -> Tensor:
        """This pass's share of the step's mean loss; its gradients are added up."""
        if self._training.model.dropout > 0:
            torch.manual_seed(derived_seed(self._training.seed, "dropout", index, self._world.rank))
        inputs_BT, targets_BT = self._batch(index)
        with self._gradients_shared(is_last=is_last):
            with precision(self._training, self._world.device):
                loss: Tensor = self._loss(inputs_BT, targets_BT)
            share = loss / self._training.gradient_accumulation_steps
            share.backward()
        return share.detach()

    def _gradients_shared(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Processes exchange gradients in the last pass of a step only."""
        if isinstance(self._loss, DistributedDataParallel) and not is_last:
            return self._loss.no_sync()
        return nullcontext()
