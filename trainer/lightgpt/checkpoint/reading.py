"""Reads one checkpoint, and believes nothing before its hash was compared.

The bytes that are hashed are the bytes that become tensors: a file is read once, into memory of its own, so what changes on
the disk later changes no weight. (The safetensors library maps the file instead; its tensors would follow the file.)
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightgpt.checkpoint.faults import BrokenFile
from lightgpt.checkpoint.places import committed_steps
from lightgpt.checkpoint.snapshot import views
from lightgpt.checkpoint.tensor_file import TORCH_DTYPES, read_header
from lightgpt.checkpoint.whole import CHUNK_BYTES, compare, opened_as_expected, read_manifest
from runcontract.manifest import (
    STATE_FILE,
    Manifest,
    ManifestFile,
    checkpoint_name,
)

_SUFFIX = ".safetensors"


@dataclass(frozen=True, kw_only=True)
class LoadedCheckpoint:
    """A checkpoint whose every byte matched its manifest. `tensors` as in `Snapshot`, on the CPU, owned by the caller."""

    path: Path
    manifest: Manifest
    digest: str
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


def read_state(path: Path, expected: ManifestFile) -> dict[str, Any]:
    """The loop's state in the checkpoint at `path`; raises `BrokenFile`."""
    return _state(_read(path, expected))


def load_checkpoint(path: Path) -> LoadedCheckpoint:
    """The checkpoint in the folder `path`; raises `BrokenFile` when any byte of it is wrong, OSError when it cannot be read."""
    manifest, digest = read_manifest(path)
    tensors = {}
    state: Mapping[str, Any] = {}
    for expected in manifest.files:
        data = _read(path, expected)
        if expected.name.endswith(_SUFFIX):
            tensors[expected.name.removesuffix(_SUFFIX)] = _tensors(expected.name, data)
        elif expected.name == STATE_FILE:
            state = _state(data)
    return LoadedCheckpoint(
        path=path, manifest=manifest, digest=digest, tensors=tensors, state=state
    )


def newest_whole(folder: Path) -> LoadedCheckpoint | None:
    """The newest checkpoint in `folder` that is whole, for a reader that changes nothing; None when there is none."""
    for step in committed_steps(folder):
        try:
            return load_checkpoint(folder / checkpoint_name(step))
        except (BrokenFile, OSError):
            continue
    return None


def _read(path: Path, expected: ManifestFile) -> Tensor:
    """The file's bytes, hashed as they come in and found as expected."""
    data = torch.empty(expected.size_bytes, dtype=torch.uint8)
    rest = data.numpy().data
    digest = hashlib.sha256()
    with opened_as_expected(path, expected) as file:
        while rest and (count := file.readinto(rest[:CHUNK_BYTES])):
            digest.update(rest[:count])
            rest = rest[count:]
    compare(expected, digest.hexdigest() if not rest else "")
    return data


def _state(data: Tensor) -> dict[str, Any]:
    try:
        state = json.loads(data.numpy().tobytes())
    except (ValueError, RecursionError) as error:
        raise BrokenFile(f"{STATE_FILE} is not JSON") from error
    if not isinstance(state, dict):
        raise BrokenFile(f"{STATE_FILE} is no JSON object")
    return state


def _tensors(name: str, data: Tensor) -> dict[str, Tensor]:
    try:
        header = read_header(io.BytesIO(data.numpy().data), size_bytes=len(data))
    except BrokenFile as error:
        raise BrokenFile(f"{name}: {error}") from error
    unknown = {entry.dtype for entry in header.entries} - TORCH_DTYPES.keys()
    if unknown:
        raise BrokenFile(f"{name}: no PyTorch type for {', '.join(sorted(unknown))}")
    return views(data[header.data_start :], header.entries)
