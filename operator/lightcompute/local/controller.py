"""Drives the loop for one run on this machine, until the run rests: finished, held, or waiting for a person.

It looks when the loop says so, and at once when the run's document changes, the attempt ends or a person interrupts. It
decides nothing: an interruption is a change of `spec.suspend`, as anybody could make it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import datetime, timedelta

from lightcompute.api import ConditionType, Phase, TrainingRun
from lightcompute.api.words import FINISHED
from lightcompute.core.progress import Progress
from lightcompute.local import records
from lightcompute.local.backend import LocalBackend
from lightcompute.local.folder import RunFolder
from lightcompute.local.store import RunStore, with_spec
from lightcompute.loop import Look, Loop

TICK_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 60.0
_BUDGETS_SECONDS = 1.0
"""So often it is seen whether other runs, or a person, changed what TrainingBudgets have left."""
_SOON = timedelta(seconds=0.5)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """A person insisted on leaving while the attempt had not ended: it goes on to its end without us."""


class Controller:
    """Acts for one run. The caller holds the run's lock."""

    def __init__(
        self,
        backend: LocalBackend,
        folder: RunFolder,
        show: Callable[[TrainingRun, Progress | None, str], None],
    ) -> None:
        self._backend = backend
        self._folder = folder
        self._store = RunStore(folder)
        self._show = show
        self._interruptions: list[signal.Signals] = []
        self._acted_on = 0

    @property
    def interrupted_by(self) -> signal.Signals | None:
        """The first signal that asked us to leave."""
        return self._interruptions[0] if self._interruptions else None

    async def to_rest(self) -> TrainingRun:
        """Looks until nothing more will happen by itself; returns the run as it is then."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._interruptions.append, number)
        try:
            return await self._to_rest()
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    async def _to_rest(self) -> TrainingRun:
        steps = Loop(self._backend)
        while True:
            look = await steps.step(self._folder.name, records.now())
            run = self._store.read()
            if rests(run):
                self._show(run, self._backend.progress(run), "")
                return run
            await self._wait(run, look)

    async def _wait(self, run: TrainingRun, look: Look) -> None:
        """Until it is time to look again or something happened, showing the run meanwhile."""
        begin = asyncio.get_running_loop().time()
        seen = self._stamp(run)
        due, asked = _due(look), begin
        while self._stamp(run) == seen:
            if len(self._interruptions) > self._acted_on:
                self._interrupt(run)
                return
            self._show(run, self._backend.progress(run), look.fault)
            waited = asyncio.get_running_loop().time() - begin
            if (due is not None and records.now() >= due) or waited > _LONGEST_WAIT_SECONDS:
                return
            if waited >= asked - begin + _BUDGETS_SECONDS:
                asked = begin + waited
                if self._money_changed(run):
                    return
            await asyncio.sleep(TICK_SECONDS)

    def _money_changed(self, run: TrainingRun) -> bool:
        """Whether TrainingBudgets have more or less for the run; where that cannot be read now, the next look tells why."""
        try:
            return self._backend.has_other_allowances(run)
        except OSError:
            return False

    def _stamp(self, run: TrainingRun) -> tuple[object, ...]:
        """What changes when something happened that the loop should see."""
        number = run.status.attempts[-1].number if run.status.attempts else 0
        attempt = self._folder.attempt(number)
        files = (self._folder.run_file, attempt / records.STARTED, attempt / records.EXIT)
        times = (path.stat().st_mtime_ns if path.exists() else None for path in files)
        progress = self._backend.progress(run)
        saves_fail = progress is not None and progress.last_failed_save is not None
        saves_are_slow = progress is not None and progress.slowness.since_step is not None
        return (self._backend.is_alive(run), saves_fail, saves_are_slow, *times)

    def _interrupt(self, run: TrainingRun) -> None:
        """First: save and leave. Again: leave without saving. Once more: we leave, the trainer may do as it likes."""
        self._acted_on = len(self._interruptions)
        if self._acted_on == 1:
            self._store.change(lambda run: with_spec(run, suspend=True))
        elif self._acted_on == 2:
            self._backend.kill(run)
        else:
            raise Interrupted


def _due(look: Look) -> datetime | None:
    """When to look again: what was just begun soon, everything else at its time."""
    soon = records.now() + _SOON if look.changed else None
    return min(filter(None, (look.look_again_at, soon)), default=None)


def rests(run: TrainingRun) -> bool:
    """Whether nothing will happen to the run until a person changes it."""
    status = run.status
    if status.observed_generation != run.metadata.generation:
        return False
    if any(attempt.is_live for attempt in status.attempts):
        return False
    return status.phase in FINISHED | {Phase.SUSPENDED, Phase.BUDGET_EXHAUSTED} or refused(run)


def refused(run: TrainingRun) -> bool:
    """Whether the spec cannot be carried out here."""
    conditions = run.status.conditions
    return any(
        each.type == ConditionType.ACCEPTED and each.status == "False" for each in conditions
    )
