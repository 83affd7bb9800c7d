"""AdamW over groups of parameters with learning rates of their own; PyTorch's, with a state that needs no pickle.

PyTorch keeps its state by parameter index inside nested dicts; here it goes out and comes back as named tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parameters that share a peak learning rate and a decoupled weight decay."""

    parameters: Sequence[tuple[str, nn.Parameter]]
    learning_rate: float
    weight_decay: float


class AdamW:
    """torch.optim.AdamW, one fused pass over each group."""

    def __init__(
        self, groups: Sequence[Group], *, beta1: float, beta2: float, epsilon: float
    ) -> None:
        self._names = {weight: name for group in groups for name, weight in group.parameters}
        self._peaks = [group.learning_rate for group in groups]
        self._torch = torch.optim.AdamW(
            [
                {
                    "params": [weight for _, weight in group.parameters],
                    "lr": group.learning_rate,
                    "weight_decay": group.weight_decay,
                }
                for group in groups
            ],
            betas=(beta1, beta2),
            eps=epsilon,
            fused=True,
        )
        for weight in self._names:
            self._torch.state[weight] = {
                "step": torch.zeros((), dtype=torch.float32, device=weight.device),
                "exp_avg": torch.zeros_like(weight),
                "exp_avg_sq": torch.zeros_like(weight),
            }

    def step(self, *, factor: float) -> None:
        """Moves every parameter by its gradient, at `factor` of its peak learning rate."""
        for group, peak in zip(self._torch.param_groups, self._peaks, strict=True):
            group["lr"] = peak * factor
        self._torch.step()

    def state(self) -> dict[str, Tensor]:
        """The moments themselves, by name: for a checkpoint to copy."""
        return {
            f"{name}.{moment}": self._torch.state[weight][moment]
            for weight, name in self._names.items()
            for moment in _MOMENTS
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Copies the moments that `state` named; raises KeyError for one that is missing."""
        for name, moment in self.state().items():
            moment.copy_(tensors[name])
