"""The safetensors format, as far as streaming needs it: a header of our own to write, and a reader that trusts nothing.

The library's `save_file` writes in one pass and leaves hashing to a second; here the header is made first, so that header and
bytes can be hashed while they are written. The reader checks what a damaged or hostile file could get wrong before
anything is allocated by it. Layout of a file: 8 bytes little-endian length, JSON header of that length, tensor bytes.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from lightgpt.checkpoint.faults import BrokenFile

MAX_HEADER_BYTES = 32 << 20
"""Room for a hundred thousand tensors; more is a header that wants to fill the memory."""
_MAX_DIMENSIONS = 32
_ALIGNMENT = 8

TORCH_DTYPES: dict[str, torch.dtype] = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
    "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "C64": torch.complex64,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in TORCH_DTYPES.items()}
_BITS = {name: dtype.itemsize * 8 for name, dtype in TORCH_DTYPES.items()} | {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
}  # fmt: skip


class Readable(Protocol):
    """Anything that bytes can be read from."""

    def read(self, size: int, /) -> bytes | None:
        """At most `size` bytes."""


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """One tensor of a file; `begin` and `end` count bytes from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def elements(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


@dataclass(frozen=True, kw_only=True)
class TensorHeader:
    """The header of a file: its tensors in the order of their bytes."""

    entries: tuple[TensorEntry, ...]
    metadata: dict[str, str]
    data_start: int

    @property
    def data_bytes(self) -> int:
        """Bytes of all tensors together."""
        return self.entries[-1].end if self.entries else 0


def plan(tensors: Mapping[str, Tensor]) -> tuple[TensorEntry, ...]:
    """Places `tensors` in a file: wide types first, so that each is aligned to its own width, then by name."""
    entries: list[TensorEntry] = []
    position = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        end = position + tensor.numel() * tensor.itemsize
        entries.append(
            TensorEntry(
                name=name,
                dtype=_NAMES[tensor.dtype],
                shape=tuple(tensor.shape),
                begin=position,
                end=end,
            )
        )
        position = end
    return tuple(entries)


def header_bytes(entries: tuple[TensorEntry, ...]) -> bytes:
    """The length and header in front of the tensors' bytes, padded so that the bytes are aligned."""
    document: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for entry in entries:
        document[entry.name] = {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [entry.begin, entry.end],
        }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def read_header(file: Readable, *, size_bytes: int) -> TensorHeader:
    """The header of an open file of `size_bytes`; raises `BrokenFile` unless every byte of the file is accounted for."""
    prefix = file.read(8) or b""
    if len(prefix) < 8:
        raise BrokenFile(f"{size_bytes} bytes are too few for a safetensors file")
    length = int.from_bytes(prefix, "little")
    if length > size_bytes - 8:
        raise BrokenFile(f"the header claims {length} bytes, the file has {size_bytes}")
    if length > MAX_HEADER_BYTES:
        raise BrokenFile(f"a header of {length} bytes; at most {MAX_HEADER_BYTES} are read")
    raw = file.read(length) or b""
    if len(raw) < length:
        raise BrokenFile(f"the header ends after {len(raw)} of {length} bytes")
    document = _json_object(raw)
    metadata = _metadata(document.pop("__metadata__", {}))
    entries = sorted(
        (_entry(name, value) for name, value in document.items()), key=lambda e: (e.begin, e.end)
    )
    _check_places(entries, data_bytes=size_bytes - 8 - length)
    return TensorHeader(entries=tuple(entries), metadata=metadata, data_start=8 + length)


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw, object_pairs_hook=_without_duplicates)
    except BrokenFile:
        raise
    except (ValueError, RecursionError) as error:
        raise BrokenFile("the header is not JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise BrokenFile("the header is no JSON object")
    return document


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        double, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise BrokenFile(f"the header names {double[:100]!r} twice")
    return document


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BrokenFile("__metadata__ is not a map of text to text")
    return value


def _entry(name: str, value: Any) -> TensorEntry:
    label = repr(name[:100])
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise BrokenFile(f"tensor {label} has not exactly dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise BrokenFile(f"tensor {label} has the unknown type {str(dtype)[:40]!r}")
    if not _are_sizes(shape) or len(shape) > _MAX_DIMENSIONS:
        raise BrokenFile(f"tensor {label} has an impossible shape")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise BrokenFile(f"tensor {label} has impossible offsets")
    bits = math.prod(shape) * _BITS[dtype]
    if bits != (offsets[1] - offsets[0]) * 8:
        raise BrokenFile(
            f"tensor {label} of shape {list(shape)} and type {dtype} needs {bits // 8} bytes, "
            f"its offsets give {offsets[1] - offsets[0]}"
        )
    return TensorEntry(name=name, dtype=dtype, shape=tuple(shape), begin=offsets[0], end=offsets[1])


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 2**63 for value in values
    )


def _check_places(entries: list[TensorEntry], *, data_bytes: int) -> None:
    position = 0
    for entry in entries:
        label = repr(entry.name[:100])
        if entry.end > data_bytes:
            raise BrokenFile(
                f"tensor {label} ends at byte {entry.end} of {data_bytes}: the file is cut short"
            )
        if entry.begin < position:
            raise BrokenFile(f"tensor {label} overlaps the one before it")
        if entry.begin > position:
            raise BrokenFile(f"{entry.begin - position} bytes before tensor {label} belong to none")
        position = entry.end
    if position != data_bytes:
        raise BrokenFile(f"{data_bytes - position} bytes after the last tensor belong to none")
