"""The orthogonal factor of a matrix, nearly, by matrix products alone: what Muon moves weights along.

For G = U S V^T it gives about U V^T. Each iteration applies an odd polynomial to the singular values, X <- aX + bAX + cA^2 X
with A = X X^T, that drives all of them towards 1. The coefficients are those of Polar Express (Amsel, Persson, Musco, Gower
2025, "The Polar Express: Optimal Matrix Sign Methods"), each optimal for the interval that the one before left over; after
the fifth, their limit, the Pade form of Newton-Schulz. Singular values far below the largest stay below 1: five iterations are
enough for training and no exact decomposition.
"""

from __future__ import annotations

import torch
from torch import Tensor

COEFFICIENTS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
LIMIT = (15 / 8, -10 / 8, 3 / 8)
_SAFETY = 1.02
"""The norm is overestimated by this: rounding in bfloat16 must not push a singular value out of the interval."""


def orthogonalize(matrices: Tensor, *, steps: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """About U V^T for each matrix of a stack [N, rows, columns], computed and returned in `dtype`; zero stays zero."""
    x = matrices.to(dtype)
    wide = x.size(-2) <= x.size(-1)
    x = x if wide else x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * _SAFETY + 1e-6)
    for index in range(steps):
        a, b, c = COEFFICIENTS[index] if index < len(COEFFICIENTS) else LIMIT
        gram = (
            x @ x.mT
        )  # [N, short, short]: the short side, so the products are as small as they can be
        mix = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, mix, x, beta=a)
    return x if wide else x.mT
