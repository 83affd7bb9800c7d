"""What every tokenizer offers, and the faults that all of them share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from runcontract.faults import DataFault, Fault, shortened

TokenIds = npt.NDArray[np.int64]


class TextTokenizer(Protocol):
    """Text to token ids and back."""

    @property
    def kind(self) -> str:
        """BPE, Unigram, Byte or Character."""

    @property
    def vocab_size(self) -> int:
        """Entries of the vocabulary; every id is below it."""

    @property
    def unknown_id(self) -> int | None:
        """The id that stands for characters outside the vocabulary; none where there is no such id."""

    @property
    def sha256(self) -> str:
        """Hash of the file that `save` writes."""

    def blocks(self, text: str) -> Iterator[str]:
        """`text` in parts of bounded size where possible; `encode` of the text is that of its blocks, joined."""

    def encode(self, text: str) -> TokenIds:
        """The ids of `text`; raises `DataFault` for text that cannot be encoded at all."""

    def decode(self, ids: Sequence[int] | TokenIds) -> str:
        """The text of `ids`. Bytes that form no UTF-8 become U+FFFD."""

    def save(self, folder: Path) -> Path:
        """Writes the tokenizer's one file into `folder` and gives its path."""


def utf8_bytes(text: str) -> bytes:
    """`text` in UTF-8; raises `DataFault` for lone surrogates, which a shell passes on for bytes it cannot read."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise DataFault(
            Fault(
                where=f"text, character {error.start}",
                found=shortened(text[error.start : error.end]),
                expected="characters that UTF-8 can express",
            )
        ) from error
