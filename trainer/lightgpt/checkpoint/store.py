"""The checkpoints of one training attempt, as its loop holds them.

Saving copies the state into reused memory, which is all the time the loop loses, and a thread does the rest: write, commit,
read back, compare, and only then let retention delete. One save is under way at a time; the next waits for it.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from torch import Tensor

from lightgpt.checkpoint.faults import BrokenFile, CheckpointWarning, only_broken, storage_fault
from lightgpt.checkpoint.fence import Fence
from lightgpt.checkpoint.filesystem import FileSystem
from lightgpt.checkpoint.identity import CheckpointIdentity, differences
from lightgpt.checkpoint.places import committed_steps, quarantined
from lightgpt.checkpoint.reading import LoadedCheckpoint, load_checkpoint
from lightgpt.checkpoint.shelf import Shelf
from lightgpt.checkpoint.snapshot import Snapshot, SnapshotBuffers, state_bytes
from lightgpt.checkpoint.whole import read_manifest
from lightgpt.checkpoint.writing import SaveJob, write_checkpoint
from lightgpt.vault.publishing import publish_and_prune
from lightgpt.vault.vault import Vault
from runcontract.faults import CheckpointFault, Fault
from runcontract.losses import Loss
from runcontract.manifest import Manifest, checkpoint_name
from runcontract.order import Checkpoints
from runcontract.results import KeptCheckpoint

if TYPE_CHECKING:
    # A run that keeps its checkpoints in a folder alone never loads the library for buckets.
    from lightgpt.vault.objects import Objects


@dataclass(frozen=True, kw_only=True)
class SavedCheckpoint:
    """A checkpoint that was committed, read back and found whole. `seconds` from the copy to the comparison."""

    name: str
    manifest: Manifest
    digest: str
    seconds: float
    kept: tuple[str, ...]


class CheckpointStore:
    """Saves to, and loads from, one run's checkpoint folder; a context manager that finishes what it began.

    With `objects` every checkpoint is kept in that bucket too, counts as saved only when it is whole there, and is taken up from there.
    Making one claims the folder, and the bucket, for the attempt and sweeps what killed attempts left. Only the process that writes makes
    one (rank 0); others use `lightgpt.checkpoint.reading`. Raises `CheckpointFault` when a later attempt or another process
    owns the folder and `StorageFault` when it cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        identity: CheckpointIdentity,
        settings: Checkpoints,
        files: FileSystem | None = None,
        objects: Objects | None = None,
    ) -> None:
        self._folder = folder
        self._identity = identity
        self._files = files or FileSystem()
        self._buffers = SnapshotBuffers()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint-writer")
        self._pending: list[Future[SavedCheckpoint]] = []
        self._warnings: list[CheckpointWarning] = []
        self._shelf = Shelf(
            folder,
            attempt=identity.attempt,
            settings=settings,
            files=self._files,
            warn=self._warnings.append,
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fence = Fence(
                folder, attempt=identity.attempt, run_uid=identity.run_uid, files=self._files
            )
            self._shelf.sweep()
            self._vault = None if objects is None else self._claimed(objects, settings)
        except OSError as error:
            raise storage_fault(folder, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def prepare(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Takes the memory for snapshots of `tensors` ahead of time, so that the first save stalls no longer than others."""
        self._buffers.fill(tensors)

    def save(
        self,
        snapshot: Snapshot,
        *,
        step: int,
        epoch: float,
        tokens: int,
        validation: Loss | None = None,
        best_validation: Loss | None = None,
        parent_step: int | None = None,
    ) -> float:
        """Copies `snapshot` and has it written in the background; returns the seconds that the caller stood still.

        Waits for the save before it, whose fault stays for `poll`. A whole checkpoint of the same step that exists already is
        kept as it is: it was committed, and replacing it would leave a moment with neither.
        """
        called_s = time.monotonic()
        if self._pending:
            self._pending[-1].exception()
        began_s = time.monotonic()  # waiting for another one is no part of how long this one takes
        job = SaveJob(
            step=step,
            epoch=epoch,
            tokens=tokens,
            created_time=datetime.now(UTC),
            parent_step=self._shelf.resumed_from if parent_step is None else parent_step,
            validation=validation,
            best_validation=best_validation,
            state=state_bytes(snapshot.state),
            files=self._buffers.fill(snapshot.tensors),
        )
        self._pending.append(self._writer.submit(self._commit, job, began_s))
        return time.monotonic() - called_s

    def is_free(self, *, within_seconds: float) -> bool:
        """Whether no save is under way; waits so long for the one that is."""
        return not wait(self._pending[-1:], timeout=within_seconds).not_done

    def note_validation(self, step: int, validation: Loss) -> None:
        """Tells the loss at `step`, whose checkpoint may have been saved before it was scored: then it counts from now on."""
        self._shelf.scored_later[step] = validation
        if self._vault is not None:
            self._vault.scored_later[step] = validation

    def note_pins(self, steps: frozenset[int]) -> None:
        """Keeps the checkpoints at `steps` from retention, beside those with a pin file; replaces what was noted before."""
        self._shelf.pins = steps
        if self._vault is not None:
            self._vault.pins = steps

    def poll(self) -> list[SavedCheckpoint]:
        """Saves that finished since the last call, in their order; raises the `StorageFault` or `CheckpointFault` of one that failed.

        A failed save is told by a call of its own, so no save before it or behind it goes untold.
        """
        finished: list[SavedCheckpoint] = []
        while self._pending and self._pending[0].done():
            if finished and self._pending[0].exception() is not None:
                break
            finished.append(self._pending.pop(0).result())
        return finished

    def wait(self) -> list[SavedCheckpoint]:
        """As `poll`, after the save under way is finished."""
        if self._pending:
            self._pending[-1].exception()
        return self.poll()

    def take_warnings(self) -> list[CheckpointWarning]:
        """Warnings since the last call."""
        taken = list(self._warnings)
        del self._warnings[: len(taken)]
        return taken

    def close(self) -> None:
        """Finishes the save under way and gives the folder up; faults that nobody polled are dropped."""
        self._writer.shutdown(wait=True)
        self._buffers.close()
        self._fence.release()

    def load_newest(self) -> LoadedCheckpoint | None:
        """The newest checkpoint that is whole; None when the run has never saved one.

        Broken ones are set aside and told of in `take_warnings`. Raises `CheckpointFault` when there are only broken ones, or
        when the newest whole one belongs to another configuration.
        """
        if self._vault is not None:
            self._bring_newest(self._vault)
        for step in committed_steps(self._folder):
            loaded = self._load(step)
            if loaded is not None:
                self._resumed_from(step)
                self._shelf.mark_verified(step, loaded.manifest)
                return loaded
        broken = [path.name for path in quarantined(self._folder)]
        if self._vault is not None:
            broken += self._vault.quarantined()
        if broken:
            where = self._folder if self._vault is None else self._vault.where
            raise only_broken(where, broken)
        return None

    def inventory(self) -> tuple[KeptCheckpoint, ...]:
        """The checkpoints that are kept, oldest first; raises `StorageFault` when a bucket does not say."""
        if self._vault is None:
            return self._shelf.inventory()
        try:
            return self._vault.inventory()
        except OSError as error:
            raise storage_fault(self._folder, error) from error

    def folder_of(self, step: int) -> Path:
        """Where the kept checkpoint at `step` can be read on this machine; raises `StorageFault`, and `CheckpointFault` when it is broken."""
        path = self._folder / checkpoint_name(step)
        if self._vault is not None and not path.exists():
            try:
                self._vault.fetch(step, self._folder, self._files)
            except OSError as error:
                raise storage_fault(path, error) from error
            except BrokenFile as error:
                raise CheckpointFault(
                    Fault(
                        where=f"{self._vault.where}: {path.name}",
                        found=str(error),
                        expected="a whole checkpoint",
                    )
                ) from error
        return path

    def send_documents(self) -> None:
        """Has the bucket, where there is one, keep the run's documents as they are now; raises `StorageFault`."""
        if self._vault is not None:
            try:
                self._vault.send_documents()
            except OSError as error:
                raise storage_fault(self._folder, error) from error

    def _claimed(self, objects: Objects, settings: Checkpoints) -> Vault:
        vault = Vault(
            objects,
            self._folder.parent,
            identity=self._identity,
            settings=settings,
            warn=self._warnings.append,
        )
        vault.claim()
        return vault

    def _resumed_from(self, step: int | None) -> None:
        self._shelf.resumed_from = step
        if self._vault is not None:
            self._vault.resumed_from = step

    def _bring_newest(self, vault: Vault) -> None:
        """Has the folder hold the newest checkpoint of the bucket that is whole."""
        try:
            vault.bring_newest(self._folder, self._files, accept=self._refuse_another_configuration)
        except OSError as error:
            raise storage_fault(self._folder, error) from error

    def _load(self, step: int) -> LoadedCheckpoint | None:
        path = self._folder / checkpoint_name(step)
        try:
            manifest, _ = read_manifest(path)
            self._refuse_another_configuration(str(path), manifest)
            loaded = load_checkpoint(path)
        except BrokenFile as error:
            self._shelf.quarantine(step, str(error))
            return None
        except OSError as error:
            if error.errno != errno.EIO:
                raise storage_fault(
                    path, error, expected="a checkpoint that can be read"
                ) from error
            self._shelf.quarantine(step, error.strerror or "an input/output error")
            return None
        if loaded.manifest.run_uid != self._identity.run_uid:
            self._warnings.append(
                CheckpointWarning(
                    reason="CheckpointOfAnotherRun",
                    message=f"{path.name} was written by run {loaded.manifest.run_uid!r} with the same configuration",
                )
            )
        return loaded

    def _refuse_another_configuration(self, path: str, manifest: Manifest) -> None:
        found = differences(manifest, self._identity)
        if found:
            raise CheckpointFault(
                *(
                    Fault(
                        where=f"{path}: {fault.where}",
                        found=fault.found,
                        expected=fault.expected,
                        action=fault.action,
                    )
                    for fault in found
                )
            )

    # ---- in the writer's thread ---------------------------------------------------------------------------------

    def _commit(self, job: SaveJob, began_s: float) -> SavedCheckpoint:
        path = self._folder / checkpoint_name(job.step)
        try:
            try:
                manifest, digest = self._write_and_verify(job)
            except OSError:
                # Deleting what retention gives up may be all that the device lacked.
                self._prune(anew=True)
                manifest, digest = self._write_and_verify(job)
            kept = None if self._vault is None else self._publish(self._vault, path)
        except OSError as error:
            raise storage_fault(path, error) from error
        self._resumed_from(None)
        in_folder = self._prune()
        return SavedCheckpoint(
            name=path.name,
            manifest=manifest,
            digest=digest,
            seconds=time.monotonic() - began_s,
            kept=in_folder if kept is None else kept,
        )

    def _publish(self, vault: Vault, path: Path) -> tuple[str, ...]:
        kept = publish_and_prune(vault, path, self._warnings.append)
        if kept is None:
            return tuple(checkpoint_name(step) for step in reversed(committed_steps(self._folder)))
        return kept

    def _write_and_verify(self, job: SaveJob) -> tuple[Manifest, str]:
        self._fence.check()
        path = self._folder / checkpoint_name(job.step)
        if path.exists():
            try:
                found = self._shelf.verify(job.step)
            except BrokenFile as error:
                self._shelf.quarantine(job.step, str(error))
            else:
                self._files.sync_folder(self._folder)
                return found
        write_checkpoint(
            self._folder, job, self._identity, self._files, may_commit=self._fence.check
        )
        try:
            return self._shelf.verify(job.step)
        except BrokenFile as error:
            self._shelf.quarantine(job.step, str(error))
            raise OSError(errno.EIO, f"what was read back differs: {error}", str(path)) from error

    def _prune(self, *, anew: bool = False) -> tuple[str, ...]:
        self._fence.check()
        try:
            return self._shelf.prune(anew=anew)
        except OSError as error:
            self._warnings.append(
                CheckpointWarning(
                    reason="CheckpointFolderFault",
                    message=f"cannot delete old checkpoints: {error.strerror}",
                )
            )
            return tuple(checkpoint_name(step) for step in reversed(committed_steps(self._folder)))
