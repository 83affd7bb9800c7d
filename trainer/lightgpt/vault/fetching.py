"""Brings one checkpoint from a bucket into a folder, where it is committed as if it had been saved there."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lightgpt.checkpoint.faults import BrokenFile
from lightgpt.checkpoint.filesystem import FileSystem, remove_tree
from lightgpt.checkpoint.places import temporary_path
from lightgpt.vault.places import file_key
from runcontract.manifest import MANIFEST, Manifest, ManifestFile, checkpoint_name

if TYPE_CHECKING:
    from lightgpt.vault.objects import Objects


def fetch(
    objects: Objects,
    manifest: Manifest,
    raw: bytes,
    *,
    folder: Path,
    attempt: int,
    files: FileSystem,
) -> None:
    """Commits the checkpoint of `manifest`, whose bytes are `raw`, as `folder/step-N`, which is not there.

    Every file is hashed as it comes. Raises `BrokenFile` when one is not as its manifest says, `BucketFault` and OSError; then
    nothing is left in the folder.
    """
    temporary = temporary_path(folder, manifest.step, attempt)
    try:
        files.make_folder(temporary)
        for expected in manifest.files:
            key = file_key(manifest.step, manifest.attempt, expected.name)
            _fetch_file(objects, key, expected, temporary / expected.name, files)
        _write(temporary / MANIFEST, raw, files)
        files.sync_folder(temporary)
        files.rename(temporary, folder / checkpoint_name(manifest.step))
        files.sync_folder(folder)
    except Exception:
        with suppress(OSError):
            remove_tree(temporary, files)
        raise


def _fetch_file(
    objects: Objects, key: str, expected: ManifestFile, path: Path, files: FileSystem
) -> None:
    digest = hashlib.sha256()
    descriptor = files.create(path)
    try:
        for piece in objects.pieces(key, expected.size_bytes):
            digest.update(piece)
            files.write(descriptor, memoryview(piece))
        files.sync_file(descriptor)
    except FileNotFoundError as error:
        raise BrokenFile(f"{expected.name} is missing") from error
    finally:
        files.close(descriptor)
    if digest.hexdigest() != expected.sha256:
        raise BrokenFile(f"{expected.name} does not match its hash: it was altered or damaged")


def _write(path: Path, data: bytes, files: FileSystem) -> None:
    descriptor = files.create(path)
    try:
        files.write(descriptor, memoryview(data))
        files.sync_file(descriptor)
    finally:
        files.close(descriptor)
