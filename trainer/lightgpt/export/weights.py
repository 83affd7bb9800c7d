"""Weights between our names and shapes and those of the published families: pure functions of dictionaries.

What both sides call differently is renamed; what we keep stacked (queries, keys, values; gate, up) is taken apart, or
stacked on the way back. Nothing is computed, so a round trip is exact. Both directions refuse names that they don't know:
a weight that is silently left out is a model that is silently wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lightgpt.export.families import Family
from runcontract.faults import CheckpointFault, Fault
from runcontract.order import Model

Weights = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class _Match:
    """One weight of ours and the weights of theirs that hold the same values."""

    ours: str
    theirs: tuple[str, ...]
    split: Callable[[Tensor], tuple[Tensor, ...]] = lambda w: (w,)
    join: Callable[[tuple[Tensor, ...]], Tensor] = lambda parts: parts[0]


def to_reference(weights: Weights, config: Model, family: Family) -> dict[str, Tensor]:
    """Our state as the reference model of `family` names it; tensors are new, contiguous ones or the same.

    Raises:
        CheckpointFault: weights are missing, or there are some that the family has no place for.
    """
    matches = _matches(config, family)
    _check(weights, [match.ours for match in matches])
    return {
        name: part.contiguous()
        for match in matches
        for name, part in zip(match.theirs, match.split(weights[match.ours]), strict=True)
    }


def from_reference(weights: Weights, config: Model, family: Family) -> dict[str, Tensor]:
    """The reference model's state as ours. A tied output layer and rotary tables in it are dropped.

    Raises:
        CheckpointFault: weights are missing, or there are some that we have no place for.
    """
    head = _HEADS[family]
    left_out = _FOLLOWS_FROM_CONFIG + ((head,) if config.tied_embeddings else ())
    renamed = {head if name in _HEADS.values() else name: w for name, w in weights.items()}
    weights = {name: w for name, w in renamed.items() if not name.endswith(left_out)}
    matches = _matches(config, family)
    _check(weights, [name for match in matches for name in match.theirs])
    return {
        match.ours: match.join(tuple(weights[name] for name in match.theirs)).contiguous()
        for match in matches
    }


_HEADS = {
    Family.LLAMA: "lm_head.weight",
    Family.NEOX: "embed_out.weight",
    Family.GEMMA: "lm_head.weight",
}
"""As files have it. In memory, transformers 5 calls GPT-NeoX's lm_head too; either name is read."""
_FOLLOWS_FROM_CONFIG = ("rotary_emb.inv_freq", "attention.bias", "attention.masked_bias")
"""What some versions of the references save beside the weights."""


def _check(weights: Weights, expected: list[str]) -> None:
    missing, unknown = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
    faults = [
        Fault(where=name, found="nothing", expected="a weight of this name") for name in missing
    ] + [Fault(where=name, found="a weight", expected="no weight of this name") for name in unknown]
    if faults:
        raise CheckpointFault(*faults)


def _matches(config: Model, family: Family) -> list[_Match]:
    neox = family is Family.NEOX
    stem = "gpt_neox" if neox else "model"
    embedding = "embed_in" if neox else "embed_tokens"
    final = "final_layer_norm" if neox else "norm"
    matches = [_Match(ours="embedding.token.weight", theirs=(f"{stem}.{embedding}.weight",))]
    for layer in range(config.layers):
        in_block = _neox_block(config) if neox else _llama_block(config)
        matches += [_in_layer(match, layer, stem) for match in in_block]
    matches.append(_Match(ours="final_norm.gain", theirs=(f"{stem}.{final}.weight",)))
    if neox:
        matches.append(_Match(ours="final_norm.bias", theirs=(f"{stem}.{final}.bias",)))
    if not config.tied_embeddings:
        matches.append(_Match(ours="head.weight", theirs=(_HEADS[family],)))
    return matches


def _in_layer(match: _Match, layer: int, stem: str) -> _Match:
    return _Match(
        ours=f"blocks.{layer}.{match.ours}",
        theirs=tuple(f"{stem}.layers.{layer}.{name}" for name in match.theirs),
        split=match.split,
        join=match.join,
    )


def _llama_block(config: Model) -> list[_Match]:
    """LLaMA's names, which are Gemma's too."""
    kv_rows = config.key_value_heads * config.head_width
    matches = [
        _Match(ours="attention_norm.gain", theirs=("input_layernorm.weight",)),
        _Match(ours="mlp_norm.gain", theirs=("post_attention_layernorm.weight",)),
    ]
    for kind in ("weight", "bias") if config.bias else ("weight",):
        q, k, v, o = (f"self_attn.{letter}_proj.{kind}" for letter in "qkvo")
        matches += [
            _stacked(
                f"attention.qkv.{kind}",
                (q, k, v),
                (config.heads * config.head_width, kv_rows, kv_rows),
            ),
            _Match(ours=f"attention.output.{kind}", theirs=(o,)),
            _stacked(
                f"mlp.gate_up.{kind}",
                (f"mlp.gate_proj.{kind}", f"mlp.up_proj.{kind}"),
                (config.mlp_width, config.mlp_width),
            ),
            _Match(ours=f"mlp.down.{kind}", theirs=(f"mlp.down_proj.{kind}",)),
        ]
    return matches


def _stacked(ours: str, theirs: tuple[str, ...], rows: tuple[int, ...]) -> _Match:
    return _Match(ours=ours, theirs=theirs, split=lambda w: w.split(rows), join=torch.cat)


def _neox_block(config: Model) -> list[_Match]:
    matches = []
    for ours, theirs in (("gain", "weight"), ("bias", "bias")):
        matches += [
            _Match(ours=f"attention_norm.{ours}", theirs=(f"input_layernorm.{theirs}",)),
            _Match(ours=f"mlp_norm.{ours}", theirs=(f"post_attention_layernorm.{theirs}",)),
        ]
    heads = config.heads
    for kind in ("weight", "bias"):
        matches += [
            _Match(
                ours=f"attention.qkv.{kind}",
                theirs=(f"attention.query_key_value.{kind}",),
                # Theirs is by head, then query, key, value: [H, 3, D, ...]; ours [3, H, D, ...].
                split=lambda w: (_regrouped(w, 3, heads),),
                join=lambda parts: _regrouped(parts[0], heads, 3),
            ),
            _Match(ours=f"attention.output.{kind}", theirs=(f"attention.dense.{kind}",)),
            _Match(ours=f"mlp.up.{kind}", theirs=(f"mlp.dense_h_to_4h.{kind}",)),
            _Match(ours=f"mlp.down.{kind}", theirs=(f"mlp.dense_4h_to_h.{kind}",)),
        ]
    return matches


def _regrouped(w: Tensor, outer: int, inner: int) -> Tensor:
    """Rows counted by (outer, inner, D) put in the order (inner, outer, D)."""
    by_head: Tensor = w.unflatten(0, (outer, inner, -1))
    return by_head.transpose(0, 1).flatten(0, 2)
