"""Copies a checkpoint to another folder: whole and under its own name, or not at all.

Verified before, so that nothing broken is handed on; hashed as it is read and read back after it is written, so that the copy is
what the manifest says; the manifest last and the name by one rename, as when it was saved.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import Field

from lightgpt.checkpoint.faults import BrokenFile, TooLittleSpace, megabytes, storage_fault
from lightgpt.checkpoint.filesystem import FileSystem, remove_tree
from lightgpt.checkpoint.whole import check_files, opened, read_manifest
from runcontract.base import ReportModel
from runcontract.faults import CheckpointFault, Fault, StorageFault
from runcontract.manifest import MANIFEST, Manifest, ManifestFile, checkpoint_name

_CHUNK_BYTES = 8 << 20


class Copied(ReportModel):
    """What `lightgpt checkpoint copy --json` says."""

    schema_version: Literal[1] = Field(default=1, description="Version of this form.")
    source: str = Field(description="The checkpoint that was copied.")
    destination: str = Field(description="The copy.")
    step: int = Field(description="Optimizer steps done.")
    size_bytes: int = Field(description="Size of its files.")
    digest: str = Field(description="SHA-256 of its manifest, the same for both.")
    seconds: float = Field(description="Time it took.")

    def text(self) -> str:
        """The report for a person."""
        return (
            f"{self.destination}: {megabytes(self.size_bytes)}, verified, in {self.seconds:.2f} s"
        )


def copy_checkpoint(source: Path, destination: Path, *, files: FileSystem | None = None) -> Copied:
    """Copies the checkpoint in the folder `source` to a folder of its name in `destination`, which is made where it is not.

    Raises `CheckpointFault` for a source that is not whole, and `StorageFault` when the copy is there already or cannot be written.
    """
    began_s = time.monotonic()
    disk = files or FileSystem()
    try:
        manifest, digest = read_manifest(source)
        check_files(source, manifest)
    except BrokenFile as error:
        raise _broken(source, str(error)) from error
    except OSError as error:
        raise storage_fault(source, error, expected="a checkpoint that can be read") from error
    target = destination / checkpoint_name(manifest.step)
    _refuse_existing(target)
    try:
        _copy(source, target, manifest, digest, disk)
    except BrokenFile as error:
        raise _broken(source, f"{error}, while it was copied") from error
    except OSError as error:
        raise storage_fault(target, error) from error
    return Copied(
        source=str(source),
        destination=str(target),
        step=manifest.step,
        size_bytes=manifest.size_bytes,
        digest=digest,
        seconds=time.monotonic() - began_s,
    )


def _copy(source: Path, target: Path, manifest: Manifest, digest: str, disk: FileSystem) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    free_bytes = disk.free_bytes(target.parent)
    if free_bytes < manifest.size_bytes:
        raise TooLittleSpace(target, free_bytes=free_bytes, needed_bytes=manifest.size_bytes)
    # A name that nobody takes for a checkpoint, and that two copies at once do not share.
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.copy-", dir=target.parent))
    try:
        for file in manifest.files:
            _copy_file(source, temporary, file, disk)
        _copy_manifest(source, temporary, digest, disk)
        disk.sync_folder(temporary)
        check_files(temporary, read_manifest(temporary)[0])
        # mkdtemp lets in nobody else; a checkpoint is read by whoever may read its folder.
        temporary.chmod(source.stat().st_mode & 0o777)
        _refuse_existing(target)
        disk.rename(temporary, target)
        disk.sync_folder(target.parent)
    except Exception:
        with suppress(OSError):
            remove_tree(temporary, disk)
        raise


def _copy_file(source: Path, target: Path, file: ManifestFile, disk: FileSystem) -> None:
    digest = hashlib.sha256()
    chunk = memoryview(bytearray(min(_CHUNK_BYTES, max(file.size_bytes, 1))))
    descriptor = disk.create(target / file.name)
    try:
        with opened(source / file.name) as (reader, _):
            while count := reader.readinto(chunk):
                digest.update(chunk[:count])
                disk.write(descriptor, chunk[:count])
        disk.sync_file(descriptor)
    finally:
        disk.close(descriptor)
    if digest.hexdigest() != file.sha256:
        raise BrokenFile(f"{file.name} does not match its hash")


def _copy_manifest(source: Path, target: Path, digest: str, disk: FileSystem) -> None:
    with opened(source / MANIFEST) as (reader, size_bytes):
        raw = reader.read(size_bytes) or b""
    if hashlib.sha256(raw).hexdigest() != digest:
        raise BrokenFile(f"{MANIFEST} was changed")
    descriptor = disk.create(target / MANIFEST)
    try:
        disk.write(descriptor, memoryview(raw))
        disk.sync_file(descriptor)
    finally:
        disk.close(descriptor)


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise StorageFault(
            Fault(
                where=str(target),
                found="something of that name already",
                expected="a folder without this checkpoint",
                action="Nothing is overwritten: choose another folder, or move that away.",
            )
        )


def _broken(source: Path, found: str) -> CheckpointFault:
    return CheckpointFault(
        Fault(
            where=str(source),
            found=found,
            expected="a whole checkpoint to copy",
            action="`lightgpt checkpoint verify --all` shows which ones are whole; --step takes one of them.",
        )
    )
