"""Cuts long text into blocks at places where no token reaches over, so that memory and time stay bounded.

Pure functions on strings. Which places are safe depends on the tokenizer; this module only knows how to look for them.
"""

from __future__ import annotations

from collections.abc import Iterator


def cut_after_newlines(text: str, *, at_least: int, at_most: int) -> Iterator[str]:
    """Parts of `text` that end with a newline once they hold `at_least` characters.

    A line that would make a part longer than `at_most` is cut before a space, and where it has none, at `at_most`.
    """
    start = 0
    while len(text) - start > at_least:
        newline = text.find("\n", start + at_least - 1, start + at_most)
        if newline >= 0:
            end = newline + 1
        elif len(text) - start <= at_most:
            break
        else:
            space = text.rfind(" ", start + 1, start + at_most)
            end = space if space >= 0 else start + at_most
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]
