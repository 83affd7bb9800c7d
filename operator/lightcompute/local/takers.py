"""The runs below one folder as those who add up their money see them, whoever acts for them, read anew only where something changed.

What a run takes follows from its record. Where nobody acts for a run the end of its attempt is not on record yet, so it is looked at: else the money
of an attempt that ended long ago would be kept for it until somebody goes on with its run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lightcompute.api import TrainingRun
from lightcompute.core.facts import establish
from lightcompute.core.snapshot import Snapshot
from lightcompute.local import command
from lightcompute.local.attempts import GRACE_SECONDS, AttemptProcesses
from lightcompute.local.files import Stamp, stamp_of
from lightcompute.local.folder import RunFolder, Runs
from lightcompute.local.store import RunStore
from runcontract.faults import ContractFault


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was found."""

    runs: dict[str, TrainingRun]
    """By UID."""
    fresh: frozenset[str]
    """UIDs of those that may take something else than when they were looked at before."""
    unread: tuple[str, ...]
    """Why runs cannot be read, each a sentence with the path: what they spent is not known."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    stamps: tuple[Stamp, Stamp]
    run: TrainingRun | None
    fault: str = ""


class Takers:
    """Remembers what it read, by folder."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._known: dict[str, _Known] = {}
        self._attempts: dict[tuple[str, int], AttemptProcesses] = {}

    def look(self, now: datetime) -> Taken:
        """All runs as they are at `now`."""
        runs: dict[str, TrainingRun] = {}
        fresh, unread = set(), []
        folders = self._runs.all()
        for folder in folders:
            known, is_new = self._read(folder)
            if known.run is None:
                unread += [known.fault] if known.fault else []
                continue
            uid, live = known.run.metadata.uid, _is_live(known.run)
            runs[uid] = self._as_seen(known.run, folder, now) if live else known.run
            if is_new or live:
                fresh.add(uid)
        names = {folder.name for folder in folders}
        self._known = {name: known for name, known in self._known.items() if name in names}
        return Taken(runs=runs, fresh=frozenset(fresh), unread=tuple(unread))

    def _read(self, folder: RunFolder) -> tuple[_Known, bool]:
        stamps = stamp_of(folder.run_file), stamp_of(folder.status_file)
        known = self._known.get(folder.name)
        if known is not None and known.stamps == stamps:
            return known, False
        run, fault = None, ""
        try:
            run = RunStore(folder).read()
        except FileNotFoundError:
            pass  # it was deleted meanwhile
        except ContractFault as error:
            fault = f"what the run {folder.name} spent cannot be read: {error.faults[0]}"
        except OSError as error:
            fault = f"what the run {folder.name} spent cannot be read: {folder.path}: {error.strerror or error}"
        self._known[folder.name] = _Known(stamps=stamps, run=run, fault=fault)
        return self._known[folder.name], True

    def _as_seen(self, run: TrainingRun, folder: RunFolder, now: datetime) -> TrainingRun:
        """With the end of its live attempt, where that came and nobody was there to record it."""
        if folder.has_controller():
            return run
        number = run.status.attempts[-1].number
        key = run.metadata.uid, number
        if key not in self._attempts:
            self._attempts[key] = AttemptProcesses(
                folder.attempt(number), run_uid=run.metadata.uid, number=number
            )
        try:
            child = self._attempts[key].child(through_torchrun=command.uses_torchrun(run))
        except OSError:
            child = None  # what cannot be looked at keeps what it reserved
        if child is None:
            return run
        seen = Snapshot(run=run, now=now, children=(child,), grace_seconds=GRACE_SECONDS)
        status = establish(seen).status
        # Of one that lives its record is what counts: the deadline in it is the one that its place keeps.
        return run if status.attempts[-1].is_live else run.with_status(status)


def _is_live(run: TrainingRun) -> bool:
    return bool(run.status.attempts) and run.status.attempts[-1].is_live
