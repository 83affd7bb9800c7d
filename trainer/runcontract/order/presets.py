"""Ready model configurations, from a hundred thousand to a few billion parameters.

Values are keys of `Model` as a document has them. Parameter counts in the comments are with the vocabulary named there;
the published families are given with the shapes of their own configuration files.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

PresetName = Literal[
    "gpt-116k", "speedrun", "speedrun-tables", "baseline", "gpt-124m", "gpt-350m",
    "neox-70m", "neox-160m", "neox-410m", "neox-1b", "neox-2.8b",
    "llama-15m", "llama-110m", "llama-1b", "llama-3b",
    "gemma-2b",
]  # fmt: skip

_SPEEDRUN = {
    "layers": 4, "embeddingSize": 192, "heads": 2, "contextLength": 128, "mlp": "ReLUSquared", "norm": "RMSNorm",
    "normGain": "None", "queryKeyNorm": True, "rotaryFraction": 0.5, "rotaryBase": 1024.0, "tiedEmbeddings": False, "logitSoftcap": 15.0,
    "embeddingSkip": True, "embeddingNorm": True, "initialization": "ZeroOutput", "attentionKernel": "Plain",
}  # fmt: skip


def _gpt(layers: int, embedding_size: int, heads: int, context_length: int) -> dict[str, Any]:
    return {
        "layers": layers,
        "embeddingSize": embedding_size,
        "heads": heads,
        "contextLength": context_length,
    }


def _neox(layers: int, embedding_size: int, heads: int) -> dict[str, Any]:
    return _gpt(layers, embedding_size, heads, 2048) | {
        "mlp": "GELU", "norm": "LayerNorm", "bias": True, "parallelResidual": True, "rotaryFraction": 0.25,
        "tiedEmbeddings": False, "attentionKernel": "Fused",
    }  # fmt: skip


def _llama(
    layers: int,
    embedding_size: int,
    heads: int,
    kv_heads: int,
    mlp_hidden_size: int,
    context_length: int,
    *,
    tied: bool = False,
) -> dict[str, Any]:
    return _gpt(layers, embedding_size, heads, context_length) | {
        "kvHeads": kv_heads, "mlp": "SwiGLU", "mlpHiddenSize": mlp_hidden_size, "norm": "RMSNorm", "rotaryBase": 10_000.0,
        "tiedEmbeddings": tied, "attentionKernel": "Fused",
    }  # fmt: skip


PRESETS: dict[str, dict[str, Any]] = {
    "gpt-116k": _gpt(2, 64, 2, 64),  # 115 K, vocabulary 256
    "speedrun": _SPEEDRUN,  # 2.2 M, vocabulary 1,024
    "speedrun-tables": _SPEEDRUN | {"bigramTableSize": 16_384, "valueEmbeddingLayers": 2},  # 5.7 M
    "baseline": _gpt(6, 384, 6, 256) | {"tiedEmbeddings": False},  # 22.9 M, vocabulary 16,000
    "gpt-124m": _gpt(12, 768, 12, 1024) | {"attentionKernel": "Fused"},  # 124 M, vocabulary 50,257
    "gpt-350m": _gpt(24, 1024, 16, 1024) | {"attentionKernel": "Fused"},
    "neox-70m": _neox(6, 512, 8),  # 70 M, vocabulary 50,304, as are the next
    "neox-160m": _neox(12, 768, 12),
    "neox-410m": _neox(24, 1024, 16),
    "neox-1b": _neox(16, 2048, 8),
    "neox-2.8b": _neox(32, 2560, 32),
    "llama-15m": _llama(6, 288, 6, 6, 768, 256, tied=True),  # 15 M, vocabulary 32,000
    "llama-110m": _llama(12, 768, 12, 12, 2048, 1024, tied=True),  # 110 M
    "llama-1b": _llama(22, 2048, 32, 4, 5632, 2048),  # 1.1 billion
    "llama-3b": _llama(26, 3200, 32, 32, 8640, 2048) | {"normEpsilon": 1e-6},  # 3.4 billion
    "gemma-2b": _gpt(18, 2048, 8, 8192) | {
        "kvHeads": 1, "headSize": 256, "mlp": "GeGLU", "mlpHiddenSize": 16_384, "norm": "RMSNorm", "normEpsilon": 1e-6,
        "normGain": "OnePlus", "tiedEmbeddings": True, "embeddingScale": True, "attentionKernel": "Fused",
    },  # 2.5 billion, vocabulary 256,000
}  # fmt: skip

assert set(PRESETS) == set(get_args(PresetName))
