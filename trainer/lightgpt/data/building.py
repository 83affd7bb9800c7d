"""Makes prepared data: trains the tokenizer, encodes the parts, checks what comes back, writes shards and index.

All of it happens in a folder of its own under a temporary name. `lightgpt.data.prepared` renames it into place.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lightgpt.data.index import INDEX_FILE, DataIndex, PartIndex, PartName
from lightgpt.data.shards import TOKENS_PER_SHARD, ShardWriter, token_dtype, write_durably
from lightgpt.data.split import TextParts
from lightgpt.tokenizer.protocol import TextTokenizer
from runcontract.faults import DataFault, Fault, shortened
from runcontract.results import TokenizerFacts


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A block of text that did not come back as it was."""

    part: PartName
    given: str
    got: str


def build(
    folder: Path,
    parts: TextParts,
    tokenizer: TextTokenizer,
    *,
    source_sha256: str,
    settings: dict[str, object],
    trained_on_training_part_only: bool | None,
    must_be_lossless: bool,
) -> DataIndex:
    """Fills the empty `folder`; raises `DataFault` when text is lost that must not be."""
    path = tokenizer.save(folder)
    write_durably(path, path.read_bytes())
    names: tuple[PartName, ...] = ("training", "validation", "test")
    indices = []
    lost: list[Lost] = []  # at most one, the first
    for name, text in zip(names, parts, strict=True):
        if text:
            indices.append(_encode_part(folder, name, text, tokenizer, lost))
    if lost and must_be_lossless:
        raise _loss_fault(lost[0], indices)
    index = DataIndex(
        dtype="uint16" if token_dtype(tokenizer.vocab_size).itemsize == 2 else "uint32",
        source_sha256=source_sha256,
        tokenizer=TokenizerFacts(
            type=tokenizer.kind,
            vocab_size=tokenizer.vocab_size,
            sha256=tokenizer.sha256,
            lossless=not lost,
            trained_on_training_part_only=trained_on_training_part_only,
        ),
        tokenizer_file=path.name,
        settings=settings,
        parts=tuple(indices),
    )
    write_durably(folder / INDEX_FILE, index.text().encode())
    return index


def _encode_part(
    folder: Path,
    name: PartName,
    text: str,
    tokenizer: TextTokenizer,
    lost: list[Lost],
) -> PartIndex:
    writer = ShardWriter(
        folder, name, vocab_size=tokenizer.vocab_size, tokens_per_shard=TOKENS_PER_SHARD
    )
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    exact = True
    for block in tokenizer.blocks(text):
        ids = tokenizer.encode(block)
        writer.write(ids)
        counts += np.bincount(ids, minlength=tokenizer.vocab_size)
        decoded = tokenizer.decode(ids)
        if decoded != block:
            exact = False
            if not lost:
                lost.append(Lost(part=name, given=block, got=decoded))
    shards = writer.close()
    return PartIndex(
        name=name,
        tokens=sum(shard.tokens for shard in shards),
        characters=len(text),
        byte_count=len(text.encode()),
        unknown_tokens=0 if tokenizer.unknown_id is None else int(counts[tokenizer.unknown_id]),
        vocabulary_used=int(np.count_nonzero(counts)),
        exact=exact,
        shards=shards,
    )


def _loss_fault(lost: Lost, parts: list[PartIndex]) -> DataFault:
    given, got = _around_difference(lost.given, lost.got)
    unknown = sum(part.unknown_tokens for part in parts)
    return DataFault(
        Fault(
            where="training.tokenizer.lossless",
            found=f"true, but the {lost.part} part has {shortened(given)}, which comes back as {shortened(got)} "
            f"({unknown} unknown tokens in all)",
            expected="text that comes back from the tokenizer as it was",
            action="Set byteFallback: true (256 pieces for characters that training did not see), or lossless: false.",
        )
    )


def _around_difference(given: str, got: str, reach: int = 12) -> tuple[str, str]:
    place = next(
        (place for place, (a, b) in enumerate(zip(given, got, strict=False)) if a != b),
        min(len(given), len(got)),
    )
    around = slice(max(place - reach, 0), place + reach)
    return given[around], got[around]
