"""This machine as a world for the loop: folders are the API, processes the pods, and there is one place, which is here.

It observes and carries out, and decides nothing. The process that uses it to act holds the run's lock
(`folder.controlling`); to observe needs none.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from lightcompute.api import TrainingRun, TrainingRunStatus
from lightcompute.api.money import MicroUSD, parse_usd
from lightcompute.api.status import Place
from lightcompute.backend import Conflict, PermanentFault, TemporaryFault
from lightcompute.core.decision import (
    Action,
    DeleteRun,
    Event,
    LetGo,
    ReleaseAttempt,
    ReleaseUpkeep,
    RenewDeadline,
    ServeCurves,
    StartAttempt,
    StartUpkeep,
    StopAttempt,
    TellAttempt,
)
from lightcompute.core.progress import Progress
from lightcompute.core.snapshot import Allowance, Child, Offer, Snapshot
from lightcompute.local import command, records
from lightcompute.local.attempts import GRACE_SECONDS, AttemptProcesses
from lightcompute.local.books import Books
from lightcompute.local.folder import RunFolder, Runs
from lightcompute.local.inventory import FoundCheckpoint, Inventory
from lightcompute.local.machine import this_machine
from lightcompute.local.records import Plan, Terms
from lightcompute.local.removal import remove
from lightcompute.local.store import RunStore, StatusChanged, source_folder
from runcontract import folder as names
from runcontract.audit import Audit
from runcontract.base import ReportModel
from runcontract.faults import ContractFault, StorageFault
from runcontract.results import KeptCheckpoint, Results

PRICE = "lightcompute.dev/price-per-hour-usd"
"""Annotation: what this machine costs for an hour."""
MAX_ATTEMPTS_SEEN = 32
_MAX_REPORT_BYTES = 4 << 20

_Report = TypeVar("_Report", bound=ReportModel)


class LocalBackend:
    """The runs below one folder. `key` is a run's name."""

    def __init__(self, runs: Runs, tell: Callable[[Event], None] | None = None) -> None:
        self._runs = runs
        self._tell = tell
        self._attempts: dict[tuple[str, int], AttemptProcesses] = {}
        self._inventories: dict[str, Inventory] = {}
        self._books = Books(runs)
        self._seen: dict[str, tuple[datetime, tuple[Allowance, ...]]] = {}
        """What TrainingBudgets had for a run when it was last observed, and when that was."""

    def progress(self, run: TrainingRun) -> Progress | None:
        """What the newest attempt has said up to now; cheap enough to ask several times a second."""
        newest = self._newest(run)
        return newest.progress() if newest else None

    def is_alive(self, run: TrainingRun) -> bool:
        """Whether the newest attempt has a supervisor."""
        newest = self._newest(run)
        return newest is not None and newest.is_alive()

    def has_other_allowances(self, run: TrainingRun) -> bool:
        """Whether TrainingBudgets have more or less for the run than when it was last observed; cheap enough to ask several times a second."""
        seen = self._seen.get(run.metadata.uid)
        if seen is None:
            return False
        now, allowances = seen
        return self._books.allowances(run, now) != allowances

    def kill(self, run: TrainingRun) -> None:
        """Ends the newest attempt without its time of grace."""
        newest = self._newest(run)
        if newest is not None:
            newest.stop(0)

    def _newest(self, run: TrainingRun) -> AttemptProcesses | None:
        if not run.status.attempts:
            return None
        folder = self._runs.folder(run.metadata.name)
        return self._attempt(run, folder, run.status.attempts[-1].number)

    async def observe(self, key: str) -> Snapshot | None:
        """The run and what is seen of it now."""
        folder = self._runs.folder(key)
        if not folder.exists():
            return None
        try:
            run, now = RunStore(folder).read(), records.now()
            allowances = self._books.allowances(run, now)
            self._seen[run.metadata.uid] = now, allowances
            return Snapshot(
                run=run,
                now=now,
                allowances=allowances,
                children=self._children(run, folder),
                offers=(local_offer(run),),
                checkpoints=self._checkpoints(folder),
                results=read_report(folder.path / names.RESULTS, Results),
                audit=read_report(folder.path / names.AUDIT, Audit),
                faults=command.faults(run),
                grace_seconds=GRACE_SECONDS,
            )
        except OSError as error:
            raise TemporaryFault(f"{folder.path} cannot be read: {error}") from error

    async def record(self, run: TrainingRun, status: TrainingRunStatus) -> TrainingRun:
        """Writes the status, unless since the run was read somebody else did, or what TrainingBudgets have for it changed."""
        store = RunStore(self._runs.folder(run.metadata.name))
        version = run.metadata.resource_version or ""
        try:
            with self._books.held():
                # What is to be recorded was decided by what budgets had left.
                if self.has_other_allowances(run):
                    raise Conflict(
                        f"{store.folder.path}: another run has just reserved or freed money."
                    )
                store.write_status(status, version=version)
                self._books.remember(records.now())
            return store.read()
        except StatusChanged as error:
            raise Conflict(f"{error} was changed by another process.") from error
        except (OSError, StorageFault) as error:
            raise TemporaryFault(f"{store.folder.path} cannot be written: {error}") from error

    async def perform(self, run: TrainingRun, action: Action) -> None:
        """Carries `action` out."""
        folder = self._runs.folder(run.metadata.name)
        try:
            match action:
                case StartAttempt():
                    self._start(run, folder, action)
                case StopAttempt(attempt=attempt, grace_seconds=grace_seconds):
                    self._attempt(run, folder, attempt).stop(grace_seconds)
                case RenewDeadline(attempt=attempt, deadline_seconds=deadline_seconds):
                    self._attempt(run, folder, attempt).renew_deadline(deadline_seconds)
                case ReleaseAttempt():
                    return  # Records and logs stay for people; nothing else is left.
                case DeleteRun():
                    keep = run.spec.checkpoints.when_deleted == "Retain"
                    self._books.depart(run.metadata.uid, records.now())
                    remove(folder, run_uid=run.metadata.uid, keep_checkpoints=keep)
                case StartUpkeep() | ReleaseUpkeep() | TellAttempt() | ServeCurves():
                    return  # Commands see to that here: nothing of it is seen, so nothing is decided.
                case LetGo():
                    return  # No finalizers here: a folder is deleted by whoever deletes it.
        except OSError as error:
            raise TemporaryFault(f"{folder.path}: {error.strerror or error}") from error
        except ContractFault as error:
            raise TemporaryFault(str(error)) from error

    async def announce(self, run: TrainingRun, events: tuple[Event, ...]) -> None:  # noqa: ARG002 - one terminal, one run
        """Tells whoever listens."""
        if self._tell is not None:
            for event in events:
                self._tell(event)

    def _attempt(self, run: TrainingRun, folder: RunFolder, number: int) -> AttemptProcesses:
        key = (run.metadata.uid, number)
        if key not in self._attempts:
            self._attempts[key] = AttemptProcesses(
                folder.attempt(number), run_uid=run.metadata.uid, number=number
            )
        return self._attempts[key]

    def _children(self, run: TrainingRun, folder: RunFolder) -> tuple[Child, ...]:
        live = {attempt.number for attempt in run.status.attempts if attempt.is_live}
        numbers = sorted(live | set(folder.attempts()[-MAX_ATTEMPTS_SEEN:]))
        through_torchrun = command.uses_torchrun(run)
        seen = (
            self._attempt(run, folder, number).child(through_torchrun=through_torchrun)
            for number in numbers
        )
        return tuple(child for child in seen if child is not None)

    def _start(self, run: TrainingRun, folder: RunFolder, action: StartAttempt) -> None:
        attempt = self._attempt(run, folder, action.attempt)
        if attempt.was_started():
            return
        if attempt.end_leftovers(of_attempt=False):
            raise TemporaryFault("Processes of an earlier attempt were left over and are ended.")
        faults = command.faults(run)
        if faults:
            raise PermanentFault(" ".join(faults))
        folder.requests.mkdir(exist_ok=True)
        plan = Plan(
            run_uid=run.metadata.uid,
            attempt=action.attempt,
            command=command.command(run, folder),
            variables=command.variables(
                run,
                folder,
                attempt=action.attempt,
                stop_after_seconds=action.stop_after_seconds,
                termination_log=attempt.folder / records.TERMINATION,
                inherited=os.environ,
            ),
            folder=str(source_folder(run)),
        )
        terms = Terms(deadline_seconds=action.deadline_seconds, grace_seconds=action.grace_seconds)
        attempt.start(plan, terms)

    def _checkpoints(self, folder: RunFolder) -> tuple[KeptCheckpoint, ...]:
        inventory = self._inventories.setdefault(folder.name, Inventory(folder.path))
        return tuple(_kept(found) for found in inventory.read())


def local_offer(run: TrainingRun) -> Offer:
    """This machine, at the price that the run was given for it."""
    return Offer(place=local_place(), rate_per_hour=price_per_hour(run), any_placement=True)


def local_place() -> Place:
    """This machine as a place."""
    return Place(cluster="local", pool=platform.node()[:63], gpu_type=this_machine().cpu[:63])


def price_per_hour(run: TrainingRun) -> MicroUSD:
    """What this machine costs the run for an hour; nothing when nobody said."""
    return parse_usd(run.metadata.annotations.get(PRICE, "0"))


def _kept(found: FoundCheckpoint) -> KeptCheckpoint:
    manifest = found.manifest
    return KeptCheckpoint(
        name=found.name,
        step=found.step,
        size_bytes=manifest.size_bytes if manifest else 0,
        digest=found.digest,
        verified=found.whole,
        validation=manifest.validation if manifest else None,
    )


def read_report(path: Path, model: type[_Report]) -> _Report | None:
    """A report of the trainer, or None: what is no such report spoils nothing but itself."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_REPORT_BYTES + 1)
        return model.model_validate(json.loads(raw)) if len(raw) <= _MAX_REPORT_BYTES else None
    except (FileNotFoundError, ValueError, RecursionError):
        return None
