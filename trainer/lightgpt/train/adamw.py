"""AdamW over groups of parameters with learning rates of their own.

It calls PyTorch's fused kernel directly: torch.optim.AdamW, which does the same with it, imports the whole compiler when it is
made (5 s on two cores, more than a short run's steps). The state is named tensors, so it needs no pickle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Group:
    """Parameters that share a peak learning rate and a decoupled weight decay."""

    parameters: Sequence[tuple[str, nn.Parameter]]
    learning_rate: float
    weight_decay: float


class AdamW:
    """w <- (1 - r d) w, then w <- w - r m / (sqrt(v) + e) with the moments m and v corrected for their start at zero."""

    def __init__(
        self, groups: Sequence[Group], *, beta1: float, beta2: float, epsilon: float
    ) -> None:
        self._groups = tuple(groups)
        self._beta1, self._beta2, self._epsilon = beta1, beta2, epsilon
        self._weights = {name: weight for group in groups for name, weight in group.parameters}
        self._mean = {name: torch.zeros_like(weight) for name, weight in self._weights.items()}
        self._square = {name: torch.zeros_like(weight) for name, weight in self._weights.items()}
        # The kernel wants a step count for each parameter, beside it.
        self._steps = {
            name: torch.zeros((), dtype=torch.float32, device=weight.device)
            for name, weight in self._weights.items()
        }

    @torch.no_grad()
    def step(self, *, factor: float) -> None:
        """Moves every parameter by its gradient, at `factor` of its peak learning rate."""
        for group in self._groups:
            names = [name for name, _ in group.parameters]
            steps = [self._steps[name] for name in names]
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                [weight for _, weight in group.parameters],
                [_gradient(name, weight) for name, weight in group.parameters],
                [self._mean[name] for name in names],
                [self._square[name] for name in names],
                [],
                steps,
                lr=group.learning_rate * factor,
                beta1=self._beta1,
                beta2=self._beta2,
                weight_decay=group.weight_decay,
                eps=self._epsilon,
                amsgrad=False,
                maximize=False,
            )

    def state(self) -> dict[str, Tensor]:
        """Moments and counts themselves, by name: for a checkpoint to copy."""
        kinds = {"mean": self._mean, "square": self._square, "step": self._steps}
        return {
            f"{name}.{kind}": tensors[name]
            for name in self._weights
            for kind, tensors in kinds.items()
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Copies what `state` named; raises KeyError for a tensor that is missing."""
        for name, tensor in self.state().items():
            tensor.copy_(tensors[name])


def _gradient(name: str, weight: nn.Parameter) -> Tensor:
    assert weight.grad is not None, f"{name} has no gradient"
    return weight.grad
