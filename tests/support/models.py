"""Small models for tests: one configuration for each thing that a model can have, and weights large enough to matter."""

from __future__ import annotations

from typing import Any

import torch

from lightgpt.model.gpt import GPT
from runcontract.order import Model

VOCAB = 61
_SHAPE: dict[str, Any] = {"layers": 2, "embeddingSize": 32, "heads": 4, "contextLength": 24}
_RMS: dict[str, Any] = {"norm": "RMSNorm", "mlp": "SwiGLU"}
_SPEEDRUN: dict[str, Any] = {
    "mlp": "ReLUSquared", "norm": "RMSNorm", "normGain": "None", "queryKeyNorm": True, "rotaryFraction": 0.5,
    "tiedEmbeddings": False, "logitSoftcap": 15.0, "embeddingSkip": True, "embeddingNorm": True,
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "plain GPT": _SHAPE,
    "no positions": _SHAPE | {"rotaryFraction": 0.0},
    "LLaMA": _SHAPE | _RMS,
    "LLaMA, grouped queries": _SHAPE | _RMS | {"kvHeads": 2, "tiedEmbeddings": False},
    "LLaMA, one key head, wide heads": _SHAPE | _RMS | {"kvHeads": 1, "headSize": 12},
    "NeoX": _SHAPE | {"bias": True, "parallelResidual": True, "rotaryFraction": 0.25},
    "Gemma": _SHAPE
    | {"norm": "RMSNorm", "normGain": "OnePlus", "mlp": "GeGLU", "embeddingScale": True, "kvHeads": 1},
    "LayerNorm with a bias alone": _SHAPE | {"bias": True, "normGain": "None"},
    "speedrun": _SHAPE | _SPEEDRUN,
    "speedrun with tables": _SHAPE
    | _SPEEDRUN
    | {"bigramTableSize": 257, "valueEmbeddingLayers": 1, "kvHeads": 2},
    "a row for every pair": _SHAPE | {"bigramTableSize": VOCAB * (VOCAB + 1)},
}  # fmt: skip


def random_model(document: dict[str, Any], vocab_size: int = VOCAB, *, spread: float = 0.3) -> GPT:
    """A model in evaluation mode whose every weight is drawn from one wide normal distribution.

    The usual starting values are useless for comparisons: tables, biases and output layers that start at zero would hide
    whether they are read at all.
    """
    model = GPT(Model.model_validate(document), vocab_size)
    draw = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.empty(parameter.shape).normal_(0.0, spread, generator=draw))
    return model.eval()


def random_tokens(
    batch: int, length: int, *, seed: int = 5, vocab_size: int = VOCAB
) -> torch.Tensor:
    """Tokens [batch, length] drawn evenly."""
    return torch.randint(vocab_size, (batch, length), generator=torch.Generator().manual_seed(seed))
