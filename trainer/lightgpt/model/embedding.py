"""What enters the residual stream: the token's embedding, scaled or not, a table for pairs of tokens, and a norm over both.

Value embeddings are not here: each belongs to the attention of its layer.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightgpt.model.norm import rms_normalised
from lightgpt.model.parameter import Table
from runcontract.order import Model

_FACTOR_BEFORE = 0x9E3779B1
_FACTOR_TOKEN = 0x85EBCA77


def bigram_rows(
    tokens_BT: Tensor, before_B1: Tensor | None, *, rows: int, vocab_size: int
) -> Tensor:
    """The row of each pair (token before, token), [B, T]; the first token's partner is `before_B1`, or none.

    A table with room for all pairs gives each its own row; in a smaller one pairs share rows by a fixed hash.
    """
    if before_B1 is None:
        before_B1 = torch.full_like(tokens_BT[:, :1], vocab_size)  # a partner that no token is
    before_BT = torch.cat((before_B1, tokens_BT[:, :-1]), dim=1)
    if rows >= vocab_size * (vocab_size + 1):
        return before_BT * vocab_size + tokens_BT
    mixed_BT = (
        before_BT * _FACTOR_BEFORE + tokens_BT * _FACTOR_TOKEN
    )  # below 2^63 for any vocabulary
    return (mixed_BT ^ (mixed_BT >> 15)) % rows


class Embedding(nn.Module):
    """Tokens [B, T] to the start of the residual stream [B, T, C]."""

    def __init__(self, config: Model, vocab_size: int) -> None:
        super().__init__()
        self.vocab_size = vocab_size
        self.scale = config.embedding_size**0.5 if config.embedding_scale else 1.0
        self.token = Table(vocab_size, config.embedding_size)
        rows = config.bigram_table_size
        self.bigram = Table(rows, config.embedding_size) if rows else None
        self.norm_epsilon = config.norm_epsilon if config.embedding_norm else None

    def forward(self, tokens_BT: Tensor, before_B1: Tensor | None = None) -> Tensor:
        x_BTC: Tensor = self.token(tokens_BT)
        if self.scale != 1.0:
            x_BTC = x_BTC * self.scale
        if self.bigram is not None:
            rows = self.bigram.weight.shape[0]
            pairs_BT = bigram_rows(tokens_BT, before_B1, rows=rows, vocab_size=self.vocab_size)
            x_BTC = x_BTC + self.bigram(pairs_BT)
        return x_BTC if self.norm_epsilon is None else rms_normalised(x_BTC, self.norm_epsilon)
