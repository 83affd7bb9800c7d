"""Weights before they have values, and the linear layer made of them. How they get values is not told here.

A model is built first and then initialised or loaded. Until then its weights are NaN: a step that was forgotten shows in
the first loss, where zeros or stale memory would look like a model that learns badly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def unset(*shape: int) -> nn.Parameter:
    """A parameter of `shape` that has no value yet."""
    return nn.Parameter(torch.full(shape, math.nan))


class Linear(nn.Module):
    """y = x W^T + b. Unlike torch's own it draws no values that initialisation or loading overwrites."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = unset(outputs, inputs)
        self.bias = unset(outputs) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Table(nn.Module):
    """A row of `columns` values for each index below `rows`."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.weight = unset(rows, columns)

    def forward(self, indices: Tensor) -> Tensor:
        return F.embedding(indices, self.weight)
