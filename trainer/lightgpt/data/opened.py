"""Prepared data as it is used: an entry of the cache, opened and checked. Nothing is made here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lightgpt.data.index import DataIndex, PartIndex, read_index
from lightgpt.data.shards import TokenSequence, open_shards
from lightgpt.tokenizer.files import load_tokenizer
from lightgpt.tokenizer.protocol import TextTokenizer
from runcontract.faults import DataFault, Fault
from runcontract.results import TokenizerFacts

# Hashing this much takes a few hundredths of a second, so smaller data is checked whole each time it is opened.
ALWAYS_VERIFIED_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class TextPart:
    """One part of the text: its tokens, and what its loss is divided by."""

    tokens: TokenSequence
    characters: int
    bytes_: int


@dataclass(frozen=True, kw_only=True)
class PreparedData:
    """Everything a training, an evaluation or a statistic needs of the text."""

    folder: Path
    index: DataIndex
    tokenizer: TextTokenizer
    training: TextPart
    validation: TextPart
    test: TextPart | None

    @property
    def data_sha256(self) -> str:
        """Hash of the whole text."""
        return self.index.source_sha256

    @property
    def tokenizer_sha256(self) -> str:
        """Hash of the tokenizer's file."""
        return self.index.tokenizer.sha256

    @property
    def facts(self) -> TokenizerFacts:
        """What a loss per character depends on."""
        return self.index.tokenizer


def open_prepared(folder: Path, *, verify: bool = False) -> PreparedData:
    """The prepared data in `folder`; raises `DataFault` where it is incomplete or was changed."""
    index = read_index(folder)
    tokenizer = load_tokenizer(folder)
    if tokenizer.sha256 != index.tokenizer.sha256:
        raise DataFault(
            Fault(
                where=str(folder / index.tokenizer_file),
                found=f"SHA-256 {tokenizer.sha256}",
                expected=f"SHA-256 {index.tokenizer.sha256}",
            )
        )
    training, validation = index.part("training"), index.part("validation")
    if training is None or validation is None:
        raise DataFault(
            Fault(where=str(folder), found="no training or validation part", expected="both")
        )

    def opened(part: PartIndex) -> TextPart:
        return _open_part(folder, part, index.tokenizer.vocab_size, verify=verify)

    test = index.part("test")
    return PreparedData(
        folder=folder,
        index=index,
        tokenizer=tokenizer,
        training=opened(training),
        validation=opened(validation),
        test=opened(test) if test else None,
    )


def _open_part(folder: Path, part: PartIndex, vocab_size: int, *, verify: bool) -> TextPart:
    tokens = open_shards(
        folder,
        part.shards,
        vocab_size=vocab_size,
        verify=verify or part.tokens * 4 <= ALWAYS_VERIFIED_BYTES,
    )
    return TextPart(tokens=tokens, characters=part.characters, bytes_=part.byte_count)
