"""Which published family a configuration expresses, and that family's own configuration document.

A family is a set of demands on the configuration, written as a table; a configuration that meets all of a family's demands
computes exactly what the family's reference model computes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from runcontract.faults import ConfigurationFault, Fault
from runcontract.order import Model


class Family(StrEnum):
    """The families of Hugging Face transformers that ours can be exchanged with, by their `model_type`."""

    LLAMA = "llama"
    NEOX = "gpt_neox"
    GEMMA = "gemma"


_EVERY_FAMILY = {
    "query_key_norm": False,
    "logit_softcap": 0.0,
    "embedding_skip": False,
    "embedding_norm": False,
    "bigram_table_size": 0,
    "value_embedding_layers": 0,
}
_DEMANDS: dict[Family, dict[str, object]] = {
    Family.LLAMA: _EVERY_FAMILY
    | {"norm": "RMSNorm", "norm_gain": "Multiply", "mlp": "SwiGLU", "rotary_fraction": 1.0}
    | {"parallel_residual": False, "embedding_scale": False},
    Family.NEOX: _EVERY_FAMILY
    | {"norm": "LayerNorm", "norm_gain": "Multiply", "mlp": "GELU", "bias": True}
    | {"embedding_scale": False},
    Family.GEMMA: _EVERY_FAMILY
    | {"norm": "RMSNorm", "norm_gain": "OnePlus", "mlp": "GeGLU", "rotary_fraction": 1.0}
    | {"parallel_residual": False, "embedding_scale": True, "bias": False},
}


def obstacles(config: Model, family: Family) -> tuple[Fault, ...]:
    """What keeps `config` from being a model of `family`; nothing when it is one."""
    unmet = [
        (field, getattr(config, field), f"{wanted!r}")
        for field, wanted in _DEMANDS[family].items()
        if getattr(config, field) != wanted
    ]
    if family is Family.NEOX:
        if config.key_value_heads != config.heads:
            unmet.append(("kv_heads", config.key_value_heads, f"heads {config.heads}"))
        if config.head_width * config.heads != config.embedding_size:
            unmet.append(("head_size", config.head_width, "embeddingSize / heads"))
        if config.rotary_width == 0:
            unmet.append(("rotary_fraction", config.rotary_fraction, "more than 0"))
    return tuple(
        Fault(
            where=f"model.{Model.model_fields[field].alias}",
            found=repr(found),
            expected=f"{expected} in a model of the family {family}",
        )
        for field, found, expected in unmet
    )


def family_of(config: Model) -> Family:
    """The family that `config` belongs to.

    Raises:
        ConfigurationFault: it belongs to none; the faults are those of the family that is nearest.
    """
    by_distance = sorted(Family, key=lambda family: len(obstacles(config, family)))
    nearest = by_distance[0]
    found = obstacles(config, nearest)
    if found:
        raise ConfigurationFault(*found)
    return nearest


def reference_config(config: Model, vocab_size: int) -> dict[str, Any]:
    """The family's `config.json` for this model, as plain values.

    Raises:
        ConfigurationFault: the configuration belongs to no family.
    """
    family = family_of(config)
    common: dict[str, Any] = {
        "model_type": family.value,
        "vocab_size": vocab_size,
        "hidden_size": config.embedding_size,
        "intermediate_size": config.mlp_width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "max_position_embeddings": config.context_length,
        "tie_word_embeddings": config.tied_embeddings,
        "rope_theta": config.rotary_base,
    }
    match family:
        case Family.NEOX:
            return common | _neox_keys(config)
        case Family.LLAMA:
            bias = {"attention_bias": config.bias, "mlp_bias": config.bias}
            return common | _rms_keys(config) | bias | {"hidden_act": "silu"}
        case Family.GEMMA:
            act = "gelu_pytorch_tanh"
            return common | _rms_keys(config) | {"hidden_activation": act, "hidden_act": act}


def _rms_keys(config: Model) -> dict[str, Any]:
    return {
        "architectures": [
            "LlamaForCausalLM" if config.norm_gain == "Multiply" else "GemmaForCausalLM"
        ],
        "num_key_value_heads": config.key_value_heads,
        "head_dim": config.head_width,
        "rms_norm_eps": config.norm_epsilon,
    }


def _neox_keys(config: Model) -> dict[str, Any]:
    return {
        "architectures": ["GPTNeoXForCausalLM"],
        "hidden_act": "gelu",
        "layer_norm_eps": config.norm_epsilon,
        "use_parallel_residual": config.parallel_residual,
        "rotary_pct": config.rotary_fraction,
        "rotary_emb_base": config.rotary_base,
        "attention_bias": True,
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
    }
