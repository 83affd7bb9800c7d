"""A SentencePiece model as a tokenizer, with the one character that SentencePiece itself would lose.

SentencePiece writes spaces as U+2581 inside, so a U+2581 of the text comes back as a space. Where the model has byte pieces
and keeps white space, that character is spelled in bytes here; SentencePiece decodes them as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from pathlib import Path

import numpy as np
import sentencepiece

from lightgpt.tokenizer.cutting import cut_after_newlines
from lightgpt.tokenizer.protocol import TokenIds, utf8_bytes

PIECES_FILE = "tokenizer.model"
SPACE = "\u2581"
# Small blocks: SentencePiece's BPE keeps a queue over the whole of what it is given, and grows slower with it.
_BLOCK_CHARACTERS = 4096
_LONGEST_BLOCK = 1 << 16


class WhiteSpace(Enum):
    """What a model does to white space, which decides where text may be cut."""

    KEPT = auto()
    """Every character is kept and nothing put in front."""
    FOLDED = auto()
    """Runs of it become one space, a newline is a space, and each text begins with one: SentencePiece's defaults."""
    OTHER = auto()
    """Anything else: text is never cut."""


class PieceTokenizer:
    """A SentencePiece model, BPE or Unigram."""

    def __init__(self, model: bytes, kind: str) -> None:
        self.model = model
        self.kind = kind
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.white_space = _white_space(self.processor)
        self._space_as_bytes = self._byte_pieces(SPACE)

    @property
    def vocab_size(self) -> int:
        return int(self.processor.vocab_size())

    @property
    def unknown_id(self) -> int | None:
        return int(self.processor.unk_id())

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.model).hexdigest()

    def blocks(self, text: str) -> Iterator[str]:
        match self.white_space:
            case WhiteSpace.KEPT:
                return cut_after_newlines(text, at_least=_BLOCK_CHARACTERS, at_most=_LONGEST_BLOCK)
            case WhiteSpace.FOLDED:
                # One that is never cut inside a line: the cut would put a space where there was none.
                return cut_after_newlines(
                    text, at_least=_BLOCK_CHARACTERS, at_most=max(len(text), 1)
                )
            case WhiteSpace.OTHER:
                return iter((text,))

    def encode(self, text: str) -> TokenIds:
        utf8_bytes(text)
        ids = [piece for block in self.blocks(text) for piece in self._encode_block(block)]
        return np.array(ids, dtype=np.int64)

    def decode(self, ids: Sequence[int] | TokenIds) -> str:
        return str(self.processor.decode(ids if isinstance(ids, list) else [int(i) for i in ids]))

    def save(self, folder: Path) -> Path:
        path = folder / PIECES_FILE
        path.write_bytes(self.model)
        return path

    def _encode_block(self, text: str) -> list[int]:
        if not self._space_as_bytes or SPACE not in text:
            return list(self.processor.encode(text))
        first, *others = text.split(SPACE)
        ids = list(self.processor.encode(first))
        for other in others:
            ids += self._space_as_bytes
            ids += self.processor.encode(other)
        return ids

    def _byte_pieces(self, character: str) -> list[int]:
        pieces = [self.processor.piece_to_id(f"<0x{byte:02X}>") for byte in character.encode()]
        usable = self.white_space is WhiteSpace.KEPT and all(map(self.processor.is_byte, pieces))
        return pieces if usable else []


def _white_space(processor: sentencepiece.SentencePieceProcessor) -> WhiteSpace:
    def normalized(text: str) -> str:
        return str(processor.Normalize(text))

    if (
        normalized(" a  b\t\nc ") == f"{SPACE}a{SPACE}{SPACE}b\t\nc{SPACE}"
        and normalized("a") == "a"
    ):
        return WhiteSpace.KEPT
    if normalized(" a\n\n b\n") == f"{SPACE}a{SPACE}b" and normalized("a") == f"{SPACE}a":
        return WhiteSpace.FOLDED
    return WhiteSpace.OTHER
