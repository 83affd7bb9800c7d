"""Muon: momentum whose every step is an orthogonal matrix, for the matrices inside the blocks.

For each matrix W [rows, columns] with gradient G, at learning rate r:
    M <- m M + (1 - m) G                     momentum, m warmed up by the schedule
    N  = m M + (1 - m) G                     Nesterov's look ahead
    W <- (1 - r d) W                         weight decay, decoupled
    W <- W - r sqrt(max(1, rows / columns)) polar(N)
The root makes the change of an output the same for tall matrices as for square ones (Jordan 2024, Bernstein 2025), so one
learning rate serves all shapes. Matrices of one shape are handled as one stack: a few large products in place of many small ones.

A parameter that holds several matrices one above the other (queries, keys and values in one) is parted first, since the
orthogonal factor of a stack is not the stack of the factors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from lightgpt.train.polar import orthogonalize

MOMENTUM = "momentum"


class Muon:
    """Muon over named matrices; its state is one momentum buffer for each, in fp32."""

    def __init__(
        self,
        parameters: Sequence[tuple[str, nn.Parameter]],
        *,
        learning_rate: float,
        weight_decay: float,
        steps: int,
        splits: Mapping[str, Sequence[int]] | None = None,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        """`splits` gives, for a parameter of several matrices, the rows of each."""
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self._steps = steps
        self._dtype = dtype
        self._parameters = dict(parameters)
        self._momentum = {name: torch.zeros_like(weight) for name, weight in parameters}
        self._pieces = _pieces_by_shape(self._parameters, splits or {})

    @torch.no_grad()
    def step(self, *, factor: float, momentum: float) -> None:
        """Moves every matrix by its gradient, at `factor` of the peak learning rate."""
        rate = self.learning_rate * factor
        ahead = {name: self._look_ahead(name, momentum) for name in self._parameters}
        for weight in self._parameters.values():
            weight.mul_(1 - rate * self.weight_decay)
        for (rows, columns), pieces in self._pieces.items():
            stack = torch.stack(
                [ahead[name][top : top + rows] for name, top in pieces]
            )  # [N, rows, columns]
            moves = orthogonalize(stack, steps=self._steps, dtype=self._dtype)
            scale = rate * math.sqrt(max(1.0, rows / columns))
            for (name, top), move in zip(pieces, moves, strict=True):
                self._parameters[name][top : top + rows].sub_(move, alpha=scale)

    def _look_ahead(self, name: str, momentum: float) -> Tensor:
        """Nesterov's direction for one parameter, in the precision of the iterations; advances its momentum."""
        gradient = self._parameters[name].grad
        assert gradient is not None, f"{name} has no gradient"
        buffer = self._momentum[name].lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum).to(self._dtype)

    def state(self) -> dict[str, Tensor]:
        """The buffers themselves, by name: for a checkpoint to copy."""
        return {f"{name}.{MOMENTUM}": buffer for name, buffer in self._momentum.items()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Copies the buffers that `state` named; raises KeyError for one that is missing."""
        for name, buffer in self._momentum.items():
            buffer.copy_(tensors[f"{name}.{MOMENTUM}"])


def _pieces_by_shape(
    parameters: Mapping[str, nn.Parameter], splits: Mapping[str, Sequence[int]]
) -> dict[tuple[int, int], list[tuple[str, int]]]:
    """Shape -> the matrices of that shape, each as (parameter, first row)."""
    found: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for name, weight in parameters.items():
        top = 0
        for rows in splits.get(name, (weight.size(0),)):
            found.setdefault((rows, weight.size(1)), []).append((name, top))
            top += rows
        assert top == weight.size(0), f"the parts of {name} have {top} rows of {weight.size(0)}"
    return found
