"""An exponential moving average of the weights, beside the weights that are trained.

The average begins as a copy of the weights at its start step; before that it is the weights. It takes no part in training:
evaluation and checkpoints look through it (`swapped`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from runcontract.order import Averaging


class WeightAverage:
    """Average of a model's parameters, in their own precision (fp32)."""

    def __init__(self, model: nn.Module, settings: Averaging) -> None:
        self._weights = dict(model.named_parameters())
        self._settings = settings
        self._average = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def update(self, *, steps_done: int) -> None:
        """Takes in the weights after step number `steps_done` (from 1)."""
        begun = steps_done > self._settings.start_step
        share = 1 - self._settings.decay if begun else 1.0
        for name, average in self._average.items():
            average.lerp_(self._weights[name], share)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """The model has the averaged weights inside the block and its own again after it, to the bit."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, average in self._average.items():
            weight = self._weights[name]
            weight.data, self._average[name] = average, weight.data

    def state(self) -> dict[str, Tensor]:
        """The averaged weights themselves, by name: for a checkpoint to copy."""
        return dict(self._average)

    @torch.no_grad()
    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Copies the averaged weights that `state` named; raises KeyError for one that is missing."""
        for name, average in self._average.items():
            average.copy_(tensors[name])
