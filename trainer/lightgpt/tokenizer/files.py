"""A tokenizer from its file, or from an order: trained, built, or read from the path that the order names."""

from __future__ import annotations

import json
from pathlib import Path

from lightgpt.tokenizer.model_file import piece_kind
from lightgpt.tokenizer.piece_training import train_pieces
from lightgpt.tokenizer.pieces import PIECES_FILE, PieceTokenizer
from lightgpt.tokenizer.plain import PLAIN_FILE, ByteTokenizer, CharacterTokenizer, plain_tokenizer
from lightgpt.tokenizer.protocol import TextTokenizer
from runcontract.faults import DataFault, Fault
from runcontract.order import Tokenizer


def train_tokenizer(settings: Tokenizer, text: str) -> TextTokenizer:
    """The tokenizer that `settings` ask for, trained on `text`."""
    match settings.type:
        case "Byte":
            return ByteTokenizer()
        case "Character":
            return CharacterTokenizer(text)
        case "BPE" | "Unigram":
            return train_pieces(settings, text)


def load_tokenizer(folder: Path) -> TextTokenizer:
    """The tokenizer that `save` left in `folder`."""
    plain = folder / PLAIN_FILE
    if plain.is_file():
        try:
            return plain_tokenizer(json.loads(_content(plain)))
        except ValueError as error:
            raise _fault(plain, str(error), "a tokenizer file that this program wrote") from error
    return read_pieces(folder / PIECES_FILE)


def read_pieces(path: Path) -> PieceTokenizer:
    """The SentencePiece model in the file at `path`; raises `DataFault` when it is none."""
    model = _content(path)
    try:
        if not model:
            raise ValueError("empty")  # noqa: TRY301 - SentencePiece takes an empty file for a model of no pieces
        return PieceTokenizer(model, piece_kind(model))
    except (RuntimeError, ValueError) as error:
        raise _fault(path, f"{len(model)} bytes that are none", "a SentencePiece model") from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _fault(path, error.strerror or str(error), "a tokenizer file") from error


def _fault(path: Path, found: str, expected: str) -> DataFault:
    return DataFault(Fault(where=str(path), found=found, expected=expected))
