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
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightgpt.data.building import build
from lightgpt.data.cache_folder import held_lock, storage_faults, sync_folder
from lightgpt.data.index import FORMAT
from lightgpt.data.opened import PreparedData, TextPart, open_prepared
from lightgpt.data.refusals import refuse_empty_parts, refuse_prompt, refuse_short_parts
from lightgpt.data.source import SourceText, read_source
from lightgpt.data.split import TextParts, split_text
from lightgpt.tokenizer.files import read_pieces, train_tokenizer
from lightgpt.tokenizer.protocol import TextTokenizer
from runcontract.faults import DataFault
from runcontract.order import Tokenizer, Training

__all__ = ["PreparedData", "TextPart", "open_prepared", "prepare"]

# A file system between machines may keep locks within each of them, so a young folder may be another's work under way.
LEFTOVER_AGE_SECONDS = 3600


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
    refuse_empty_parts(parts, training)
    given = _given_tokenizer(training.tokenizer, base_folder)
    settings = _settings(training, source, given)
    folder = cache_folder / "prepared" / _key(settings)
    prepared = _opened(folder, verify=verify) or _made(
        folder, parts, training.tokenizer, given, source, settings
    )
    refuse_short_parts(prepared, training)
    refuse_prompt(prepared, training)
    return prepared


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
