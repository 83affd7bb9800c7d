"""The tokenizers that need no training: bytes, and the characters of a text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lightgpt.tokenizer.cutting import cut_after_newlines
from lightgpt.tokenizer.protocol import TokenIds, utf8_bytes
from runcontract.faults import DataFault, Fault, shortened

PLAIN_FILE = "tokenizer.json"
_BLOCK_CHARACTERS = 1 << 20


class ByteTokenizer:
    """One token for each byte of the UTF-8 text: lossless for any text, 256 entries."""

    kind = "Byte"
    vocab_size = 256
    unknown_id = None

    @property
    def sha256(self) -> str:
        return _sha256(self._document())

    def blocks(self, text: str) -> Iterator[str]:
        return cut_after_newlines(text, at_least=_BLOCK_CHARACTERS, at_most=2 * _BLOCK_CHARACTERS)

    def encode(self, text: str) -> TokenIds:
        return np.frombuffer(utf8_bytes(text), dtype=np.uint8).astype(np.int64)

    def decode(self, ids: Sequence[int] | TokenIds) -> str:
        return bytes(ids if isinstance(ids, Sequence) else ids.tolist()).decode(errors="replace")

    def save(self, folder: Path) -> Path:
        return _save(folder, self._document())

    def _document(self) -> dict[str, Any]:
        return {"type": self.kind}


class CharacterTokenizer:
    """One token for each character of a text, in the order of their code points.

    It has no entry for unknown characters: the loss of a text that was encoded with one would be too low. A character
    that the training part has not is a fault that names it.
    """

    kind = "Character"
    unknown_id = None

    def __init__(self, characters: str) -> None:
        self._characters = "".join(sorted(set(characters)))
        self._code_points = _code_points(self._characters)

    @property
    def vocab_size(self) -> int:
        return len(self._characters)

    @property
    def sha256(self) -> str:
        return _sha256(self._document())

    def blocks(self, text: str) -> Iterator[str]:
        return cut_after_newlines(text, at_least=_BLOCK_CHARACTERS, at_most=2 * _BLOCK_CHARACTERS)

    def encode(self, text: str) -> TokenIds:
        code_points = _code_points(text)
        ids = np.searchsorted(self._code_points, code_points)
        ids = np.minimum(ids, max(self.vocab_size - 1, 0))
        unseen = self._code_points[ids] != code_points
        if unseen.any():
            raise _unseen_characters(text, [int(place) for place in np.flatnonzero(unseen)])
        return ids.astype(np.int64)

    def decode(self, ids: Sequence[int] | TokenIds) -> str:
        return "".join(self._characters[index] for index in ids)

    def save(self, folder: Path) -> Path:
        return _save(folder, self._document())

    def _document(self) -> dict[str, Any]:
        return {"type": self.kind, "characters": self._characters}


def plain_tokenizer(document: Any) -> ByteTokenizer | CharacterTokenizer:
    """The tokenizer that a `tokenizer.json` describes; raises ValueError when it describes none."""
    match document:
        case {"type": "Byte", **rest} if not rest:
            return ByteTokenizer()
        case {"type": "Character", "characters": str(characters), **rest} if (
            characters and not rest
        ):
            return CharacterTokenizer(characters)
        case _:
            raise ValueError("neither a Byte nor a Character tokenizer")


def _code_points(text: str) -> TokenIds:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(
        np.int64
    )


def _unseen_characters(text: str, places: list[int]) -> DataFault:
    characters = sorted({text[place] for place in places})
    return DataFault(
        Fault(
            where="training.tokenizer.type",
            found=f"Character, and {len(places)} places with characters that the training part has not: "
            + shortened("".join(characters)),
            expected="text made of the characters of the training part",
            action="Use type Byte, or BPE with byteFallback, or take these characters out.",
        )
    )


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=True, sort_keys=True) + "\n"


def _sha256(document: dict[str, Any]) -> str:
    return hashlib.sha256(_text(document).encode()).hexdigest()


def _save(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / PLAIN_FILE
    path.write_text(_text(document), encoding="utf-8")
    return path
