"""The committed checkpoints of one run folder: which are whole, which to set aside, which to delete.

Every deletion goes through here, and each is preceded by a look at what stays: a checkpoint counts as verified only when its
hashes were compared and its files have not been touched since (size, times, inode).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lightgpt.checkpoint.faults import BrokenFile, CheckpointWarning
from lightgpt.checkpoint.filesystem import FileSystem, remove_tree
from lightgpt.checkpoint.places import (
    committed_steps,
    leftovers,
    pin_path,
    quarantine_path,
    tombstone_path,
)
from lightgpt.checkpoint.whole import check_files, read_manifest
from runcontract.losses import Loss
from runcontract.manifest import Manifest, checkpoint_name
from runcontract.order import Checkpoints
from runcontract.results import KeptCheckpoint
from runcontract.retention import KnownCheckpoint, Retention, retain

_Touched = tuple[tuple[int, int, int, int], ...]


class Shelf:
    """The checkpoints below `folder`, as the attempt that owns the folder keeps them."""

    def __init__(
        self,
        folder: Path,
        *,
        attempt: int,
        settings: Checkpoints,
        files: FileSystem,
        warn: Callable[[CheckpointWarning], None],
    ) -> None:
        self._folder = folder
        self._attempt = attempt
        self._settings = settings
        self._files = files
        self._warn = warn
        self._verified: dict[int, _Touched] = {}
        self.resumed_from: int | None = None
        self.pins: frozenset[int] = frozenset()
        """Steps that are pinned without a file in the folder."""
        self.scored_later: dict[int, Loss] = {}
        """Validation losses of checkpoints that were saved before their step was scored."""

    def sweep(self) -> None:
        """Removes what killed attempts were writing or deleting. Renamed first: a writer that still lives finds its folder gone."""
        for path in leftovers(self._folder, up_to_attempt=self._attempt):
            try:
                self._remove(path)
            except OSError as error:
                self._warn(_cannot("remove", path, error))

    def quarantine(self, step: int, found: str) -> None:
        """Sets the broken checkpoint at `step` aside under another name, where a person can look at it."""
        path = self._path(step)
        target = quarantine_path(path)
        self._verified.pop(step, None)
        try:
            self._files.rename(path, target)
            self._files.sync_folder(self._folder)
        except OSError as error:
            self._warn(_cannot("set aside", path, error))
            return
        self._warn(
            CheckpointWarning(
                reason="CheckpointQuarantined",
                message=f"{path.name} is broken and was renamed to {target.name}: {found}",
            )
        )

    def mark_verified(self, step: int, manifest: Manifest) -> None:
        """Remembers that the hashes of the checkpoint at `step` were compared just now."""
        self._verified[step] = self._touched(step, manifest)

    def verify(self, step: int) -> tuple[Manifest, str]:
        """Compares every hash of the checkpoint at `step` and returns manifest and digest; raises `BrokenFile`, OSError."""
        manifest, digest = read_manifest(self._path(step))
        before = self._touched(step, manifest)
        check_files(self._path(step), manifest)
        self._verified[step] = before
        return manifest, digest

    def prune(self, *, anew: bool = False) -> tuple[str, ...]:
        """Deletes what the retention rule gives up and returns the names that stay; raises OSError.

        `anew` compares the hashes of all checkpoints again instead of trusting untouched files.
        """
        if anew:
            self._verified.clear()
        retention = self._retention(self._known())
        for step in retention.deleted:
            self.delete(step)
        return tuple(checkpoint_name(step) for step in sorted(retention.kept))

    def delete(self, step: int) -> None:
        """Deletes the checkpoint at `step`, under a tombstone's name first; raises OSError. The caller has the rule's word for it."""
        self._remove(self._path(step))
        self._verified.pop(step, None)

    def is_as_read(self, step: int) -> bool:
        """Whether the checkpoint at `step` was verified here and nothing has touched its files since."""
        try:
            manifest, _ = read_manifest(self._path(step))
            return self._verified.get(step) == self._touched(step, manifest)
        except (BrokenFile, OSError):
            return False

    def inventory(self) -> tuple[KeptCheckpoint, ...]:
        """What is there, oldest first, with why it is kept."""
        known = self._known()
        retention = self._retention(known)
        return tuple(
            self._kept(checkpoint, retention)
            for checkpoint in sorted(known, key=lambda checkpoint: checkpoint.step)
        )

    def _known(self) -> list[KnownCheckpoint]:
        known = []
        for step in committed_steps(self._folder):
            try:
                manifest = self._whole(step)
            except BrokenFile as error:
                self.quarantine(step, str(error))
            except OSError as error:
                # Neither counted on nor deleted: what cannot be read today may be whole tomorrow.
                self._warn(_cannot("read", self._path(step), error))
            else:
                validation = self._validation(step, manifest)
                known.append(
                    KnownCheckpoint(
                        step=step,
                        verified=True,
                        validation_loss=validation.nats_per_token if validation else None,
                        pinned=step in self.pins or pin_path(self._folder, step).exists(),
                    )
                )
        return known

    def _validation(self, step: int, manifest: Manifest) -> Loss | None:
        return manifest.validation or self.scored_later.get(step)

    def _whole(self, step: int) -> Manifest:
        manifest, _ = read_manifest(self._path(step))
        if self._verified.get(step) == self._touched(step, manifest):
            return manifest
        return self.verify(step)[0]

    def _touched(self, step: int, manifest: Manifest) -> _Touched:
        path = self._path(step)
        found = []
        for file in manifest.files:
            try:
                state = (path / file.name).lstat()
            except FileNotFoundError as error:
                raise BrokenFile(f"{file.name} is missing") from error
            found.append((state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
        return tuple(found)

    def _retention(self, known: list[KnownCheckpoint]) -> Retention:
        return retain(
            known,
            keep_latest=self._settings.keep_latest,
            keep_best=self._settings.keep_best,
            resumed_from=self.resumed_from,
        )

    def _kept(self, checkpoint: KnownCheckpoint, retention: Retention) -> KeptCheckpoint:
        manifest, digest = read_manifest(self._path(checkpoint.step))
        return KeptCheckpoint(
            name=checkpoint_name(checkpoint.step),
            step=checkpoint.step,
            size_bytes=manifest.size_bytes,
            digest=digest,
            epoch=manifest.epoch,
            saved_time=manifest.created_time,
            verified=checkpoint.verified,
            validation=self._validation(checkpoint.step, manifest),
            kept_because=tuple(sorted(retention.kept.get(checkpoint.step, ()))),
        )

    def _remove(self, path: Path) -> None:
        tombstone = path
        if path.name.count(".deleted-") == 0:
            tombstone = tombstone_path(path, self._attempt)
            self._files.rename(path, tombstone)
            self._files.sync_folder(self._folder)
        remove_tree(tombstone, self._files)

    def _path(self, step: int) -> Path:
        return self._folder / checkpoint_name(step)


def _cannot(verb: str, path: Path, error: OSError) -> CheckpointWarning:
    found = error.strerror or os.strerror(error.errno or 0)
    return CheckpointWarning(
        reason="CheckpointFolderFault", message=f"cannot {verb} {path.name}: {found}"
    )
