"""The model: embedding, blocks, final norm, output layer; logits, losses, and reading on from a cache.

Names in `state_dict` are part of the checkpoint format and stay as they are:
  embedding.token.weight [V, C]      embedding.bigram.weight [rows, C]     head.weight [V, C] (untied only)
  final_norm.gain [C]  .bias [C]     blocks.N.attention_norm.gain .bias    blocks.N.mlp_norm.gain .bias
  blocks.N.mix [2]                   blocks.N.attention.qkv.weight [(H + 2K) D, C] .bias: queries, keys, values
  blocks.N.attention.output.weight [C, H D] .bias                          blocks.N.attention.value_embedding.weight [V, K D]
  blocks.N.mlp.up.weight [M, C] .bias, or gated: blocks.N.mlp.gate_up.weight [2 M, C] .bias: gate, up
  blocks.N.mlp.down.weight [C, M] .bias

Weights are FP32. For BF16, run under torch.autocast: the residual stream and all matrix products are then BF16.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lightgpt.model import loss
from lightgpt.model.attention import Sight
from lightgpt.model.block import Block
from lightgpt.model.cache import KeyValueCache
from lightgpt.model.dropout import Dropout
from lightgpt.model.embedding import Embedding
from lightgpt.model.initialization import initialize
from lightgpt.model.norm import Norm
from lightgpt.model.parameter import Linear
from lightgpt.model.plain_attention import causal_mask
from lightgpt.model.rotary import rotation_table
from runcontract.order import Model


class GPT(nn.Module):
    """A decoder-only GPT. Its weights have no values until `initialize` or `load_state_dict`."""

    def __init__(self, config: Model, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        # What the training pass reads is kept as attributes of modules: torch.compile takes those for constants, but
        # makes symbols of values that it finds differing in other objects once a second model is compiled.
        self.rotary_width, self.rotary_base = config.rotary_width, config.rotary_base
        self.softcap = config.logit_softcap
        self.context_length = config.context_length
        self.fused = config.attention_kernel == "Fused"
        first_value_layer = config.layers - config.value_embedding_layers
        self.embedding = Embedding(config, vocab_size)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(config, value_vocabulary=vocab_size if layer >= first_value_layer else None)
            for layer in range(config.layers)
        )
        self.final_norm = Norm(config)
        self.head = (
            None
            if config.tied_embeddings
            else Linear(config.embedding_size, vocab_size, bias=False)
        )

    @property
    def parameter_count(self) -> int:
        """Learned values; a tied output layer counts once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def output_weight(self) -> Tensor:
        """The weight of the output layer [V, C]: its own, or the token embedding when tied."""
        return self.embedding.token.weight if self.head is None else self.head.weight

    def initialize(self, seed: int) -> None:
        """Gives every weight its starting value; the same seed gives the same values on every device."""
        initialize(self, self.config, seed)

    def new_cache(self, batch_size: int, max_tokens: int) -> KeyValueCache:
        """An empty cache for `batch_size` sequences of up to `max_tokens` tokens.

        Raises:
            ValueError: more tokens than the context length.
        """
        if max_tokens > self.context_length:
            raise ValueError(
                f"the cache cannot hold {max_tokens} tokens: the model's context is {self.context_length}"
            )
        return KeyValueCache(
            layers=self.config.layers, batch_size=batch_size, max_tokens=max_tokens
        )

    def forward(self, tokens_BT: Tensor, *, cache: KeyValueCache | None = None) -> Tensor:
        """Logits [B, T, V] in FP32. With a cache the tokens follow those that it holds, and are added to it.

        Raises:
            ValueError: more tokens than the context length, or than the cache has room for.
        """
        hidden_BTC = self.hidden(tokens_BT, cache=cache)
        raw_BTV = F.linear(hidden_BTC, self.output_weight)
        logits_BTV = raw_BTV.to(torch.promote_types(raw_BTV.dtype, torch.float32))
        return loss.capped(logits_BTV, self.softcap)

    def loss(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Mean nats per scored token, an FP32 scalar; targets of -1 are not scored."""
        return loss.mean_loss(
            self.hidden(tokens_BT).flatten(0, 1),
            self.output_weight,
            targets_BT.flatten(),
            self.softcap,
        )

    def token_losses(self, tokens_BT: Tensor, targets_BT: Tensor) -> Tensor:
        """Nats of each token [B, T] in FP32; 0 where the target is -1."""
        losses_N = loss.token_losses(
            self.hidden(tokens_BT).flatten(0, 1),
            self.output_weight,
            targets_BT.flatten(),
            self.softcap,
        )
        return losses_N.view(targets_BT.shape)

    def hidden(self, tokens_BT: Tensor, *, cache: KeyValueCache | None = None) -> Tensor:
        """The normalised residual stream [B, T, C] from which logits are taken."""
        if cache is not None:
            cache.check_room(tokens_BT)
        elif tokens_BT.shape[1] > self.context_length:
            raise ValueError(
                f"found {tokens_BT.shape[1]} tokens; the model's context is {self.context_length}"
            )
        x_BTC: Tensor = self.embedding(tokens_BT, cache.last_token_B1 if cache else None)
        # One type for the whole residual stream: mixed ones would be converted again in each block.
        x_BTC = self.dropout(x_BTC.to(loss.working_dtype(x_BTC)))
        embedded_BTC = x_BTC
        sight = self._sight(tokens_BT.shape[1], cache.length if cache else 0, x_BTC)
        for layer, block in enumerate(self.blocks):
            layer_cache = cache.layers[layer] if cache else None
            x_BTC = block(x_BTC, embedded_BTC, tokens_BT, sight, layer_cache)
        if cache is not None:
            cache.advance(tokens_BT)
        out_BTC: Tensor = self.final_norm(x_BTC)
        return out_BTC

    def _sight(self, tokens: int, start: int, x: Tensor) -> Sight:
        rotation = (
            rotation_table(
                start=start,
                length=tokens,
                width=self.rotary_width,
                base=self.rotary_base,
                device=x.device,
                dtype=x.dtype,
            )
            if self.rotary_width
            else None
        )
        needs_mask = self.fused and start > 0 and tokens > 1
        mask = causal_mask(queries=tokens, seen=start + tokens, like=x) if needs_mask else None
        return Sight(start, rotation, mask)
