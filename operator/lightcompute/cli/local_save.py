"""A checkpoint of a run on this machine, now: asked for by a file that its trainer reads, and waited for.

A checkpoint that began after it was asked for is the answer, be it because of it or not: its manifest tells when it began.
"""

from __future__ import annotations

import time
import uuid
from datetime import datetime

import click

from lightcompute.api import TrainingRun
from lightcompute.core.progress import Progress
from lightcompute.local import records
from lightcompute.local.backend import LocalBackend
from lightcompute.local.files import write_whole
from lightcompute.local.folder import RunFolder, Runs
from lightcompute.local.inventory import FoundCheckpoint, Inventory
from lightcompute.local.store import RunStore
from runcontract.exit_codes import ExitCode
from runcontract.faults import ConfigurationFault, Fault
from runcontract.requests import CHECKPOINT_NOW

_POLL_SECONDS = 0.2
CHECKPOINT_FAILED = "CheckpointFailed"
"""The trainer's warning of a save that failed."""


def save_now(runs: Runs, folder: RunFolder, timeout_seconds: float) -> int:
    """Asks, waits and tells; the exit code. Raises ConfigurationFault for a run of which nothing is alive."""
    return _Asking(runs, folder).until(time.monotonic() + timeout_seconds)


class _Asking:
    def __init__(self, runs: Runs, folder: RunFolder) -> None:
        self._backend = LocalBackend(runs)
        self._folder = folder
        self._store = RunStore(folder)
        self._inventory = Inventory(folder.path)
        self._asked_time = records.now()
        self._asked_of: tuple[int, bool] | None = None

    def until(self, end: float) -> int:
        if not self._is_alive(self._store.read()):
            raise self._nothing_alive()
        while True:
            run = self._store.read()
            alive = self._is_alive(run)
            progress = self._backend.progress(run)
            # Life is asked for before the folder is read: what was saved at the very end is found.
            if (found := self._answer()) is not None:
                click.echo(f"{self._folder.name}: the checkpoint of step {found.step} is saved.")
                return int(ExitCode.DONE)
            if not alive:
                return self._failed("It ended before it saved another checkpoint.")
            if (warning := self._warning(progress)) is not None:
                return self._failed(f"A save failed: {warning}.")
            self._ask(run, progress)
            if time.monotonic() >= end:
                return self._failed(
                    "It has not saved yet, and is still asked to. A trainer of your own may not hear requests (docs/contract.md)."
                )
            time.sleep(_POLL_SECONDS)

    def _ask(self, run: TrainingRun, progress: Progress | None) -> None:
        """Once of each attempt, and once more when it says that it has begun: what was there before that it does not heed."""
        began = progress is not None and progress.started is not None
        asked_of = (run.status.attempts[-1].number, began)
        if asked_of == self._asked_of:
            return
        self._asked_of = asked_of
        self._folder.requests.mkdir(exist_ok=True)
        text = f"{records.now():%Y-%m-%dT%H:%M:%SZ}-{uuid.uuid4().hex[:8]}"
        write_whole(self._folder.requests / CHECKPOINT_NOW, text)

    def _answer(self) -> FoundCheckpoint | None:
        found = [each for each in self._inventory.read() if each.whole and self._is_newer(each)]
        return found[-1] if found else None

    def _is_newer(self, found: FoundCheckpoint) -> bool:
        return (
            found.manifest is not None and _aware(found.manifest.created_time) >= self._asked_time
        )

    def _warning(self, progress: Progress | None) -> str | None:
        warned = progress.warned if progress is not None else None
        if warned is None or warned.reason != CHECKPOINT_FAILED:
            return None
        return warned.message if _aware(warned.time) >= self._asked_time else None

    def _is_alive(self, run: TrainingRun) -> bool:
        return self._backend.is_alive(run)

    def _failed(self, why: str) -> int:
        steps = [each.step for each in self._inventory.read() if each.whole]
        newest = f" Its newest checkpoint is of step {steps[-1]}." if steps else ""
        click.echo(f"{self._folder.name}: {why}{newest}", err=True)
        return int(ExitCode.INTERNAL_ERROR)

    def _nothing_alive(self) -> ConfigurationFault:
        phase = self._store.read().status.phase
        return ConfigurationFault(
            Fault(
                where=f"run {self._folder.name}",
                found=f"{phase}: nothing of it is alive",
                expected="a run that trains now",
                action=f"What it has saved: `lightcompute checkpoint list {self._folder.name}`.",
            )
        )


def _aware(moment: datetime) -> datetime:
    """A trainer that writes no time zone means this machine's clock."""
    return moment if moment.tzinfo else moment.astimezone()
