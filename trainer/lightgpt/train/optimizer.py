"""The optimizer that an order describes: which parameters move how.

This is the table from roles to rules. The rules are `adamw` and `muon`; the rate over time is `schedule`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lightgpt.model.gpt import GPT
from lightgpt.model.roles import ParameterRole, parameters_by_role, stacked_rows
from lightgpt.train.adamw import AdamW, Group
from lightgpt.train.muon import Muon
from lightgpt.train.schedule import muon_momentum
from runcontract.order import Optimizer


class RunOptimizer:
    """AdamW for all parameters, or Muon for the blocks' matrices and AdamW for the rest."""

    def __init__(self, model: GPT, settings: Optimizer) -> None:
        roles = parameters_by_role(model)
        self._settings = settings
        self._parameters = [weight for named in roles.values() for _, weight in named]
        matrices = roles.pop(ParameterRole.MATRIX, []) if settings.type == "Muon" else []
        self._muon = _muon(matrices, settings, model) if matrices else None
        self._adamw = AdamW(
            [_group(role, named, settings) for role, named in roles.items() if named],
            beta1=settings.beta1,
            beta2=settings.beta2,
            epsilon=settings.epsilon,
        )

    def clip(self) -> Tensor:
        """The global gradient norm before clipping, as a scalar on the device; clips where the order says so."""
        gradients = [weight.grad for weight in self._parameters if weight.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        if self._settings.gradient_clip_norm > 0:
            nn.utils.clip_grads_with_norm_(
                self._parameters, self._settings.gradient_clip_norm, norm
            )
        return norm

    def step(self, *, factor: float, step: int) -> None:
        """Takes step number `step` (from 0) at `factor` of the peak learning rates, and forgets the gradients."""
        if self._muon is not None:
            momentum = muon_momentum(
                start=self._settings.momentum_start,
                end=self._settings.momentum,
                warmup_steps=self._settings.momentum_warmup_steps,
                step=step,
            )
            self._muon.step(factor=factor, momentum=momentum)
        self._adamw.step(factor=factor)
        for weight in self._parameters:
            weight.grad = None

    def state(self) -> dict[str, Tensor]:
        """Every tensor that the next step depends on beside the weights, by name."""
        muon = self._muon.state() if self._muon is not None else {}
        return {f"muon.{name}": tensor for name, tensor in muon.items()} | {
            f"adamw.{name}": tensor for name, tensor in self._adamw.state().items()
        }

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Copies what `state` named; raises KeyError for a tensor that is missing."""
        if self._muon is not None:
            self._muon.load_state(_below("muon.", tensors))
        self._adamw.load_state(_below("adamw.", tensors))


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _muon(matrices: list[tuple[str, nn.Parameter]], settings: Optimizer, model: GPT) -> Muon:
    return Muon(
        matrices,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        steps=settings.orthogonalization_steps,
        splits=stacked_rows(model),
    )


def _group(
    role: ParameterRole, named: list[tuple[str, nn.Parameter]], settings: Optimizer
) -> Group:
    learning_rate, weight_decay = _rule(role, settings)
    return Group(parameters=named, learning_rate=learning_rate, weight_decay=weight_decay)


def _rule(role: ParameterRole, settings: Optimizer) -> tuple[float, float]:
    """AdamW's peak learning rate and weight decay for a role."""
    tables_decay = settings.embedding_weight_decay
    if tables_decay is None:
        tables_decay = settings.weight_decay if settings.type == "AdamW" else 0.0
    rate = settings.learning_rate
    head_rate = settings.head_learning_rate or rate
    match role:
        case ParameterRole.MATRIX:
            return rate, settings.weight_decay
        case ParameterRole.EMBEDDING:
            return settings.embedding_learning_rate or rate, tables_decay
        case ParameterRole.HEAD:
            return head_rate, tables_decay
        case ParameterRole.VECTOR:
            return settings.scalar_learning_rate or head_rate, 0.0
