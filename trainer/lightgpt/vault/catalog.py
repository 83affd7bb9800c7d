"""What stands in a bucket: manifests, and which checkpoints are known to be whole.

A checkpoint counts as verified when its files were read back and compared, by this attempt or an earlier one, and the service has had the
same ETags of them ever since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from lightgpt.checkpoint.faults import BrokenFile
from lightgpt.vault.places import (
    PREFIX,
    Listing,
    StepObjects,
    file_key,
    read_listing,
    verified_key,
)
from runcontract.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Manifest,
    ManifestFile,
    parse_manifest,
)

if TYPE_CHECKING:
    from lightgpt.vault.objects import Objects, StoredObject

_MAX_RECORD_BYTES = 4 << 20


class Catalog:
    """Reads a run's checkpoints in a bucket; raises `BucketFault` where the service cannot be asked."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._read: dict[tuple[str, str], bytes] = {}

    def listing(self) -> Listing:
        """What is there now."""
        return read_listing(self._objects.listed(PREFIX))

    def manifest(self, step: int, found: StepObjects) -> tuple[Manifest, bytes]:
        """The manifest of the checkpoint at `step` and its bytes; raises `BrokenFile`."""
        if found.manifest is None:
            raise BrokenFile(f"{MANIFEST} is missing")
        raw = self._content(found.manifest, MAX_MANIFEST_BYTES + 1)
        try:
            manifest = parse_manifest(raw)
        except ValueError as error:
            raise BrokenFile(f"{MANIFEST}: {error}") from error
        if manifest.step != step:
            raise BrokenFile(f"{MANIFEST} is of step {manifest.step}, its place of step {step}")
        return manifest, raw

    def highest_attempt(self, listing: Listing, *, run_uid: str) -> int:
        """The highest attempt of the run that has begun to write; 0 when none has."""
        highest = max(listing.locks, default=0)
        for step in listing.committed():
            with suppress(BrokenFile, FileNotFoundError):
                manifest, _ = self.manifest(step, listing.steps[step])
                if manifest.run_uid == run_uid:
                    highest = max(highest, manifest.attempt)
        return highest

    def is_verified(self, step: int, found: StepObjects) -> bool:
        """Whether it was read back, and nothing of it was written since; raises `BrokenFile` when a file is not there as it should be."""
        manifest, raw = self.manifest(step, found)
        etags = etags_of(manifest, found)
        return found.verified is not None and self._content(
            found.verified, _MAX_RECORD_BYTES
        ) == _record(raw, etags)

    def verify(self, step: int, found: StepObjects) -> None:
        """Reads every file of the checkpoint back and remembers that it is whole; raises `BrokenFile`."""
        manifest, raw = self.manifest(step, found)
        etags = etags_of(manifest, found)
        for expected in manifest.files:
            self.check_file(file_key(step, manifest.attempt, expected.name), expected)
        self._objects.put(verified_key(step), _record(raw, etags))

    def check_file(self, key: str, expected: ManifestFile) -> None:
        """Reads one file; raises `BrokenFile` when it is not as its manifest says."""
        digest = hashlib.sha256()
        try:
            for piece in self._objects.pieces(key, expected.size_bytes):
                digest.update(piece)
        except FileNotFoundError as error:
            raise BrokenFile(f"{expected.name} is missing") from error
        if digest.hexdigest() != expected.sha256:
            raise BrokenFile(f"{expected.name} does not match its hash: it was altered or damaged")

    def _content(self, each: StoredObject, at_most_bytes: int) -> bytes:
        """Read once, and again only when it was written anew."""
        key = (each.key, each.etag)
        if key not in self._read:
            try:
                self._read[key] = self._objects.get(each.key, at_most_bytes=at_most_bytes)
            except FileNotFoundError as error:
                raise BrokenFile(f"{each.key.rpartition('/')[2]} is missing") from error
        return self._read[key]


def etags_of(manifest: Manifest, found: StepObjects) -> dict[str, str]:
    """The ETag of each file of the checkpoint; raises `BrokenFile` when one is not there in the size that its manifest says."""
    files = found.files.get(manifest.attempt, {})
    for expected in manifest.files:
        there = files.get(expected.name)
        if there is None:
            raise BrokenFile(f"{expected.name} is missing")
        if there.size_bytes != expected.size_bytes:
            raise BrokenFile(
                f"{expected.name} has {there.size_bytes} bytes, its manifest says {expected.size_bytes}"
            )
    return {expected.name: files[expected.name].etag for expected in manifest.files}


def _record(manifest: bytes, etags: Mapping[str, str]) -> bytes:
    digest = hashlib.sha256(manifest).hexdigest()
    return json.dumps({"digest": digest, "etags": etags}, sort_keys=True).encode()
