"""Normalisation of the channels: LayerNorm or RMSNorm, with a gain that is absent, multiplied, or added to one first."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from lightgpt.model.parameter import unset
from runcontract.order import Model


def rms_normalised(x: Tensor, epsilon: float) -> Tensor:
    """`x` divided by the root mean square of its last dimension; the statistics are taken in at least FP32."""
    return F.rms_norm(x, x.shape[-1:], None, epsilon)


class Norm(nn.Module):
    """One normalisation over C channels, of the kind that the configuration names."""

    def __init__(self, config: Model) -> None:
        super().__init__()
        width = config.embedding_size
        self.kind: Literal["LayerNorm", "RMSNorm"] = config.norm
        self.epsilon = config.norm_epsilon
        self.one_plus = config.norm_gain == "OnePlus"
        self.gain = None if config.norm_gain == "None" else unset(width)
        self.bias = unset(width) if config.bias and config.norm == "LayerNorm" else None

    def forward(self, x: Tensor) -> Tensor:
        gain: Tensor | None = self.gain
        if gain is not None and self.one_plus:
            gain = 1 + gain
        if self.kind == "LayerNorm":
            return F.layer_norm(x, x.shape[-1:], gain, self.bias, self.epsilon)
        normalised = rms_normalised(x, self.epsilon)
        return normalised if gain is None else normalised * gain.to(x.dtype)
