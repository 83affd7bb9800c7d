"""The copy of a training's state that a save writes while training goes on.

Copying is the only time the loop stands still for a checkpoint, so the memory is taken once and used again: a fresh allocation
costs more in page faults than the copy itself. One flat buffer a file, in the order of the file's bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lightgpt.checkpoint.tensor_file import TORCH_DTYPES, TensorEntry, header_bytes, plan


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a checkpoint holds.

    `tensors`: file stem ("model", "optimizer", ...) to name to tensor. They may be the live ones, on any device: saving
    copies them. `state`: the rest of the loop's state as JSON types; finite numbers only (None for "nothing yet").
    """

    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FilledFile:
    """A tensor file in memory, ready to be written."""

    name: str
    header: bytes
    data: memoryview

    @property
    def size_bytes(self) -> int:
        """Size of the file to come."""
        return len(self.header) + len(self.data)


class SnapshotBuffers:
    """Reused memory for one snapshot."""

    def __init__(self) -> None:
        self._files: dict[str, _Buffer] = {}

    def fill(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> tuple[FilledFile, ...]:
        """Copies `tensors`; what an earlier call returned is overwritten."""
        self._files = {stem: self._buffer(stem, named) for stem, named in tensors.items()}
        for stem, named in tensors.items():
            self._files[stem].copy_from(named)
        if any(buffer.is_pinned for buffer in self._files.values()):
            torch.cuda.synchronize()
        return tuple(
            FilledFile(
                name=f"{stem}.safetensors", header=header_bytes(buffer.entries), data=buffer.bytes
            )
            for stem, buffer in self._files.items()
        )

    def _buffer(self, stem: str, named: Mapping[str, Tensor]) -> _Buffer:
        entries = plan(named)
        known = self._files.get(stem)
        if known is not None and known.entries == entries:
            return known
        return _Buffer(entries, pinned=any(tensor.is_cuda for tensor in named.values()))


class _Buffer:
    def __init__(self, entries: tuple[TensorEntry, ...], *, pinned: bool) -> None:
        self.entries = entries
        self.is_pinned = pinned
        size_bytes = entries[-1].end if entries else 0
        flat = torch.empty(size_bytes, dtype=torch.uint8, pin_memory=pinned)
        self.bytes = flat.numpy().data
        self._views = views(flat, entries)

    def copy_from(self, named: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, view in self._views.items():
                view.copy_(named[name], non_blocking=self.is_pinned)


def views(flat: Tensor, entries: tuple[TensorEntry, ...]) -> dict[str, Tensor]:
    """The tensors whose bytes are those of `flat`, sharing its memory where their alignment allows it."""
    found = {}
    for entry in entries:
        dtype = TORCH_DTYPES[entry.dtype]
        part = flat[entry.begin : entry.end]
        if part.data_ptr() % dtype.itemsize:
            part = part.clone()
        found[entry.name] = part.view(dtype).view(entry.shape)
    return found


def state_bytes(state: Mapping[str, Any]) -> bytes:
    """`state` as JSON; raises ValueError for infinity and NaN, which JSON does not have."""
    return (json.dumps(state, allow_nan=False, ensure_ascii=False) + "\n").encode()
