"""Rotary position embeddings over the first R channels of each head; the others pass (partial rotary).

Channel i is paired with channel i + R/2, as LLaMA, GPT-NeoX and Gemma have it. The tables are a function of the positions
and are made anew in each forward pass: it costs microseconds, and a model has no buffers that could be lost, saved,
broadcast or left empty on the meta device.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Rotation(NamedTuple):
    """Cosine and sine of each position's angles, [T, R/2] each."""

    cosine: Tensor
    sine: Tensor


def rotation_table(
    *, start: int, length: int, width: int, base: float, device: torch.device, dtype: torch.dtype
) -> Rotation:
    """The rotations of positions start .. start + length - 1 for R = `width` channels.

    The angles are worked out in FP32 in the order in which the published models do it, so that far positions agree too.
    """
    exponents = torch.arange(0, width, 2, device=device, dtype=torch.float32) / width
    frequencies = 1.0 / base**exponents
    positions = torch.arange(start, start + length, device=device, dtype=torch.float32)
    angles = positions[:, None] * frequencies[None, :]  # [T, R/2]
    return Rotation(angles.cos().to(dtype), angles.sin().to(dtype))


def split_and_rotated(
    qkv_BTnD: Tensor, rotation: Rotation, *, heads: int, kv_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries [B, H, T, D], keys and values [B, K, T, D] of a stacked product [B, T, H + 2K, D], the first two turned."""
    q, k, v = _SplitAndRotate.apply(qkv_BTnD, *rotation, heads, kv_heads)
    return q, k, v


class _SplitAndRotate(torch.autograd.Function):
    """Each part is copied once, into the order that attention reads, and turned where it lies."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, cosine: Tensor, sine: Tensor, heads: int, kv_heads: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(cosine, sine)
        q, k, v = (_copied(part) for part in qkv.split((heads, kv_heads, kv_heads), dim=2))
        return _turn(q, cosine, sine), _turn(k, cosine, sine), v

    @staticmethod
    def backward(
        ctx: Any, slope_q: Tensor, slope_k: Tensor, slope_v: Tensor
    ) -> tuple[Tensor, None, None, None, None]:
        cosine, sine = ctx.saved_tensors
        # The slope of a turn is the turn back.
        back = [_turn(slope.clone(), cosine, -sine) for slope in (slope_q, slope_k)]
        slopes = torch.cat([slope.transpose(1, 2) for slope in (*back, slope_v)], dim=2)
        return slopes, None, None, None, None


def _copied(part_BTnD: Tensor) -> Tensor:
    return part_BTnD.transpose(1, 2).clone(memory_format=torch.contiguous_format)  # [B, n, T, D]


def _turn(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turns the first R channels of `x` [..., T, D] in place: (a, b) to (a cos - b sin, b cos + a sin)."""
    half = cosine.shape[-1]
    turned = x[..., : 2 * half]
    swapped = torch.cat((turned[..., half:], turned[..., :half]), dim=-1)
    turned.mul_(torch.cat((cosine, cosine), dim=-1))
    turned.addcmul_(swapped, torch.cat((-sine, sine), dim=-1))
    return x
