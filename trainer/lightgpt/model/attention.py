"""Causal self-attention: multi-head, grouped-query or multi-query, by plain matrix products or by PyTorch's fused kernel.

The matrices of queries, keys and values are stacked in one weight, in this order: one product instead of three. An
optimizer that works on whole matrices takes them apart again (`roles.stacked_rows`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightgpt.model.cache import LayerCache
from lightgpt.model.norm import rms_normalised
from lightgpt.model.parameter import Linear, Table
from lightgpt.model.rotary import Rotation, rotated
from runcontract.order import Model


class Sight(NamedTuple):
    """Where this pass stands in the sequences; the same for all layers."""

    start: int
    """Tokens that the cache holds already."""
    rotation: Rotation | None
    mask: Tensor | None
    """[T, S], added to scores. None: the fused kernel masks by itself, or one query sees everything."""


def plain_attention(
    q_BHTD: Tensor, k_BKSD: Tensor, v_BKSD: Tensor, mask_TS: Tensor | None
) -> Tensor:
    """softmax(q k^T / sqrt(D) + mask) v written out, [B, H, T, D]. The queries of a group share their keys uncopied."""
    B, H, T, D = q_BHTD.shape
    K, S = k_BKSD.shape[1:3]
    groups = H // K
    q = q_BHTD.reshape(B * K, groups * T, D)
    k = k_BKSD.reshape(B * K, S, D)
    v = v_BKSD.reshape(B * K, S, D)
    if mask_TS is None:
        scores = torch.bmm(q, k.transpose(1, 2)) * D**-0.5
    else:
        mask = mask_TS.repeat(groups, 1) if groups > 1 else mask_TS  # [G T, S]
        scores = torch.baddbmm(mask.to(q.dtype), q, k.transpose(1, 2), alpha=D**-0.5)
    weights = scores.softmax(dim=-1)  # [B K, G T, S]
    return torch.bmm(weights, v).view(B, H, T, D)


def fused_attention(
    q_BHTD: Tensor, k_BKSD: Tensor, v_BKSD: Tensor, mask_TS: Tensor | None
) -> Tensor:
    """The same by scaled_dot_product_attention, which picks flash attention where the device has it."""
    queries, seen = q_BHTD.shape[2], k_BKSD.shape[2]
    return F.scaled_dot_product_attention(
        q_BHTD,
        k_BKSD,
        v_BKSD,
        attn_mask=None if mask_TS is None else mask_TS.to(q_BHTD.dtype),
        is_causal=mask_TS is None and queries == seen and queries > 1,
        enable_gqa=q_BHTD.shape[1] != k_BKSD.shape[1],
    )


class Attention(nn.Module):
    """One layer's attention; `value_vocabulary` is given for layers with a value embedding."""

    def __init__(self, config: Model, *, value_vocabulary: int | None = None) -> None:
        super().__init__()
        self.heads = config.heads
        self.kv_heads = config.key_value_heads
        self.width = config.head_width
        self.epsilon = config.norm_epsilon
        self.query_key_norm = config.query_key_norm
        self.fused = config.attention_kernel == "Fused"
        inner, kv_inner = self.heads * self.width, self.kv_heads * self.width
        self.qkv = Linear(config.embedding_size, inner + 2 * kv_inner, bias=config.bias)
        self.output = Linear(inner, config.embedding_size, bias=config.bias)
        self.value_embedding = (
            None if value_vocabulary is None else Table(value_vocabulary, kv_inner)
        )

    def forward(
        self, x_BTC: Tensor, tokens_BT: Tensor, sight: Sight, cache: LayerCache | None = None
    ) -> Tensor:
        B, T, _ = x_BTC.shape
        H, K, D = self.heads, self.kv_heads, self.width
        qkv = self.qkv(x_BTC).view(B, T, H + 2 * K, D)
        qk, v = qkv.split((H + K, K), dim=2)
        if self.value_embedding is not None:
            v = v + self.value_embedding(tokens_BT).view(B, T, K, D).to(v.dtype)
        qk, v = qk.transpose(1, 2), v.transpose(1, 2)  # [B, H + K, T, D], [B, K, T, D]
        if sight.rotation is not None:
            qk = rotated(qk, sight.rotation)
        if self.query_key_norm:
            qk = rms_normalised(qk, self.epsilon)
        q, k = qk.split((H, K), dim=1)
        if cache is not None:
            k, v = cache.extended(k, v, start=sight.start)
        kernel = fused_attention if self.fused else plain_attention
        y_BHTD = kernel(q, k, v, sight.mask)
        out_BTC: Tensor = self.output(y_BHTD.transpose(1, 2).reshape(B, T, H * D))
        return out_BTC
