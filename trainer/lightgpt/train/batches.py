"""What each forward pass of this process reads: a contiguous slice of the global batch of that pass, as tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from lightgpt.data.sampler import rank_slice
from lightgpt.data.stream import TrainingStream
from lightgpt.train.world import World


class TrainingBatches:
    """Batches as a function of the pass. Raises `ConfigurationFault` when the processes cannot share one evenly."""

    def __init__(self, stream: TrainingStream, world: World) -> None:
        self._stream = stream
        self._slice = rank_slice(stream.sampler.batch_size, rank=world.rank, world_size=world.size)
        self._device = world.device

    def __call__(self, index: int) -> tuple[Tensor, Tensor]:
        """This process's inputs and targets [B, T] of forward pass `index`."""
        inputs, targets = self._stream.batch(index, self._slice)
        return self._on_device(torch.from_numpy(inputs)), self._on_device(torch.from_numpy(targets))

    def _on_device(self, tokens_BT: Tensor) -> Tensor:
        if self._device.type == "cpu":
            return tokens_BT
        return tokens_BT.pin_memory().to(self._device, non_blocking=True)
