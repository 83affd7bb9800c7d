"""How many parameters a configuration has, by arithmetic alone: estimates of cost and memory need it without torch."""

from __future__ import annotations

from runcontract.order import Model


def count_parameters(config: Model, vocab_size: int) -> int:
    """Learned values of a GPT of this configuration; a tied output layer counts once."""
    C, V = config.embedding_size, vocab_size
    kv_inner = config.key_value_heads * config.head_width
    return (
        V * C * (1 if config.tied_embeddings else 2)
        + config.bigram_table_size * C
        + config.value_embedding_layers * V * kv_inner
        + config.layers * _in_a_block(config)
        + _in_a_norm(config)
    )


def _in_a_block(config: Model) -> int:
    C, M = config.embedding_size, config.mlp_width
    inner = config.heads * config.head_width
    kv_inner = config.key_value_heads * config.head_width
    to_hidden = 2 * M if config.mlp in {"SwiGLU", "GeGLU"} else M
    return (
        2 * _in_a_norm(config)
        + (2 if config.embedding_skip else 0)
        + _in_a_linear(C, inner + 2 * kv_inner, config)
        + _in_a_linear(inner, C, config)
        + _in_a_linear(C, to_hidden, config)
        + _in_a_linear(M, C, config)
    )


def _in_a_linear(inputs: int, outputs: int, config: Model) -> int:
    return inputs * outputs + (outputs if config.bias else 0)


def _in_a_norm(config: Model) -> int:
    gain = config.norm_gain != "None"
    bias = config.bias and config.norm == "LayerNorm"
    return config.embedding_size * (gain + bias)
