"""Which checkpoints a run has, by their manifests. Their files are sized, not read: hashing gigabytes is the trainer's task.

A checkpoint whose manifest is damaged or whose files are missing or of another size counts as not verified.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from runcontract import folder
from runcontract.manifest import MANIFEST, MAX_MANIFEST_BYTES, Manifest, parse_manifest, step_of

MAX_CHECKPOINTS = 2000


@dataclass(frozen=True, kw_only=True)
class FoundCheckpoint:
    """A committed checkpoint; `manifest` is None when it cannot be read."""

    name: str
    step: int
    manifest: Manifest | None
    digest: str
    whole: bool


class Inventory:
    """The checkpoints below a run's folder; a manifest is read once and again only when its file changed."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / folder.CHECKPOINTS
        self._known: dict[str, tuple[tuple[int, int], Manifest | None, str]] = {}

    def read(self) -> tuple[FoundCheckpoint, ...]:
        """The newest checkpoints, in the order of their steps."""
        try:
            names = {path.name: step_of(path.name) for path in self._folder.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            return ()
        steps = sorted((step, name) for name, step in names.items() if step is not None)
        found = [self._look(name, step) for step, name in steps[-MAX_CHECKPOINTS:]]
        known = {checkpoint.name for checkpoint in found if checkpoint}
        self._known = {name: value for name, value in self._known.items() if name in known}
        return tuple(checkpoint for checkpoint in found if checkpoint)

    def _look(self, name: str, step: int) -> FoundCheckpoint | None:
        path = self._folder / name
        try:
            stat = (path / MANIFEST).stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            known = self._known.get(name)
            if known is None or known[0] != stamp:
                manifest, digest = _read(path / MANIFEST)
                self._known[name] = known = (stamp, manifest, digest)
        except (FileNotFoundError, NotADirectoryError):
            # Not committed, or deleted between the two looks.
            return None
        _, manifest, digest = known
        whole = manifest is not None and manifest.step == step and _has_files(path, manifest)
        return FoundCheckpoint(name=name, step=step, manifest=manifest, digest=digest, whole=whole)


def _read(path: Path) -> tuple[Manifest | None, str]:
    with path.open("rb") as file:
        raw = file.read(MAX_MANIFEST_BYTES + 1)
    digest = hashlib.sha256(raw).hexdigest()
    try:
        return parse_manifest(raw), digest
    except ValueError:
        return None, digest


def _has_files(path: Path, manifest: Manifest) -> bool:
    try:
        return all((path / file.name).stat().st_size == file.size_bytes for file in manifest.files)
    except FileNotFoundError:
        return False
