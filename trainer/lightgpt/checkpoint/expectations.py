"""Which tensors a model's configuration asks for, so that a checkpoint with others is found before it is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from lightgpt.checkpoint.report import Finding, Severity
from lightgpt.model.gpt import GPT
from runcontract.document import parse_model
from runcontract.faults import ContractFault
from runcontract.order import Model

Shapes = Mapping[str, tuple[int, ...]]

TOKEN_EMBEDDING = "embedding.token.weight"  # noqa: S105 - a tensor's name


def expected_shapes(model: Mapping[str, Any]) -> dict[str, tuple[int, ...]] | None:
    """Names and shapes for a manifest's `model`; None when it describes no model of ours.

    The model is built without memory for its weights.
    """
    document = dict(model)
    vocab_size = document.pop("vocabSize", None)
    if type(vocab_size) is not int or not 1 <= vocab_size <= 2**24:
        return None
    try:
        config = parse_model(Model, document)
    except ContractFault:
        return None
    return shapes_of(config, vocab_size)


def shapes_of(config: Model, vocab_size: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a model."""
    with torch.device("meta"):
        model = GPT(config, vocab_size)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def compare_shapes(found: Shapes, expected: Shapes, *, where: str) -> Iterator[Finding]:
    """A finding for each tensor that is missing, unexpected or of another shape."""
    for name in sorted(expected.keys() - found.keys()):
        yield _error(f"{where}: {name}", "no such tensor", f"shape {list(expected[name])}")
    for name in sorted(found.keys() - expected.keys()):
        yield _error(f"{where}: {name}", f"shape {list(found[name])}", "no such tensor")
    for name in sorted(found.keys() & expected.keys()):
        if found[name] != expected[name]:
            yield _error(
                f"{where}: {name}", f"shape {list(found[name])}", f"shape {list(expected[name])}"
            )


def _error(where: str, found: str, expected: str) -> Finding:
    return Finding(severity=Severity.ERROR, where=where, found=found, expected=expected)
