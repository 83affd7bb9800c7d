"""Prepared data: the text of an order as tokens on disk, made once and taken from the cache afterwards.

An entry of the cache is a folder whose name is the hash of all that decides its content. It is built under a temporary name
and renamed, so it is whole or not there, whatever kills the process; a lock keeps two processes from building the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightgpt.data.building import build
from lightgpt.data.cache_folder import held_lock, storage_faults, sync_folder
from lightgpt.data.index import FORMAT, DataIndex, PartIndex, PartName, read_index
from lightgpt.data.shards import TokenSequence, open_shards
from lightgpt.data.source import SourceText, read_source
from lightgpt.data.split import TextParts, split_text
from lightgpt.tokenizer.files import load_tokenizer, read_pieces, train_tokenizer
from lightgpt.tokenizer.protocol import TextTokenizer
from runcontract.faults import DataFault, Fault
from runcontract.order import Tokenizer, Training
from runcontract.results import TokenizerFacts

# Hashing this much takes a few hundredths of a second, so smaller data is checked whole each time it is opened.
ALWAYS_VERIFIED_BYTES = 64 << 20
# A file system between machines may keep locks within each of them, so a young folder may be another's work under way.
LEFTOVER_AGE_SECONDS = 3600


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


def prepare(
    training: Training,
    *,
    base_folder: Path,
    cache_folder: Path,
    variables: Mapping[str, str] | None = None,
    verify: bool = False,
) -> PreparedData:
    """The data of `training`, made or taken from `cache_folder`; files are looked for from `base_folder`.

    Sizes of cached shards are always checked, hashes when they are small or `verify` asks; what fails is made again.
    Raises `DataFault` for text that cannot be used, `StorageFault` where the cache cannot be written.
    """
    source = read_source(
        training.data,
        base_folder=base_folder,
        cache_folder=cache_folder,
        variables=os.environ if variables is None else variables,
    )
    parts = split_text(source.text, training.data)
    _refuse_empty_parts(parts, training)
    given = _given_tokenizer(training.tokenizer, base_folder)
    settings = _settings(training, source, given)
    folder = cache_folder / "prepared" / _key(settings)
    prepared = _opened(folder, verify=verify) or _made(
        folder, parts, training.tokenizer, given, source, settings
    )
    _refuse_short_parts(prepared, training)
    _refuse_prompt(prepared, training)
    return prepared


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


def _opened(folder: Path, *, verify: bool) -> PreparedData | None:
    if not folder.is_dir():
        return None
    try:
        return open_prepared(folder, verify=verify)
    except DataFault:
        # The text is at hand, so what the cache lost or something altered is made again.
        return None


def _made(
    folder: Path,
    parts: TextParts,
    settings: Tokenizer,
    given: TextTokenizer | None,
    source: SourceText,
    description: dict[str, Any],
) -> PreparedData:
    with storage_faults(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with held_lock(folder.with_suffix(".lock")) as alone:
            if alone:
                _remove_leftovers(folder)
            if made_meanwhile := _opened(folder, verify=True):
                return made_meanwhile
            temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_temporary_prefix(folder)))
            try:
                build(
                    temporary,
                    parts,
                    given or train_tokenizer(settings, parts.training),
                    source_sha256=source.sha256,
                    settings=description,
                    trained_on_training_part_only=None if given else True,
                    must_be_lossless=_must_be_lossless(settings),
                )
                _put_in_place(temporary, folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return open_prepared(folder, verify=True)


def _put_in_place(temporary: Path, folder: Path) -> None:
    sync_folder(temporary)
    if _opened(folder, verify=True):
        # Where there are no locks, another process may have been first.
        return
    if folder.is_dir():
        # It failed its check. Renaming it away is atomic, deleting it in place would not be.
        broken = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_temporary_prefix(folder)))
        folder.rename(broken / "broken")
        shutil.rmtree(broken, ignore_errors=True)
    temporary.chmod(0o755)
    try:
        temporary.rename(folder)
    except OSError:
        if not _opened(folder, verify=True):
            raise
    sync_folder(folder.parent)


def _remove_leftovers(folder: Path) -> None:
    oldest_alive_s = time.time() - LEFTOVER_AGE_SECONDS
    for leftover in folder.parent.glob(_temporary_prefix(folder) + "*"):
        with contextlib.suppress(FileNotFoundError):
            if leftover.stat().st_mtime < oldest_alive_s:
                shutil.rmtree(leftover, ignore_errors=True)


def _temporary_prefix(folder: Path) -> str:
    return f".{folder.name}."


def _must_be_lossless(settings: Tokenizer) -> bool:
    # Less than full coverage asks for unknown characters, and a given file is taken as it is.
    return settings.lossless and settings.path is None and settings.character_coverage == 1.0


def _given_tokenizer(settings: Tokenizer, base_folder: Path) -> TextTokenizer | None:
    return None if settings.path is None else read_pieces(base_folder / settings.path)


def _settings(
    training: Training, source: SourceText, given: TextTokenizer | None
) -> dict[str, Any]:
    """All that decides the tokens, and nothing else."""
    data = training.data
    return {
        "format": FORMAT,
        "text": source.sha256,
        "validationFraction": data.validation_fraction,
        "testFraction": data.test_fraction,
        "tokenizer": training.tokenizer.document() | ({"path": given.sha256} if given else {}),
        "sentencepiece": version("sentencepiece"),
    }


def _key(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]


def _refuse_empty_parts(parts: TextParts, training: Training) -> None:
    named = {"training": parts.training, "validation": parts.validation}
    if training.data.test_fraction:
        named["test"] = parts.test
    empty = [name for name, text in named.items() if not text.strip()]
    if empty:
        raise DataFault(
            Fault(
                where="training.data",
                found=f"{sum(map(len, parts))} characters, which leave no text for {' and '.join(empty)}",
                expected="text in every part",
                action="Give more text or larger fractions.",
            )
        )


def _refuse_short_parts(prepared: PreparedData, training: Training) -> None:
    context_length = training.model.context_length
    found = len(prepared.training.tokens)
    if found <= context_length:
        raise DataFault(
            Fault(
                where="training.model.contextLength",
                found=f"{context_length}, and {found} tokens in the training part",
                expected="fewer tokens than the training part has",
                action="Give more text or a shorter context.",
            )
        )
    scored: tuple[tuple[PartName, TextPart | None], ...] = (
        ("validation", prepared.validation),
        ("test", prepared.test),
    )
    for name, part in scored:
        if part is not None and len(part.tokens) < 2:
            raise DataFault(
                Fault(
                    where=f"training.data.{name}Fraction",
                    found=f"{len(part.tokens)} tokens in the {name} part",
                    expected="at least 2: the first is not scored",
                    action="Give more text or a larger fraction.",
                )
            )


def _refuse_prompt(prepared: PreparedData, training: Training) -> None:
    # Otherwise found at the first evaluation, when time was paid for.
    if not training.samples.tokens:
        return
    try:
        ids = prepared.tokenizer.encode(training.samples.prompt)
    except DataFault as error:
        raise DataFault(
            Fault(
                where="training.samples.prompt",
                found=error.faults[0].found,
                expected="text that the tokenizer can encode",
            )
        ) from error
    if not len(ids):
        raise DataFault(
            Fault(
                where="training.samples.prompt",
                found=repr(training.samples.prompt),
                expected="text of at least one token",
            )
        )
