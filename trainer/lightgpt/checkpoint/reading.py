"""Reads one checkpoint, and believes nothing before its hash was compared.

The bytes that are hashed are the bytes that become tensors: a file is read once, into memory of its own, so what changes on
the disk later changes no weight. (The safetensors library maps the file instead; its tensors would follow the file.)
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightgpt.checkpoint.places import committed_steps
from lightgpt.checkpoint.snapshot import views
from lightgpt.checkpoint.tensor_file import TORCH_DTYPES, BrokenFile, read_header
from runcontract.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    STATE_FILE,
    Manifest,
    ManifestFile,
    checkpoint_name,
    parse_manifest,
    step_of,
)

_CHUNK_BYTES = 8 << 20
_SUFFIX = ".safetensors"


@dataclass(frozen=True, kw_only=True)
class LoadedCheckpoint:
    """A checkpoint whose every byte matched its manifest. `tensors` as in `Snapshot`, on the CPU, owned by the caller."""

    path: Path
    manifest: Manifest
    digest: str
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


def read_manifest(path: Path) -> tuple[Manifest, str]:
    """The manifest of the checkpoint at `path` and the hash of its bytes; raises `BrokenFile`, OSError."""
    with opened(path / MANIFEST) as (file, size_bytes):
        raw = file.read(min(size_bytes, MAX_MANIFEST_BYTES) + 1) or b""
    try:
        manifest = parse_manifest(raw)
    except ValueError as error:
        raise BrokenFile(f"{MANIFEST}: {error}") from error
    step = step_of(path.name)
    if step is not None and step != manifest.step:
        raise BrokenFile(f"{MANIFEST} is of step {manifest.step}, the folder of step {step}")
    return manifest, hashlib.sha256(raw).hexdigest()


def check_files(path: Path, manifest: Manifest) -> None:
    """Reads every file of the checkpoint at `path`; raises `BrokenFile` for the first that is not as its manifest says."""
    for expected in manifest.files:
        check_file(path, expected)


def check_file(path: Path, expected: ManifestFile) -> None:
    """Reads one file of the checkpoint at `path`; raises `BrokenFile` when it is not as its manifest says."""
    chunk = memoryview(bytearray(_CHUNK_BYTES))
    digest = hashlib.sha256()
    with _opened_as_expected(path, expected) as file:
        # What was just written would be read from memory, whatever the device made of it.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while count := file.readinto(chunk):
            digest.update(chunk[:count])
    _compare(expected, digest.hexdigest())


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


@contextmanager
def opened(path: Path) -> Iterator[tuple[io.FileIO, int]]:
    """The regular file at `path`, unbuffered, and its size; raises `BrokenFile` when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BrokenFile(f"{path.name} is missing") from error
    except OSError as error:
        if path.is_symlink():
            raise BrokenFile(f"{path.name} is a symbolic link") from error
        raise
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode):
        os.close(descriptor)
        raise BrokenFile(f"{path.name} is not a regular file")
    with io.FileIO(descriptor) as file:
        yield file, state.st_size


@contextmanager
def _opened_as_expected(path: Path, expected: ManifestFile) -> Iterator[io.FileIO]:
    with opened(path / expected.name) as (file, size_bytes):
        if size_bytes != expected.size_bytes:
            raise BrokenFile(
                f"{expected.name} has {size_bytes} bytes, its manifest says {expected.size_bytes}"
            )
        yield file


def _read(path: Path, expected: ManifestFile) -> Tensor:
    """The file's bytes, hashed as they come in and found as expected."""
    data = torch.empty(expected.size_bytes, dtype=torch.uint8)
    rest = data.numpy().data
    digest = hashlib.sha256()
    with _opened_as_expected(path, expected) as file:
        while rest and (count := file.readinto(rest[:_CHUNK_BYTES])):
            digest.update(rest[:count])
            rest = rest[count:]
    _compare(expected, digest.hexdigest() if not rest else "")
    return data


def _compare(expected: ManifestFile, sha256: str) -> None:
    if sha256 != expected.sha256:
        raise BrokenFile(f"{expected.name} does not match its hash: it was altered or damaged")


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
