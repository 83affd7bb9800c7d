"""Rotary position embeddings over the first R channels of each head; the others pass (partial rotary).

Channel i is paired with channel i + R/2, as LLaMA, GPT-NeoX and Gemma have it. The tables are a function of the positions
and are made anew in each forward pass: it costs microseconds, and a model has no buffers that could be lost, saved,
broadcast or left empty on the meta device.
"""

from __future__ import annotations

from typing import NamedTuple

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


def rotated(x: Tensor, rotation: Rotation) -> Tensor:
    """`x` [..., T, D] with its first R channels turned by the angles of their positions."""
    half = rotation.cosine.shape[-1]
    first, second, rest = x.split((half, half, x.shape[-1] - 2 * half), dim=-1)
    cosine, sine = rotation
    return torch.cat((first * cosine - second * sine, second * cosine + first * sine, rest), dim=-1)
