"""The text that an order names, whole, and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lightgpt.data.local_files import read_files
from lightgpt.data.named import shakespeare_plays, tinyshakespeare
from runcontract.order import Data


@dataclass(frozen=True, kw_only=True)
class SourceText:
    """A text and the SHA-256 of its UTF-8 bytes."""

    text: str
    sha256: str


def read_source(
    data: Data, *, base_folder: Path, cache_folder: Path, variables: Mapping[str, str]
) -> SourceText:
    """The text that `data` names; raises `DataFault` where it is not to be had."""
    text = _text(data, base_folder, cache_folder, variables)
    return SourceText(text=text, sha256=hashlib.sha256(text.encode()).hexdigest())


def _text(data: Data, base_folder: Path, cache_folder: Path, variables: Mapping[str, str]) -> str:
    match data.dataset:
        case "tinyshakespeare":
            return tinyshakespeare(cache_folder, variables)
        case "shakespeare-plays":
            return shakespeare_plays(cache_folder)
        case None:
            return read_files(data.files, base_folder)
