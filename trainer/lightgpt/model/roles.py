"""What each parameter is to an optimizer. Which optimizer, rate and decay a role gets is decided elsewhere."""

from __future__ import annotations

from enum import StrEnum

from torch import nn

from lightgpt.model.gpt import GPT


class ParameterRole(StrEnum):
    """The four kinds of parameters that are treated alike."""

    MATRIX = "Matrix"
    """2-D weights inside the blocks."""
    EMBEDDING = "Embedding"
    """Rows looked up by token: token, bigram and value embeddings. A tied output layer is one of them."""
    HEAD = "Head"
    """An untied output layer."""
    VECTOR = "Vector"
    """Gains, biases and mixes."""


_LOOKED_UP = ("token.weight", "bigram.weight", "value_embedding.weight")


def role_of(name: str, parameter: nn.Parameter) -> ParameterRole:
    """The role of the parameter called `name` in the state of a GPT."""
    if name == "head.weight":
        return ParameterRole.HEAD
    if name.endswith(_LOOKED_UP):
        return ParameterRole.EMBEDDING
    return ParameterRole.MATRIX if parameter.ndim == 2 else ParameterRole.VECTOR


def parameters_by_role(model: GPT) -> dict[ParameterRole, list[tuple[str, nn.Parameter]]]:
    """Every parameter of the model once, under its role, in the model's order; roles without any are empty."""
    found: dict[ParameterRole, list[tuple[str, nn.Parameter]]] = {
        role: [] for role in ParameterRole
    }
    for name, parameter in model.named_parameters():
        found[role_of(name, parameter)].append((name, parameter))
    return found


def stacked_rows(model: GPT) -> dict[str, tuple[int, ...]]:
    """Rows of each matrix in every parameter of the role MATRIX: several where matrices are stacked in one weight.

    An optimizer that works on whole matrices (Muon) splits gradient and update by them along the first dimension:
    queries, keys and values of `qkv.weight`, gate and up of `gate_up.weight`.
    """
    config = model.config
    kv_rows = config.key_value_heads * config.head_width
    rows = {
        "qkv.weight": (config.heads * config.head_width, kv_rows, kv_rows),
        "gate_up.weight": (config.mlp_width, config.mlp_width),
    }
    return {
        name: rows.get(".".join(name.split(".")[-2:]), (parameter.shape[0],))
        for name, parameter in parameters_by_role(model)[ParameterRole.MATRIX]
    }
