"""`lightgpt generate`: text from a trained model, as it is written."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lightgpt.tokenizer.protocol import TextTokenizer


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--prompt", default="\n", show_default="a line break", help="Text to go on from.")
@click.option("--tokens", default=200, show_default=True, type=click.IntRange(1, 1_000_000))
@click.option(
    "--temperature",
    default=0.8,
    show_default=True,
    type=click.FloatRange(0, 10),
    help="0 takes the likeliest token always.",
)
@click.option("--top-k", type=click.IntRange(1), help="Choose among the k likeliest tokens only.")
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1, min_open=True),
    help="Choose among the likeliest tokens that hold this share together.",
)
@click.option("--seed", default=1337, show_default=True, type=click.IntRange(0, 2**63 - 1))
def generate(
    path: Path,
    *,
    prompt: str,
    tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
) -> int:
    """Write text with the model in PATH: a run's folder (its newest checkpoint) or one checkpoint.

    The text may be longer than the model's context: when that is full, the newest half of it stays in sight. The same seed
    writes the same text.
    """
    from lightgpt.generate import Choice, generate_tokens
    from lightgpt.train.world import use_threads
    from lightgpt.trained import open_trained

    use_threads(os.environ, local_size=1)
    trained = open_trained(path)
    start = [int(token) for token in trained.tokenizer.encode(prompt)]
    if not start:
        raise click.BadParameter("the prompt has no token", param_hint="--prompt")
    choice = Choice(temperature=temperature, top_k=top_k, top_p=top_p)
    written = generate_tokens(trained.model, start, tokens=tokens, choice=choice, seed=seed)
    for piece in pieces_of_text(trained.tokenizer, itertools.chain(start, written)):
        click.echo(piece, nl=False)
    click.echo()
    return 0


def pieces_of_text(tokenizer: TextTokenizer, tokens: Iterable[int]) -> Iterator[str]:
    """The text of `tokens` bit by bit: what each token adds, held back while a character is incomplete."""
    seen: list[int] = []
    shown = ""
    for token in tokens:
        seen.append(token)
        text = tokenizer.decode(seen)
        if text.endswith("\ufffd"):
            continue
        yield text[len(shown) :]
        if (
            len(seen) > _WINDOW
        ):  # decoding all again for each token would cost the square of the length
            del seen[: -_WINDOW // 2]
            text = tokenizer.decode(seen)
        shown = text
    yield tokenizer.decode(seen)[len(shown) :]


_WINDOW = 64
