"""One block: attention and MLP around the residual stream, one after the other or side by side (GPT-NeoX)."""

from __future__ import annotations

from torch import Tensor, nn

from lightgpt.model.attention import Attention, Sight
from lightgpt.model.cache import LayerCache
from lightgpt.model.dropout import Dropout
from lightgpt.model.mlp import make_mlp
from lightgpt.model.norm import Norm
from lightgpt.model.parameter import unset
from runcontract.order import Model


class Block(nn.Module):
    """Reads the residual stream (with `embedding_skip`, a learned mix of it and the embedding) and adds to it."""

    def __init__(self, config: Model, *, value_vocabulary: int | None) -> None:
        super().__init__()
        self.parallel = config.parallel_residual
        self.mix = unset(2) if config.embedding_skip else None
        self.attention_norm = Norm(config)
        self.attention = Attention(config, value_vocabulary=value_vocabulary)
        self.mlp_norm = Norm(config)
        self.mlp = make_mlp(config)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        x_BTC: Tensor,
        embedded_BTC: Tensor,
        tokens_BT: Tensor,
        sight: Sight,
        cache: LayerCache | None = None,
    ) -> Tensor:
        if self.mix is not None:
            x_BTC = self.mix[0] * x_BTC + self.mix[1] * embedded_BTC
        attended_BTC: Tensor = self.dropout(
            self.attention(self.attention_norm(x_BTC), tokens_BT, sight, cache)
        )
        if self.parallel:
            thought_BTC: Tensor = self.dropout(self.mlp(self.mlp_norm(x_BTC)))
            return x_BTC + attended_BTC + thought_BTC
        x_BTC = x_BTC + attended_BTC
        thought_BTC = self.dropout(self.mlp(self.mlp_norm(x_BTC)))
        return x_BTC + thought_BTC
