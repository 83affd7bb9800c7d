"""Puts one checkpoint on the disk: all of it, or nothing that could be taken for it.

The order is the protocol: files, then the manifest, each on the device before the folder's name says that they are there. A
process killed anywhere in between leaves a `.tmp-` folder that nobody reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch

from lightgpt.checkpoint.faults import TooLittleSpace
from lightgpt.checkpoint.filesystem import FileSystem, remove_tree
from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.places import temporary_path
from lightgpt.checkpoint.snapshot import FilledFile
from runcontract.losses import Loss
from runcontract.manifest import (
    MANIFEST,
    STATE_FILE,
    Manifest,
    ManifestFile,
    checkpoint_name,
    sealed_bytes,
)

_CHUNK_BYTES = 8 << 20
_SPARE_BYTES = 4 << 20
"""For the manifest, folders and the run's other files, beyond the checkpoint's own size."""


@dataclass(frozen=True, kw_only=True)
class SaveJob:
    """A copied snapshot with what its manifest will say."""

    step: int
    epoch: float
    tokens: int
    created_time: datetime
    parent_step: int | None
    validation: Loss | None
    best_validation: Loss | None
    files: tuple[FilledFile, ...]
    state: bytes

    @property
    def size_bytes(self) -> int:
        """Size of all files to come, but for the manifest."""
        return sum(file.size_bytes for file in self.files) + len(self.state)


def write_checkpoint(
    folder: Path,
    job: SaveJob,
    identity: CheckpointIdentity,
    files: FileSystem,
    *,
    may_commit: Callable[[], None],
) -> None:
    """Commits `job` as `folder/step-N`, which is not there; on failure removes what it wrote and raises OSError.

    `may_commit` is asked at the last moment and raises when the answer is no.
    """
    free_bytes = files.free_bytes(folder)
    if free_bytes < job.size_bytes + _SPARE_BYTES:
        raise TooLittleSpace(
            folder, free_bytes=free_bytes, needed_bytes=job.size_bytes + _SPARE_BYTES
        )
    temporary = temporary_path(folder, job.step, identity.attempt)
    try:
        files.make_folder(temporary)
        written = tuple(_write_all(temporary, job, files))
        manifest = sealed_bytes(_manifest(job, identity, written))
        _write(temporary / MANIFEST, (memoryview(manifest),), files)
        files.sync_folder(temporary)
        may_commit()
        files.rename(temporary, folder / checkpoint_name(job.step))
        files.sync_folder(folder)
    except Exception:
        with suppress(OSError):
            remove_tree(temporary, files)
        raise


def _write_all(temporary: Path, job: SaveJob, files: FileSystem) -> Iterator[ManifestFile]:
    for file in job.files:
        yield _write(temporary / file.name, (memoryview(file.header), file.data), files)
    yield _write(temporary / STATE_FILE, (memoryview(job.state),), files)


def _write(path: Path, parts: tuple[memoryview, ...], files: FileSystem) -> ManifestFile:
    digest = hashlib.sha256()
    descriptor = files.create(path)
    try:
        for part in parts:
            for start in range(0, len(part), _CHUNK_BYTES):
                chunk = part[start : start + _CHUNK_BYTES]
                digest.update(chunk)
                files.write(descriptor, chunk)
        files.sync_file(descriptor)
    finally:
        files.close(descriptor)
    return ManifestFile(name=path.name, size_bytes=sum(map(len, parts)), sha256=digest.hexdigest())


def _manifest(
    job: SaveJob, identity: CheckpointIdentity, written: tuple[ManifestFile, ...]
) -> Manifest:
    return Manifest(
        run_uid=identity.run_uid,
        attempt=identity.attempt,
        step=job.step,
        epoch=job.epoch,
        tokens=job.tokens,
        created_time=job.created_time,
        parent_step=job.parent_step,
        configuration_hash=identity.configuration_hash,
        tokenizer_sha256=identity.tokenizer_sha256,
        data_sha256=identity.data_sha256,
        parameters=identity.parameters,
        model=dict(identity.model),
        training=dict(identity.training),
        validation=job.validation,
        best_validation=job.best_validation,
        world_size=identity.world_size,
        torch_version=torch.__version__,
        files=written,
    )
