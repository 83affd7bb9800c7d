"""Tokens in memory-mapped files: one long sequence over one or more shards of unsigned 16- or 32-bit numbers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field

from runcontract.base import ContractModel
from runcontract.faults import DataFault, Fault

TOKENS_PER_SHARD = 1 << 27
TokenArray = npt.NDArray[np.uint16] | npt.NDArray[np.uint32]


class Shard(ContractModel):
    """One file of tokens."""

    file: str = Field(pattern=r"^[a-z]+-\d{5}\.bin$", description="Name of the file.")
    tokens: int = Field(ge=0, description="Tokens in it.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Hash of its bytes.")


class TokenSequence:
    """Read-only tokens over several arrays, as if they were one. Slices and gathers copy; nothing else does."""

    def __init__(self, arrays: Sequence[TokenArray]) -> None:
        self._arrays = tuple(arrays)
        self._ends = np.cumsum([len(array) for array in arrays], dtype=np.int64)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, part: slice) -> npt.NDArray[np.int64]:
        start, stop, step = part.indices(len(self))
        if step != 1:
            raise ValueError("tokens are read forwards, without gaps")
        found: npt.NDArray[np.int64] = self.gather(
            np.array([start], dtype=np.int64), max(stop - start, 0)
        )[0]
        return found

    def gather(self, starts: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
        """The `length` tokens from each of `starts`, as [len(starts), length]."""
        positions = starts[:, None] + np.arange(length, dtype=np.int64)
        found = np.empty(positions.shape, dtype=np.int64)
        if len(self._arrays) == 1:
            found[:] = self._arrays[0][positions]
            return found
        shards = np.searchsorted(self._ends, positions, side="right")
        for shard in np.unique(shards):
            here = shards == shard
            first = self._ends[shard] - len(self._arrays[shard])
            found[here] = self._arrays[shard][positions[here] - first]
        return found


def token_dtype(vocab_size: int) -> np.dtype[np.uint16] | np.dtype[np.uint32]:
    """The smallest type that holds every id; little-endian, so that shards may be moved between machines."""
    return np.dtype("<u2") if vocab_size <= 1 << 16 else np.dtype("<u4")


class ShardWriter:
    """Appends tokens to the shards of one part in `folder`; `close` gives what was written, then safe on disk."""

    def __init__(
        self, folder: Path, part: str, *, vocab_size: int, tokens_per_shard: int = TOKENS_PER_SHARD
    ) -> None:
        self._folder = folder
        self._part = part
        self._dtype = token_dtype(vocab_size)
        self._tokens_per_shard = tokens_per_shard
        self._shards: list[Shard] = []
        self._pending: list[npt.NDArray[np.int64]] = []
        self._pending_tokens = 0

    def write(self, ids: npt.NDArray[np.int64]) -> None:
        """Appends `ids`; a file is written whenever one is full."""
        while self._pending_tokens + len(ids) >= self._tokens_per_shard:
            room = self._tokens_per_shard - self._pending_tokens
            self._keep(ids[:room])
            self._flush()
            ids = ids[room:]
        self._keep(ids)

    def close(self) -> tuple[Shard, ...]:
        """Writes what is left. A part without tokens has one empty shard."""
        if self._pending_tokens or not self._shards:
            self._flush()
        return tuple(self._shards)

    def _keep(self, ids: npt.NDArray[np.int64]) -> None:
        self._pending.append(ids.astype(self._dtype))
        self._pending_tokens += len(ids)

    def _flush(self) -> None:
        content = b"".join(array.tobytes() for array in self._pending)
        name = f"{self._part}-{len(self._shards):05d}.bin"
        write_durably(self._folder / name, content)
        self._shards.append(
            Shard(
                file=name,
                tokens=self._pending_tokens,
                sha256=hashlib.sha256(content).hexdigest(),
            )
        )
        self._pending, self._pending_tokens = [], 0


def write_durably(path: Path, content: bytes) -> None:
    """Writes a file and waits until the disk has it."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def open_shards(
    folder: Path, shards: Sequence[Shard], *, vocab_size: int, verify: bool
) -> TokenSequence:
    """The tokens of `shards`; raises `DataFault` for a file that is missing, cut, or with `verify` altered."""
    dtype = token_dtype(vocab_size)
    for shard in shards:
        _check(folder / shard.file, shard, size_bytes=shard.tokens * dtype.itemsize, verify=verify)
    # numpy cannot map an empty file.
    return TokenSequence(
        [
            np.memmap(folder / shard.file, dtype=dtype, mode="r")
            if shard.tokens
            else np.empty(0, dtype=dtype)
            for shard in shards
        ]
    )


def _check(path: Path, shard: Shard, *, size_bytes: int, verify: bool) -> None:
    try:
        found_bytes = path.stat().st_size
        if found_bytes != size_bytes:
            raise _fault(path, f"{found_bytes} bytes", f"{size_bytes} bytes")
        if not verify:
            return
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _fault(path, error.strerror or str(error), "a file of tokens") from error
    if found != shard.sha256:
        raise _fault(path, f"SHA-256 {found}", f"SHA-256 {shard.sha256}")


def _fault(path: Path, found: str, expected: str) -> DataFault:
    return DataFault(
        Fault(
            where=str(path),
            found=found,
            expected=expected,
            action="Prepared data was changed; delete its folder and it is made again.",
        )
    )
