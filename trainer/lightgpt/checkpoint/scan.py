"""Reads a tensor file once, from its first byte to its last, hashing and looking at the values on the way.

Two threads and three pieces of memory, whatever the size of the file: one thread reads and examines the piece before, the
other hashes (or examines, where there is no hash to compare). The file is not mapped: mapped pages would count as memory.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor

from lightgpt.checkpoint.faults import BrokenFile
from lightgpt.checkpoint.tensor_file import TensorEntry, TensorHeader, read_header
from lightgpt.checkpoint.values import TensorValues, ValueScan
from lightgpt.checkpoint.whole import opened

_PIECE_BYTES = 8 << 20
_PIECES = 3


@dataclass(frozen=True, kw_only=True)
class ScannedTensor:
    """A tensor and its values."""

    entry: TensorEntry
    is_float: bool
    values: TensorValues


@dataclass(frozen=True, kw_only=True)
class ScannedFile:
    """A tensor file that was read to its end. `sha256` is None when it was not asked for."""

    size_bytes: int
    sha256: str | None
    tensors: tuple[ScannedTensor, ...]


def scan_file(path: Path, *, hashed: bool) -> ScannedFile:
    """Reads the file at `path`; raises `BrokenFile` when it is no safetensors file, OSError when it cannot be read."""
    with opened(path) as (file, size_bytes), ThreadPoolExecutor(max_workers=1) as helper:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        header = read_header(file, size_bytes=size_bytes)
        scans = [ValueScan(entry) for entry in header.entries]
        digest = _digest_of_header(file, header) if hashed else None
        busy: deque[Future[None]] = deque()
        for index, data in _pieces(file, header, busy):
            if digest is None:
                busy.append(helper.submit(scans[index].add, data))
            else:
                busy.append(helper.submit(digest.update, data.numpy().data))
                scans[index].add(data)
        for work in busy:
            work.result()
    return ScannedFile(
        size_bytes=size_bytes,
        sha256=digest.hexdigest() if digest else None,
        tensors=tuple(
            ScannedTensor(entry=entry, is_float=scan.is_float, values=scan.result())
            for entry, scan in zip(header.entries, scans, strict=True)
        ),
    )


def _pieces(
    file: FileIO, header: TensorHeader, busy: deque[Future[None]]
) -> Iterator[tuple[int, Tensor]]:
    """The bytes of each tensor with its index, in memory that is used again once the work on it is done."""
    memory = cycle([torch.empty(_PIECE_BYTES, dtype=torch.uint8) for _ in range(_PIECES)])
    for index, entry in enumerate(header.entries):
        for start in range(entry.begin, entry.end, _PIECE_BYTES):
            if len(busy) == _PIECES:
                busy.popleft().result()
            yield index, _fill(file, next(memory)[: min(_PIECE_BYTES, entry.end - start)])


def _fill(file: FileIO, memory: Tensor) -> Tensor:
    rest = memory.numpy().data
    while rest:
        count = file.readinto(rest)
        if not count:
            raise BrokenFile(f"ended {len(rest)} bytes early while it was read")
        rest = rest[count:]
    return memory


def _digest_of_header(file: FileIO, header: TensorHeader) -> hashlib._Hash:
    file.seek(0)
    return hashlib.sha256(file.read(header.data_start) or b"")
