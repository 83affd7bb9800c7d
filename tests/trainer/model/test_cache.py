"""Reading on from a cache gives what reading everything again gives."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from support.models import VARIANTS, random_model, random_tokens

every_kernel = pytest.mark.parametrize("kernel", ["Plain", "Fused"])


@pytest.mark.parametrize("document", VARIANTS.values(), ids=VARIANTS)
@every_kernel
@pytest.mark.parametrize("parts", [(1,) * 24, (9, 1, 1, 1, 1), (1, 5, 1, 7), (24,), (23, 1)])
@torch.no_grad()
def test_logits_from_the_cache_are_those_of_recomputation(
    document: dict[str, Any], kernel: str, parts: tuple[int, ...]
) -> None:
    model = random_model(document | {"attentionKernel": kernel})
    tokens = random_tokens(3, sum(parts))
    cache = model.new_cache(3, sum(parts))
    found = torch.cat([model(part, cache=cache) for part in tokens.split(parts, dim=1)], dim=1)
    assert cache.length == sum(parts)
    torch.testing.assert_close(found, model(tokens), atol=2e-5, rtol=1e-4)


@settings(max_examples=25)
@given(st.data())
def test_any_way_of_cutting_the_tokens_gives_the_same_logits(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(VARIANTS)))
    length = data.draw(st.integers(1, 24))
    cuts = sorted(data.draw(st.sets(st.integers(1, 23), max_size=5)))
    model = random_model(VARIANTS[name])
    tokens = random_tokens(2, length)
    cache = model.new_cache(2, 24)
    parts = [p for p in tokens.tensor_split(cuts, dim=1) if p.shape[1]]
    with torch.no_grad():
        found = torch.cat([model(part, cache=cache) for part in parts], dim=1)
        torch.testing.assert_close(found, model(tokens), atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_a_cache_with_bf16_products_holds_bf16_and_agrees() -> None:
    model = random_model(VARIANTS["speedrun with tables"], spread=0.1)
    tokens = random_tokens(2, 10)
    cache = model.new_cache(2, 10)
    with torch.autocast("cpu", torch.bfloat16):
        found = torch.cat([model(part, cache=cache) for part in tokens.split((6, 4), dim=1)], dim=1)
        whole = model(tokens)
    assert (
        cache.bytes == 2 * 2 * 2 * 2 * 10 * 8 * 2
    )  # layers, keys and values, B, K, tokens, D, two bytes
    assert ((found - whole).norm() / whole.norm()).item() < 0.02


def test_past_its_capacity_a_cache_refuses_and_stays_as_it_was() -> None:
    model = random_model(VARIANTS["plain GPT"])
    cache = model.new_cache(2, 10)
    model(random_tokens(2, 8), cache=cache)
    with pytest.raises(ValueError, match="room for 10 tokens and holds 8; found 3 more"):
        model(random_tokens(2, 3), cache=cache)
    assert cache.length == 8
    assert model(random_tokens(2, 2), cache=cache).shape[1] == 2


def test_another_batch_size_than_the_caches_is_refused() -> None:
    model = random_model(VARIANTS["plain GPT"])
    with pytest.raises(ValueError, match="for 2 sequences; found 3"):
        model(random_tokens(3, 1), cache=model.new_cache(2, 10))


def test_a_cache_longer_than_the_context_is_refused() -> None:
    model = random_model(VARIANTS["plain GPT"])
    with pytest.raises(ValueError, match="cannot hold 25 tokens: the model's context is 24"):
        model.new_cache(1, 25)


@torch.no_grad()
def test_sequences_of_a_batch_do_not_see_each_other() -> None:
    model = random_model(VARIANTS["speedrun with tables"])
    tokens = random_tokens(3, 12)
    both = model.new_cache(3, 12)
    alone = model.new_cache(1, 12)
    for part in tokens.split((7, 1, 4), dim=1):
        batched, single = model(part, cache=both), model(part[1:2], cache=alone)
        torch.testing.assert_close(batched[1:2], single, atol=2e-5, rtol=1e-4)
