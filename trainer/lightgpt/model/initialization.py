"""The starting value of every weight: one function and its table.

Each weight has a generator of its own, seeded by the run's seed and the weight's name, on the CPU: its values depend on no
other weight, on no order of construction, and on no device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from runcontract.order import Model

Rule = Callable[[Tensor, Model, Generator], Tensor]


def _small(w: Tensor, _config: Model, draw: Generator) -> Tensor:
    return w.normal_(0.0, 0.02, generator=draw)


def _embedding(w: Tensor, config: Model, draw: Generator) -> Tensor:
    # A norm makes every length 1 anyway; from a length of 1 a step of given size turns the embedding by a fitting angle.
    return w.normal_(0.0, 1.0 if config.embedding_norm else 0.02, generator=draw)


def _smaller_with_depth(w: Tensor, config: Model, draw: Generator) -> Tensor:
    # 2 branches a layer add up in the residual stream: its variance must not grow with their number.
    return w.normal_(0.0, 0.02 / (2 * config.layers) ** 0.5, generator=draw)


def _by_inputs(w: Tensor, _config: Model, draw: Generator) -> Tensor:
    return w.normal_(0.0, 0.5 / w.shape[-1] ** 0.5, generator=draw)


def _zero(w: Tensor, _config: Model, _draw: Generator) -> Tensor:
    return w.zero_()


def _gain(w: Tensor, config: Model, _draw: Generator) -> Tensor:
    return w.fill_(0.0 if config.norm_gain == "OnePlus" else 1.0)


def _stream_only(w: Tensor, _config: Model, _draw: Generator) -> Tensor:
    return w.copy_(torch.tensor([1.0, 0.0]))


RULES: dict[str, tuple[Rule, Rule]] = {
    # end of the name           Normal               ZeroOutput
    "token.weight":            (_embedding,          _embedding),
    "bigram.weight":           (_zero,               _zero),
    "value_embedding.weight":  (_zero,               _zero),
    "qkv.weight":              (_small,              _by_inputs),
    "output.weight":           (_smaller_with_depth, _zero),
    "up.weight":               (_small,              _by_inputs),
    "gate_up.weight":          (_small,              _by_inputs),
    "down.weight":             (_smaller_with_depth, _zero),
    "head.weight":             (_small,              _zero),
    "gain":                    (_gain,               _gain),
    "bias":                    (_zero,               _zero),
    "mix":                     (_stream_only,        _stream_only),
}  # fmt: skip


def rule_for(name: str, config: Model) -> Rule:
    """The rule of the weight called `name`."""
    *_, owner, last = ("", *name.split("."))
    rules = RULES[last] if last in RULES else RULES[f"{owner}.{last}"]
    return rules[config.initialization == "ZeroOutput"]


@torch.no_grad()
def initialize(model: nn.Module, config: Model, seed: int) -> None:
    """Sets every parameter of `model` in place; parameters on the meta device stay as they are."""
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            continue
        digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
        draw = torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)
        value = torch.empty(parameter.shape, dtype=torch.float32)
        parameter.copy_(rule_for(name, config)(value, config, draw))
