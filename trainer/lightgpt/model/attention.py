"""Causal self-attention: multi-head, grouped-query or multi-query, by plain matrix products or by PyTorch's fused kernel.

The matrices of queries, keys and values are stacked in one weight, in this order: one product instead of three. An
optimizer that works on whole matrices takes them apart again (`roles.stacked_rows`).
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from lightgpt.model.cache import LayerCache
from lightgpt.model.norm import rms_normalised
from lightgpt.model.parameter import Linear, Table
from lightgpt.model.plain_attention import plain_attention
from lightgpt.model.rotary import Rotation, split_and_rotated
from runcontract.order import Model


class Sight(NamedTuple):
    """Where this pass stands in the sequences; the same for all layers."""

    start: int
    """Tokens that the cache holds already."""
    rotation: Rotation | None
    mask: Tensor | None
    """[T, S], for the fused kernel after tokens in a cache; else every kernel masks by itself."""


def fused_attention(
    q_BHTD: Tensor, k_BKSD: Tensor, v_BKSD: Tensor, mask_TS: Tensor | None
) -> Tensor:
    """As `plain_attention`, by scaled_dot_product_attention, which picks flash attention where the device has it."""
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
        if sight.rotation is None:
            q, k, v = (part.transpose(1, 2) for part in qkv.split((H, K, K), dim=2))
        else:
            q, k, v = split_and_rotated(qkv, sight.rotation, heads=H, kv_heads=K)
        if self.value_embedding is not None:
            v = v + self.value_embedding(tokens_BT).view(B, T, K, D).transpose(1, 2).to(v.dtype)
        if self.query_key_norm:
            q, k = rms_normalised(q, self.epsilon), rms_normalised(k, self.epsilon)
        if cache is not None:
            k, v = cache.extended(k, v, start=sight.start)
        y_BHTD = fused_attention(q, k, v, sight.mask) if self.fused else plain_attention(q, k, v)
        out_BTC: Tensor = self.output(y_BHTD.transpose(1, 2).reshape(B, T, H * D))
        return out_BTC
