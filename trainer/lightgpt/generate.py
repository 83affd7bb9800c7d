"""Text from a model, token by token, with a cache of keys and values.

When the context is full the window slides: the newest half of it is read anew and writing goes on from there, so a text may
be any length, and each token sees at least half a context. Nothing is drawn from a global generator: the same seed gives the
same text, and training does not notice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightgpt.model.gpt import GPT
from lightgpt.tokenizer.protocol import TextTokenizer
from runcontract.order import Samples


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How the next token is chosen from the model's distribution. Temperature 0: the likeliest, always."""

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None


@torch.no_grad()
def generate_tokens(
    model: GPT, prompt: Sequence[int], *, tokens: int, choice: Choice, seed: int
) -> Iterator[int]:
    """Yields `tokens` tokens that follow `prompt`, which is at least one token; only its end counts when it is longer than the context."""
    if not prompt:
        raise ValueError("a prompt has at least one token")
    was_training = model.training
    model.eval()
    try:
        yield from _generated(model, list(prompt), tokens, choice, seed)
    finally:
        model.train(was_training)


def _generated(
    model: GPT, seen: list[int], tokens: int, choice: Choice, seed: int
) -> Iterator[int]:
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    context = model.config.context_length
    unread = seen[-context:]
    cache = model.new_cache(1, context)
    for _ in range(tokens):
        if cache.length + len(unread) > context:
            unread = seen[-max(context // 2, 1) :]
            cache = model.new_cache(1, context)
        logits_BTV = model(torch.tensor([unread], device=device), cache=cache)
        token = choose(logits_BTV[0, -1].cpu(), choice, generator)
        seen.append(token)
        unread = [token]
        yield token


def choose(logits_V: Tensor, choice: Choice, generator: torch.Generator) -> int:
    """One token drawn from logits; ties at temperature 0 go to the lowest number."""
    if choice.temperature == 0:
        return int(logits_V.argmax().item())
    logits_V = logits_V.double() / choice.temperature
    if choice.top_k is not None and choice.top_k < logits_V.numel():
        least = logits_V.topk(choice.top_k).values[-1]
        logits_V = logits_V.masked_fill(logits_V < least, -torch.inf)
    probabilities_V = logits_V.softmax(-1)
    if choice.top_p is not None:
        probabilities_V = _nucleus(probabilities_V, choice.top_p)
    return int(torch.multinomial(probabilities_V, 1, generator=generator).item())


def _nucleus(probabilities_V: Tensor, share: float) -> Tensor:
    """The fewest likeliest tokens that hold `share` together; at least one. The others get 0."""
    ordered, order = probabilities_V.sort(descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    kept = ordered.masked_fill(before >= share, 0.0)
    return torch.zeros_like(probabilities_V).scatter_(-1, order, kept)


def sample_text(model: GPT, tokenizer: TextTokenizer, samples: Samples, *, seed: int) -> str:
    """The prompt and what the model writes after it."""
    prompt = [int(token) for token in tokenizer.encode(samples.prompt)]
    choice = Choice(temperature=samples.temperature, top_k=samples.top_k, top_p=samples.top_p)
    written = generate_tokens(model, prompt or [0], tokens=samples.tokens, choice=choice, seed=seed)
    return tokenizer.decode([*prompt, *written])
