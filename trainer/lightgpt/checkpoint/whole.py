"""Whether what is on a disk is what its manifest says, byte for byte. Needs no torch: it looks at files, never at tensors."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightgpt.checkpoint.faults import BrokenFile
from runcontract.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Manifest,
    ManifestFile,
    parse_manifest,
    step_of,
)

CHUNK_BYTES = 8 << 20


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
    chunk = memoryview(bytearray(CHUNK_BYTES))
    digest = hashlib.sha256()
    with opened_as_expected(path, expected) as file:
        # What was just written would be read from memory, whatever the device made of it.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while count := file.readinto(chunk):
            digest.update(chunk[:count])
    compare(expected, digest.hexdigest())


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
def opened_as_expected(path: Path, expected: ManifestFile) -> Iterator[io.FileIO]:
    """The file of the checkpoint at `path` in the size that its manifest says; raises `BrokenFile`, OSError."""
    with opened(path / expected.name) as (file, size_bytes):
        if size_bytes != expected.size_bytes:
            raise BrokenFile(
                f"{expected.name} has {size_bytes} bytes, its manifest says {expected.size_bytes}"
            )
        yield file


def compare(expected: ManifestFile, sha256: str) -> None:
    """Raises `BrokenFile` when `sha256` is not that of the manifest."""
    if sha256 != expected.sha256:
        raise BrokenFile(f"{expected.name} does not match its hash: it was altered or damaged")
