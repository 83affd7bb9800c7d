"""What each forward pass of this process reads: a contiguous slice of the global batch of that pass."""

from __future__ import annotations

import torch
from torch import Tensor

from lightgpt.data.batches import batch
from lightgpt.data.prepared import PreparedData
from lightgpt.data.sampler import WindowSampler, rank_slice
from lightgpt.train.world import World
from runcontract.order import Training


class TrainingBatches:
    """Batches as a function of the pass. Raises `ConfigurationFault` when the processes cannot share one evenly."""

    def __init__(self, data: PreparedData, training: Training, world: World) -> None:
        self._context_length = training.model.context_length
        self._tokens = data.training.tokens
        self._slice = rank_slice(training.batch_size, rank=world.rank, world_size=world.size)
        self._device = world.device
        self.sampler = WindowSampler(
            tokens=len(self._tokens),
            context_length=self._context_length,
            batch_size=training.batch_size,
            seed=training.seed,
        )

    def __call__(self, index: int) -> tuple[Tensor, Tensor]:
        """This process's inputs and targets [B, T] of forward pass `index`."""
        offsets = self.sampler.offsets(index)[self._slice]
        inputs, targets = batch(self._tokens, offsets, self._context_length)
        return self._on_device(torch.from_numpy(inputs)), self._on_device(torch.from_numpy(targets))

    def _on_device(self, tokens_BT: Tensor) -> Tensor:
        if self._device.type == "cpu":
            return tokens_BT
        return tokens_BT.pin_memory().to(self._device, non_blocking=True)
