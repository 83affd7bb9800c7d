"""Which checkpoints are sent: those that the program tells of, and those that it commits without a word."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime

from lightgpt.carry.sending import Parcel, Sender
from lightgpt.carry.staging import Staged, staged
from lightgpt.carry.terms import Terms
from lightgpt.carry.voice import Voice
from lightgpt.checkpoint.faults import BrokenFile, CheckpointWarning, storage_fault
from lightgpt.checkpoint.places import committed_steps
from runcontract.bounds import MAX_SECONDS
from runcontract.environment import ATTEMPT, RUN_UID
from runcontract.faults import ConfigurationFault, Fault, StorageFault
from runcontract.manifest import MANIFEST, checkpoint_name, step_of
from runcontract.progress import Saved

SILENT_SECONDS = 15.0
"""How long a committed checkpoint may stand without a report before it is sent without one: reports are not required."""


class Watch:
    """The program's folder of checkpoints. What was there before it started is not its own."""

    def __init__(
        self,
        terms: Terms,
        sender: Sender,
        voice: Voice,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terms = terms
        self._sender = sender
        self._voice = voice
        self._clock = clock
        self._lock = threading.Lock()
        self._before = frozenset(committed_steps(terms.checkpoints))
        self._taken = set(self._before)
        self._seen_s: dict[int, float] = {}
        self._told_time: datetime | None = None

    def told(self, report: Saved) -> None:
        """The program says that it has saved: that checkpoint is sent, and stands still while another one waits."""
        step = step_of(report.name)
        if step is None or report.name != checkpoint_name(step):
            self._warn(f"{report.name!r} is no name of a checkpoint, as {checkpoint_name(100)} is")
            return
        if step in self._sender.sent:
            return  # told already
        self._send(step, report)

    def look(self) -> None:
        """Sends what has stood there for a while and was not told of, where nothing waits; tells of what waits for long."""
        self._sender.look()
        if not self._sender.has_room():
            return
        now_s = self._clock()
        with self._lock:
            fresh = sorted(set(committed_steps(self._terms.checkpoints)) - self._taken)
            first_s = {step: self._seen_s.get(step, now_s) for step in fresh}
            self._seen_s = first_s
        for step in fresh:
            if now_s - first_s[step] >= SILENT_SECONDS:
                self._send(step, None)
                return  # one may wait

    def send_last(self) -> StorageFault | None:
        """After the program's end: sends the newest checkpoint where the bucket has it not; why that failed."""
        newest = next(iter(committed_steps(self._terms.checkpoints)), None)
        if newest is None or newest in self._sender.sent:
            return None
        parcel = self._parcel(newest, None)
        if isinstance(parcel, StorageFault):
            return parcel
        try:
            return None if parcel is None else self._sender.send(parcel)
        finally:
            if parcel is not None:
                parcel.staged.discard()

    def _send(self, step: int, report: Saved | None) -> None:
        with self._lock:
            self._taken.add(step)
        parcel = self._parcel(step, report)
        if isinstance(parcel, StorageFault):
            self._sender.failed(parcel)
        elif parcel is not None:
            self._sender.give(parcel)

    def _parcel(self, step: int, report: Saved | None) -> Parcel | StorageFault | None:
        """The checkpoint at `step`, held; why it cannot be; None where that was told and is no fault of the storage."""
        path = self._terms.checkpoints / checkpoint_name(step)
        try:
            held = staged(path, self._terms.staging)
        except BrokenFile as error:
            if not path.exists():
                self._warn(f"{path.name} was deleted before the bucket had it")
                return None
            expected = "a folder with a manifest, as docs/contract.md says"
            return StorageFault(Fault(where=str(path), found=str(error), expected=expected))
        except OSError as error:
            return storage_fault(path, error)
        stranger = self._stranger(held)
        if stranger is not None:
            held.discard()
            self._sender.give_up(ConfigurationFault(stranger))
            return None
        return Parcel(staged=held, report=report, interval_seconds=self._interval(report))

    def _interval(self, report: Saved | None) -> float | None:
        """Time between this report and the one before it, by the program's clock; None where it told no such thing."""
        before, self._told_time = self._told_time, report.time if report is not None else None
        if before is None or self._told_time is None:
            return None
        if before.tzinfo is None or self._told_time.tzinfo is None:
            return None
        return min(max((self._told_time - before).total_seconds(), 0.0), MAX_SECONDS)

    def _stranger(self, held: Staged) -> Fault | None:
        """Why the checkpoint cannot be one of this attempt: what is fenced by a number must not say another one."""
        manifest, terms = held.manifest, self._terms
        attempt = terms.environment.attempt
        where = f"{held.path.name}/{MANIFEST}"
        if manifest.run_uid != terms.run_uid:
            found = f"runUid {manifest.run_uid!r}"
            return Fault(where=where, found=found, expected=f"{terms.run_uid!r}, as {RUN_UID} says")
        if manifest.attempt != attempt and manifest.step not in self._before:
            found = f"attempt {manifest.attempt}"
            return Fault(where=where, found=found, expected=f"{attempt}, as {ATTEMPT} says")
        return None

    def _warn(self, message: str) -> None:
        self._voice.warn(CheckpointWarning(reason="CheckpointNotCarried", message=message))
