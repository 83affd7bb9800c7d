"""The checkpoints of one attempt in a bucket: published, brought back, set aside, deleted by the rule.

The manifest is the commit and is created only where there is none. An attempt writes files below its own number, so nothing that it does
late can change what a later one wrote; before it commits or deletes it looks whether there is a later one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lightgpt.checkpoint.faults import BrokenFile, BucketFault, CheckpointWarning, fenced_off
from lightgpt.checkpoint.filesystem import FileSystem
from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.whole import read_manifest
from lightgpt.vault.beginning import MOST_BYTES, Beginning
from lightgpt.vault.catalog import Catalog, etags_of
from lightgpt.vault.documents import Documents
from lightgpt.vault.fetching import fetch
from lightgpt.vault.places import Listing, StepObjects, file_key, lock_key, manifest_key
from runcontract.losses import Loss
from runcontract.manifest import MANIFEST, Manifest, checkpoint_name
from runcontract.order import Checkpoints
from runcontract.results import KeptCheckpoint
from runcontract.retention import KnownCheckpoint, Retention, retain

if TYPE_CHECKING:
    from lightgpt.vault.objects import Objects


class Vault:
    """One run's prefix of a bucket, as the attempt that owns it uses it. `folder` is the run's output folder.

    Everything raises `BucketFault` where the service fails, and `CheckpointFault` when a later attempt has begun.
    """

    def __init__(
        self,
        objects: Objects,
        folder: Path,
        *,
        identity: CheckpointIdentity,
        settings: Checkpoints,
        warn: Callable[[CheckpointWarning], None],
        pins: frozenset[int] = frozenset(),
    ) -> None:
        self.where = objects.where
        self._objects = objects
        self._catalog = Catalog(objects)
        self._documents = Documents(objects, folder)
        self._identity = identity
        self._settings = settings
        self._warn = warn
        self.pins = pins
        """Steps that are pinned beside those with a pin in the bucket."""
        self.resumed_from: int | None = None
        self.scored_later: dict[int, Loss] = {}
        """Validation losses of checkpoints that were published before their step was scored."""

    def claim(self) -> None:
        """Keeps earlier attempts from writing, removes what killed ones left, and brings the run's documents into the folder."""
        self._unfenced()
        self._objects.put(lock_key(self._identity.attempt), b"")
        listing = self._unfenced()
        earlier = [each.key for n, each in listing.locks.items() if n < self._identity.attempt]
        self._objects.remove((*earlier, *self._leftovers(listing)))
        self._documents.bring()

    def steps(self) -> tuple[int, ...]:
        """Steps of the checkpoints there, newest first."""
        return self._catalog.listing().committed()

    def quarantined(self) -> tuple[str, ...]:
        """Names of the checkpoints that were set aside."""
        return tuple(checkpoint_name(step) for step in self._catalog.listing().quarantined())

    def manifest(self, step: int) -> Manifest:
        """The manifest of the checkpoint at `step`; raises `BrokenFile`."""
        return self._catalog.manifest(step, self._catalog.listing().steps[step])[0]

    def fetch(self, step: int, checkpoints: Path, files: FileSystem) -> None:
        """Brings the checkpoint at `step` into the folder `checkpoints`; raises `BrokenFile` when it is not whole or not there, and OSError."""
        found = self._catalog.listing().steps.get(step)
        if found is None:
            raise BrokenFile("no checkpoint")
        manifest, raw = self._catalog.manifest(step, found)
        etags_of(manifest, found)
        fetch(
            self._objects,
            manifest,
            raw,
            folder=checkpoints,
            attempt=self._identity.attempt,
            files=files,
        )

    def bring_newest(
        self,
        checkpoints: Path,
        files: FileSystem,
        *,
        accept: Callable[[str, Manifest], None] = lambda _where, _manifest: None,
    ) -> int | None:
        """Has the folder `checkpoints` hold the newest checkpoint that is whole, and returns its step; None when there is none.

        Broken ones are set aside. `accept` raises where one is not to be taken, and is told where that is. Raises OSError too.
        """
        for step in self.steps():
            name = checkpoint_name(step)
            try:
                accept(f"{self.where}/{name}", self.manifest(step))
                if not (checkpoints / name).exists():
                    self.fetch(step, checkpoints, files)
            except BrokenFile as error:
                self.quarantine(step, str(error))
            else:
                return step
        return None

    def tell_beginning(self, step: int | None) -> None:
        """Tells the attempt's other machines from which step it goes on; None where it begins anew."""
        self._unfenced()
        told = Beginning(resumed_from_step=step)
        self._objects.put(lock_key(self._identity.attempt), told.model_dump_json().encode())

    def beginning(self) -> Beginning | None:
        """What `tell_beginning` told on another machine; None while it has told nothing. Raises `BrokenFile` for anything else."""
        try:
            raw = self._objects.get(lock_key(self._identity.attempt), at_most_bytes=MOST_BYTES)
            return Beginning.model_validate_json(raw) if raw else None
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise BrokenFile(str(error)) from error

    def quarantine(self, step: int, found: str) -> None:
        """Sets the broken checkpoint at `step` aside: its files stay, its manifest gets another name."""
        listing = self._unfenced()
        if step not in listing.committed():
            return
        number = len(listing.steps[step].broken) + 1
        target = f"{manifest_key(step)}.broken-{number}"
        self._objects.copy(manifest_key(step), target)
        self._objects.remove((manifest_key(step),))
        self._warn(
            CheckpointWarning(
                reason="CheckpointQuarantined",
                message=f"{self.where}/{manifest_key(step)} is broken and was renamed to {target.rpartition('/')[2]}: {found}",
            )
        )

    def publish(self, path: Path) -> None:
        """Has the bucket keep the committed checkpoint at `path`, and says nothing before it was read back from there.

        Raises also OSError and `BrokenFile` when the folder fails.
        """
        manifest, _ = read_manifest(path)
        raw = (path / MANIFEST).read_bytes()
        step = manifest.step
        listing = self._unfenced()
        if step in listing.committed():
            if self._is_there(step, listing):
                self.send_documents()
                return
            listing = self._unfenced()
        for file in manifest.files:
            key = file_key(step, manifest.attempt, file.name)
            self._objects.put_file(key, path / file.name)
        self.send_documents()
        self._unfenced()
        self._objects.put_new(manifest_key(step), raw)
        # One that lost the race, or the answer, finds what won: it must be whole as well.
        if not self._is_there(step, self._catalog.listing()):
            raise BucketFault(
                f"{self.where}/{manifest_key(step)}",
                "what was read back differs from what was written",
            )

    def send_documents(self) -> None:
        """Has the bucket keep the run's documents as they are now."""
        self._documents.send()

    def prune(self, *, anew: bool = False) -> tuple[str, ...]:
        """Deletes what the retention rule gives up and returns the names that stay.

        `anew` reads every file again instead of trusting what was not written since it was read back.
        """
        listing = self._unfenced()
        retention = self._retention(self._known(listing, anew=anew))
        for step in retention.deleted:
            self._objects.remove(listing.steps[step].keys())
        return tuple(checkpoint_name(step) for step in sorted(retention.kept))

    def inventory(self) -> tuple[KeptCheckpoint, ...]:
        """What is there, oldest first, with why it is kept."""
        listing = self._catalog.listing()
        known = self._known(listing)
        retention = self._retention(known)
        return tuple(
            self._kept(each, listing, retention)
            for each in sorted(known, key=lambda checkpoint: checkpoint.step)
        )

    # ---- one look at the bucket ---------------------------------------------------------------------------------

    def _unfenced(self) -> Listing:
        """What is there now; raises `CheckpointFault` when a later attempt has begun."""
        listing = self._catalog.listing()
        newer = self._catalog.highest_attempt(listing, run_uid=self._identity.run_uid)
        if newer > self._identity.attempt:
            raise fenced_off(self.where, attempt=self._identity.attempt, newer=newer)
        return listing

    def _leftovers(self, listing: Listing) -> list[str]:
        """Files that no manifest names, of attempts up to this one. What is broken, or was set aside, keeps its files."""
        left = []
        for step, found in listing.steps.items():
            owner = 0
            if found.manifest is not None:
                try:
                    manifest, _ = self._catalog.manifest(step, found)
                    # One that names what is not there may be wrong in whose files are its own.
                    etags_of(manifest, found)
                    owner = manifest.attempt
                except BrokenFile:
                    continue
            elif found.broken:
                continue
            left += [
                each.key
                for attempt, files in found.files.items()
                if attempt != owner and attempt <= self._identity.attempt
                for each in files.values()
            ]
            if not owner and found.verified is not None:
                left.append(found.verified.key)
        return left

    def _is_there(self, step: int, listing: Listing) -> bool:
        """Whether the checkpoint at `step` is there and whole; a broken one is set aside."""
        try:
            self._catalog.verify(step, listing.steps.get(step, StepObjects()))
        except BrokenFile as error:
            self.quarantine(step, str(error))
            return False
        return True

    def _known(self, listing: Listing, *, anew: bool = False) -> list[KnownCheckpoint]:
        known = []
        for step in listing.committed():
            found = listing.steps[step]
            try:
                manifest, _ = self._catalog.manifest(step, found)
                if anew or not self._catalog.is_verified(step, found):
                    self._catalog.verify(step, found)
            except BrokenFile as error:
                self.quarantine(step, str(error))
                continue
            validation = self._validation(step, manifest)
            known.append(
                KnownCheckpoint(
                    step=step,
                    verified=True,
                    validation_loss=validation.nats_per_token if validation else None,
                    pinned=step in listing.pinned or step in self.pins,
                )
            )
        return known

    def _validation(self, step: int, manifest: Manifest) -> Loss | None:
        return manifest.validation or self.scored_later.get(step)

    def _retention(self, known: list[KnownCheckpoint]) -> Retention:
        return retain(
            known,
            keep_latest=self._settings.keep_latest,
            keep_best=self._settings.keep_best,
            resumed_from=self.resumed_from,
        )

    def _kept(
        self, checkpoint: KnownCheckpoint, listing: Listing, retention: Retention
    ) -> KeptCheckpoint:
        manifest, raw = self._catalog.manifest(checkpoint.step, listing.steps[checkpoint.step])
        return KeptCheckpoint(
            name=checkpoint_name(checkpoint.step),
            step=checkpoint.step,
            size_bytes=manifest.size_bytes,
            digest=hashlib.sha256(raw).hexdigest(),
            epoch=manifest.epoch,
            saved_time=manifest.created_time,
            verified=checkpoint.verified,
            validation=self._validation(checkpoint.step, manifest),
            kept_because=tuple(sorted(retention.kept.get(checkpoint.step, ()))),
        )
