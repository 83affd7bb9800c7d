"""Causal attention written out as matrix products, with its slopes: the kernel `Plain`.

Queries are taken in blocks, and a block reads only the keys that its last query may see: half of the scores of a long
sequence are never made. The slopes are written out too, because autograd would pad each block's part of the keys and
values to full length before adding it. Measured on a CPU, 8 x 256 tokens and 6 heads of 64, forward and backward: about
half the time of PyTorch's fused kernel in BF16, about the same in FP32. On a GPU take the fused one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

QUERIES_A_BLOCK = 128


def plain_attention(q_BHTD: Tensor, k_BKSD: Tensor, v_BKSD: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(D)) v over what each query may see, [B, H, T, D].

    The T queries are the last of the S tokens. The G = H / K queries of a group share their keys uncopied.
    """
    B, H, T, D = q_BHTD.shape
    K, S = k_BKSD.shape[1:3]
    q = q_BHTD.reshape(B * K, H // K, T, D)
    k, v = k_BKSD.reshape(B * K, S, D), v_BKSD.reshape(B * K, S, D)
    y: Tensor = _Attend.apply(q, k, v)
    return y.view(B, H, T, D)


class _Attend(torch.autograd.Function):
    """q [n, G, T, D], k and v [n, S, D] with n = B K, to y [n, G, T, D]."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        y = torch.empty_like(q, memory_format=torch.contiguous_format)
        kept = []
        for first, last, seen in _blocks(q, k):
            rows = q[:, :, first:last].flatten(1, 2)  # [n, G t, D]
            weights = _scores(rows, k[:, :seen], last - first).softmax(dim=-1)
            y[:, :, first:last] = torch.bmm(weights, v[:, :seen]).view_as(y[:, :, first:last])
            kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept)
        return y

    @staticmethod
    def backward(ctx: Any, slope_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v, *kept = ctx.saved_tensors
        scale = q.shape[-1] ** -0.5
        slope_q = torch.empty_like(q, memory_format=torch.contiguous_format)
        slope_k: Tensor | None = None
        slope_v: Tensor | None = None
        # The last block sees all keys, so it makes what the others add to: a product that adds to a part of a tensor is twice as slow.
        blocks = list(zip(_blocks(q, k), kept, strict=True))
        for (first, last, seen), weights in reversed(blocks):
            rows = q[:, :, first:last].flatten(1, 2)
            slope = slope_y[:, :, first:last].flatten(1, 2)
            slope_v = _plus(slope_v, torch.bmm(weights.transpose(1, 2), slope))
            slope_weights = torch.bmm(slope, v[:, :seen].transpose(1, 2))
            slope_scores = torch.ops.aten._softmax_backward_data(  # noqa: SLF001
                slope_weights, weights, -1, weights.dtype
            )
            slope_q[:, :, first:last] = torch.bmm(slope_scores, k[:, :seen]).view_as(
                slope_q[:, :, first:last]
            )
            slope_k = _plus(slope_k, torch.bmm(slope_scores.transpose(1, 2), rows))
        assert slope_k is not None
        assert slope_v is not None
        return slope_q.mul_(scale), slope_k.mul_(scale), slope_v


def _plus(total: Tensor | None, part: Tensor) -> Tensor:
    """`total` with `part` added to its first rows; `part` itself where there is none yet."""
    if total is None:
        return part
    total[:, : part.shape[1]].add_(part)
    return total


def _blocks(q: Tensor, k: Tensor) -> list[tuple[int, int, int]]:
    """For each block of queries: its first, its end, and how many keys its last query sees."""
    queries, tokens = q.shape[2], k.shape[1]
    ends = [min(first + QUERIES_A_BLOCK, queries) for first in range(0, queries, QUERIES_A_BLOCK)]
    starts = range(0, queries, QUERIES_A_BLOCK)
    return [(a, b, tokens - queries + b) for a, b in zip(starts, ends, strict=True)]


def _scores(rows: Tensor, keys: Tensor, queries: int) -> Tensor:
    """Q k^T / sqrt(D) of a block, [n, G t, s], -inf at keys that are later than the query."""
    scale, seen = rows.shape[-1] ** -0.5, keys.shape[1]
    if queries == 1:
        return torch.bmm(rows, keys.transpose(1, 2)).mul_(scale)
    mask = causal_mask(queries=queries, seen=seen, like=rows)
    mask = mask.repeat(rows.shape[1] // queries, 1)  # [G t, s]
    return torch.baddbmm(mask, rows, keys.transpose(1, 2), alpha=scale)


def causal_mask(*, queries: int, seen: int, like: Tensor) -> Tensor:
    """[T, S] to be added to scores: 0 where the last `queries` of `seen` tokens may look, -inf at later tokens."""
    mask = torch.full((queries, seen), -torch.inf, device=like.device, dtype=like.dtype)
    return mask.triu(seen - queries + 1)
