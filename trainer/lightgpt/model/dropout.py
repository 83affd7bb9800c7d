"""Dropout in training: each value is zeroed with probability p and the others are scaled up to keep the mean."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Dropout(nn.Module):
    """Acts in training mode only; draws from torch's global generator of the device."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p) if self.training and self.p > 0 else x
