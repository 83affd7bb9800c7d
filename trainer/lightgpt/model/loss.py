"""Cross-entropy straight from the last hidden states, without ever holding all N x V logits.

Logits of a 16,000-token vocabulary are the largest tensor of a small model by far: 262 MB a copy for 32 x 128 tokens, and
the textbook way holds four such copies. Here a chunk of rows is taken to its logits, its losses and, when training, its
gradients, before the next one begins: the same three matrix products, bounded memory, and passes that stay in the cache.

Under autocast the products are in its type; softmax and sums are in FP32 (FP64 for FP64 weights).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

NOT_SCORED = -1
"""Target of a position that counts for nothing."""

_LOGITS_A_CHUNK = 16 * 2**20


def capped(logits: Tensor, softcap: float) -> Tensor:
    """The logits as softcap x tanh(logits / softcap), or as they are when it is 0."""
    return softcap * torch.tanh(logits / softcap) if softcap else logits


def rows_a_chunk(vocab_size: int) -> int:
    """Positions whose logits are held at one time."""
    return max(_LOGITS_A_CHUNK // vocab_size, 64)


def working_dtype(x: Tensor) -> torch.dtype:
    """The type of matrix products here: autocast's where it is on, else that of `x`."""
    kind = x.device.type
    if x.is_meta or not torch.is_autocast_enabled(kind):  # autocast knows no meta device
        return x.dtype
    return torch.get_autocast_dtype(kind)


def _sum_dtype(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def token_losses(x_NC: Tensor, weight_VC: Tensor, targets_N: Tensor, softcap: float) -> Tensor:
    """The loss of each position [N] in nats, 0 where it is not scored. Differentiable, chunk by chunk."""
    dtype = working_dtype(x_NC)
    x_NC, weight_VC = x_NC.to(dtype), weight_VC.to(dtype)
    rows = rows_a_chunk(weight_VC.shape[0])
    losses = []
    for x_nC, targets_n in zip(x_NC.split(rows), targets_N.split(rows), strict=True):
        logits_nV = capped((x_nC @ weight_VC.T).to(_sum_dtype(x_nC)), softcap)
        losses.append(
            F.cross_entropy(logits_nV, targets_n, ignore_index=NOT_SCORED, reduction="none")
        )
    return torch.cat(losses)


def mean_loss(x_NC: Tensor, weight_VC: Tensor, targets_N: Tensor, softcap: float) -> Tensor:
    """The mean loss of the scored positions in nats; 0 when none is scored."""
    if not torch.is_grad_enabled():
        scored = (targets_N != NOT_SCORED).sum().clamp(min=1)
        return token_losses(x_NC, weight_VC, targets_N, softcap).sum() / scored
    dtype = working_dtype(x_NC)
    loss: Tensor = _MeanLoss.apply(x_NC.to(dtype), weight_VC.to(dtype), targets_N, softcap)
    return loss


class _MeanLoss(torch.autograd.Function):
    """Takes the gradients along with the loss, while a chunk's logits exist; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any, x_NC: Tensor, weight_VC: Tensor, targets_N: Tensor, softcap: float
    ) -> Tensor:
        rows = rows_a_chunk(weight_VC.shape[0])
        total = torch.zeros((), dtype=_sum_dtype(x_NC), device=x_NC.device)
        gradient_x, gradient_weight = [], None
        for x_nC, targets_n in zip(x_NC.split(rows), targets_N.split(rows), strict=True):
            loss, slope_nV = _chunk(x_nC @ weight_VC.T, targets_n, softcap)
            scored_n1 = (targets_n != NOT_SCORED)[:, None]
            total = total + loss
            # Positions that are not scored are taken out here, where it costs no pass over the vocabulary.
            gradient_x.append((slope_nV @ weight_VC) * scored_n1)
            part = slope_nV.T @ (x_nC * scored_n1)
            gradient_weight = (
                part if gradient_weight is None else gradient_weight.to(total.dtype) + part
            )
        scored = (targets_N != NOT_SCORED).sum().clamp(min=1)
        ctx.save_for_backward(torch.cat(gradient_x), gradient_weight, scored)
        return total / scored

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        gradient_x, gradient_weight, scored = ctx.saved_tensors
        factor = gradient / scored
        return (
            gradient_x * factor.to(gradient_x.dtype),
            gradient_weight * factor.to(gradient_weight.dtype),
            None,
            None,
        )


def _chunk(raw_nV: Tensor, targets_n: Tensor, softcap: float) -> tuple[Tensor, Tensor]:
    """Sum of the losses, and their slope by the raw logits (in the type of those), not yet masked."""
    logits_nV = capped(raw_nV.to(_sum_dtype(raw_nV)), softcap)
    log_p_nV = F.log_softmax(logits_nV, dim=-1)
    scored_n = targets_n != NOT_SCORED
    index_n1 = targets_n.clamp(min=0)[:, None]
    loss = -(log_p_nV.gather(1, index_n1)[:, 0] * scored_n).sum()
    slope_nV = log_p_nV.exp()
    slope_nV = slope_nV.scatter_add(1, index_n1, torch.full_like(log_p_nV[:, :1], -1.0))
    if softcap:
        slope_nV = slope_nV * (1 - (logits_nV / softcap).square())
    return loss, slope_nV.to(raw_nV.dtype)
