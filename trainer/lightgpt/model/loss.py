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

_LOGITS_A_CHUNK_ON_CPU = 8 * 2**20
"""32 MiB in FP32: the largest block that glibc's malloc reuses instead of asking the kernel for zeroed pages each time."""
_LOGITS_A_CHUNK = 128 * 2**20


def capped(logits: Tensor, softcap: float) -> Tensor:
    """The logits as softcap x tanh(logits / softcap), or as they are when it is 0."""
    return softcap * torch.tanh(logits / softcap) if softcap else logits


def rows_a_chunk(vocab_size: int, device: torch.device) -> int:
    """Positions whose logits are held at one time; a power of two, so that usual batches part evenly."""
    logits = _LOGITS_A_CHUNK_ON_CPU if device.type == "cpu" else _LOGITS_A_CHUNK
    return 1 << max((logits // vocab_size).bit_length() - 1, 4)


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
    rows = rows_a_chunk(weight_VC.shape[0], x_NC.device)
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
    x_NC = x_NC.to(working_dtype(x_NC))
    loss: Tensor = _MeanLoss.apply(x_NC, weight_VC, targets_N, softcap)
    return loss


class _MeanLoss(torch.autograd.Function):
    """Takes the gradients along with the loss, while a chunk's logits exist; backward only scales them."""

    @staticmethod
    def forward(
        ctx: Any, x_NC: Tensor, weight_VC: Tensor, targets_N: Tensor, softcap: float
    ) -> Tensor:
        w_VC = weight_VC.to(x_NC.dtype)
        scored_N1 = (targets_N != NOT_SCORED)[:, None]
        rows = rows_a_chunk(w_VC.shape[0], x_NC.device)
        chunks = zip(x_NC.split(rows), targets_N.split(rows), scored_N1.split(rows), strict=True)
        total, gradients_x, gradient_w = (
            torch.zeros_like(targets_N[0], dtype=_sum_dtype(x_NC)),
            [],
            None,
        )
        for x_nC, targets_n, scored_n1 in chunks:
            losses_n1, slope_nV = _losses_and_slope(x_nC @ w_VC.T, targets_n, softcap)
            total = total + (losses_n1 * scored_n1).sum()
            # Positions that are not scored are taken out here, where it costs no pass over the vocabulary.
            gradients_x.append((slope_nV @ w_VC) * scored_n1)
            gradient_w = _plus_product(gradient_w, slope_nV.T, x_nC * scored_n1, weight_VC.dtype)
        scored = scored_N1.sum().clamp(min=1)
        ctx.save_for_backward(torch.cat(gradients_x), gradient_w, scored)
        return total / scored

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        gradient_x, gradient_w, scored = ctx.saved_tensors
        factor = gradient / scored
        scaled = (g * factor.to(g.dtype) for g in (gradient_x, gradient_w))
        return next(scaled), next(scaled), None, None


def _plus_product(total: Tensor | None, a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """`total` + a b, summed up in place in `dtype`."""
    if total is None:
        return (a @ b).to(dtype)
    return total.addmm_(a, b) if a.dtype == dtype else total.add_(a @ b)


def _losses_and_slope(raw_nV: Tensor, targets_n: Tensor, softcap: float) -> tuple[Tensor, Tensor]:
    """Losses [n, 1] and their slope by the raw logits [n, V] (in the type of those), not yet masked."""
    index_n1 = targets_n.clamp(min=0)[:, None]
    wide_nV = raw_nV.to(_sum_dtype(raw_nV))
    tanh_nV = (wide_nV / softcap).tanh_() if softcap else None
    log_p_nV = F.log_softmax(wide_nV if tanh_nV is None else tanh_nV * softcap, dim=-1)
    losses_n1 = -log_p_nV.gather(1, index_n1)
    slope_nV = (
        log_p_nV.exp_()
    )  # in place: at this size each further tensor costs as much as its arithmetic
    slope_nV.scatter_add_(1, index_n1, torch.full_like(losses_n1, -1.0))
    if tanh_nV is not None:
        slope_nV.addcmul_(slope_nV * tanh_nV, tanh_nV, value=-1)  # times 1 - tanh^2
    return losses_n1, slope_nV.to(raw_nV.dtype)
