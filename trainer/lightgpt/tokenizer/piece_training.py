"""Trains SentencePiece models: the same bytes for the same text and settings, whatever the machine.

SentencePiece has traps that this module keeps away from: it drops lines over a length, drops lines with a reserved
character, and splits work by thread in a way that changes the sums.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import sentencepiece

from lightgpt.tokenizer.cutting import cut_after_newlines
from lightgpt.tokenizer.pieces import PieceTokenizer
from runcontract.faults import DataFault, Fault
from runcontract.order import Tokenizer

# Part of the result (sums are taken by thread), so never taken from the machine.
_THREADS = 8
_LONGEST_LINE_CHARACTERS = 4096
# SentencePiece drops a line with one of these: U+0000, U+2585 (its mark for unknown) and U+2581 (its space).
_RESERVED = re.compile("[\u0000\u2581\u2585]")
# Statistics of more text than this change little and cost gigabytes.
SAMPLE_CHARACTERS = 1 << 26


def train_pieces(settings: Tokenizer, text: str) -> PieceTokenizer:
    """A tokenizer trained on `text`; raises `DataFault` when the text does not allow the vocabulary asked for."""
    model = io.BytesIO()
    options = _LOSSLESS if settings.lossless else {}
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_training_lines(text),
            model_writer=model,
            model_type=settings.type.lower(),
            vocab_size=settings.pieces,
            character_coverage=settings.character_coverage,
            byte_fallback=settings.byte_fallback,
            split_by_whitespace=settings.split_by_whitespace,
            num_threads=_THREADS,
            max_sentence_length=4 * _LONGEST_LINE_CHARACTERS + 1,
            minloglevel=2,
            **options,
        )
    except RuntimeError as error:
        raise _training_fault(settings, str(error)) from error
    return PieceTokenizer(model.getvalue(), settings.type)


_LOSSLESS: dict[str, Any] = {
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
    "user_defined_symbols": ["\n"],
}


def _training_lines(text: str) -> Iterator[str]:
    """Lines of bounded length without reserved characters; of very long text, evenly spread blocks of lines."""
    blocks = list(cut_after_newlines(text, at_least=1 << 16, at_most=1 << 17))
    stride = -(-len(text) // SAMPLE_CHARACTERS)
    for block in blocks[:: max(stride, 1)]:
        for line in block.split("\n"):
            for part in cut_after_newlines(
                line, at_least=_LONGEST_LINE_CHARACTERS, at_most=_LONGEST_LINE_CHARACTERS
            ):
                yield from filter(None, _RESERVED.split(part))


def _training_fault(settings: Tokenizer, message: str) -> DataFault:
    found, expected, action = f"{settings.pieces} pieces", message, ""
    if too_high := re.search(r"too high \(\d+\).*<= (\d+)", message):
        expected = f"at most {too_high[1]}, the most that the training part allows"
    elif too_low := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        expected = f"at least {too_low[1]}: the characters of the training part and SentencePiece's own pieces"
        action = "A lower characterCoverage needs fewer."
    elif "sentences_.empty()" in message:
        found, expected = "no line to learn from", "a training part with text"
    return DataFault(
        Fault(where="training.tokenizer.vocabSize", found=found, expected=expected, action=action)
    )
