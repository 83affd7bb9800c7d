"""The MLPs: two matrices around GELU or squared ReLU, and the gated ones of LLaMA (SwiGLU) and Gemma (GeGLU).

A gated MLP keeps its two input matrices stacked in one weight, gate first: one product instead of two.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from lightgpt.model.parameter import Linear
from runcontract.order import Model


class MLP(nn.Module):
    """C -> M -> C with an elementwise function between."""

    def __init__(self, config: Model) -> None:
        super().__init__()
        self.squared_relu = config.mlp == "ReLUSquared"
        self.up = Linear(config.embedding_size, config.mlp_width, bias=config.bias)
        self.down = Linear(config.mlp_width, config.embedding_size, bias=config.bias)

    def forward(self, x_BTC: Tensor) -> Tensor:
        hidden_BTM: Tensor = self.up(x_BTC)
        hidden_BTM = F.relu(hidden_BTM).square() if self.squared_relu else F.gelu(hidden_BTM)
        out_BTC: Tensor = self.down(hidden_BTM)
        return out_BTC


class GatedMLP(nn.Module):
    """C -> M twice; one half, through SiLU or GELU (tanh form), gates the other; then M -> C."""

    def __init__(self, config: Model) -> None:
        super().__init__()
        self.gate: Literal["SwiGLU", "GeGLU"] = "SwiGLU" if config.mlp == "SwiGLU" else "GeGLU"
        self.gate_up = Linear(config.embedding_size, 2 * config.mlp_width, bias=config.bias)
        self.down = Linear(config.mlp_width, config.embedding_size, bias=config.bias)

    def forward(self, x_BTC: Tensor) -> Tensor:
        gate_BTM, up_BTM = self.gate_up(x_BTC).chunk(2, dim=-1)
        if self.gate == "SwiGLU":
            gate_BTM = F.silu(gate_BTM)
        else:
            gate_BTM = F.gelu(gate_BTM, approximate="tanh")
        out_BTC: Tensor = self.down(gate_BTM * up_BTM)
        return out_BTC


def make_mlp(config: Model) -> MLP | GatedMLP:
    """The MLP that the configuration names."""
    return GatedMLP(config) if config.mlp in {"SwiGLU", "GeGLU"} else MLP(config)
