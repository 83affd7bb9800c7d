"""The attempts of one run as processes of this machine: what is seen of them, and their start and stop.

An attempt is started at most once, ever: its supervisor holds a lock while it lives and leaves a record of itself. What is
seen is told only when it is certain; where a process of the run is left over, it is ended first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lightcompute.api.reasons import Reason
from lightcompute.backend import TemporaryFault
from lightcompute.core.progress import Progress
from lightcompute.core.snapshot import Child, ChildState
from lightcompute.local import records
from lightcompute.local.files import is_locked, read_record, try_lock
from lightcompute.local.process import is_alive, processes_with_variables, send_signal
from lightcompute.local.records import Exit, Plan, Started, Terms
from lightcompute.local.supervisor import MACHINE
from lightcompute.local.tail import ReportTail
from runcontract import environment
from runcontract.results import TerminationMessage

GRACE_SECONDS = 30
"""Shortest time from asking an attempt to leave until it is killed."""
_START_SECONDS = 20.0
_PIECES_AT_ONCE = 8


class AttemptProcesses:
    """One attempt's folder, with what was read of its log so far."""

    def __init__(self, folder: Path, *, run_uid: str, number: int) -> None:
        self.folder = folder
        self._uid = run_uid
        self._number = number
        self._tail = ReportTail(folder / records.STDOUT)
        self._progress = Progress(attempt=number)
        self._heard_until: datetime | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None

    # ---- seen --------------------------------------------------------------------------------------------------

    def child(self, *, through_torchrun: bool) -> Child | None:
        """What is seen of the attempt now; None when nothing of it ever ran."""
        if self._supervisor is not None:
            self._supervisor.poll()  # Collects its exit status, so that it does not stay as a zombie.
        lives = is_locked(self.folder / records.LOCK)
        started = records.read_started(self.folder)
        ended = records.read_exit(self.folder)
        if started is None or started.run_uid != self._uid:
            return None
        if ended is not None:
            return self._gone(ended, through_torchrun)
        terms = records.read_terms(self.folder) or Terms()
        seen = Child(
            attempt=self._number,
            state=ChildState.RUNNING if lives else ChildState.UNKNOWN,
            start_time=started.started_time,
            stopping=terms.stop,
            deadline_seconds=terms.deadline_seconds,
            progress=self.progress(),
            heard_until=self._heard_until,
        )
        if lives or is_alive(started.trainer) or self.end_leftovers(of_attempt=True):
            return seen
        return self._vanished(started) or seen

    def _vanished(self, started: Started) -> Child | None:
        """Puts on record that the supervisor died without a word; nobody can write another end after that."""
        ended = self._unseen_end(started)  # Before the lock is taken, which may make its file.
        lock = try_lock(self.folder / records.LOCK)
        if lock is None:
            return None
        try:
            if records.read_exit(self.folder) is None:
                records.write_exit(self.folder, ended)
        finally:
            os.close(lock)
        return self.child(through_torchrun=False)

    def _unseen_end(self, started: Started) -> Exit:
        return Exit(
            run_uid=self._uid,
            attempt=self._number,
            exit_code=None,
            signal=None,
            started_time=started.started_time,
            finished_time=max(self._last_sign_of_life(), started.started_time),
            peak_memory_bytes=None,
            stopped_because=None,
            message="The supervisor of the attempt is gone without a word, and the trainer with it.",
        )

    def _last_sign_of_life(self) -> datetime:
        """The latest time at which it can have been alive: a heartbeat later than its last touch of any file."""
        names = (records.LOCK, records.STARTED, records.STDOUT, records.STDERR)
        paths = (self.folder / name for name in names)
        newest = max(path.stat().st_mtime for path in paths if path.exists())
        sign = datetime.fromtimestamp(newest, UTC) + timedelta(seconds=records.HEARTBEAT_SECONDS)
        return min(sign, records.now())

    def _gone(self, ended: Exit, through_torchrun: bool) -> Child:
        termination = self._termination()
        code = ended.exit_code
        terms = records.read_terms(self.folder) or Terms()
        if through_torchrun and code is not None and termination is not None:
            code = termination.exit_code
        return Child(
            attempt=self._number,
            state=ChildState.VANISHED if ended.vanished else ChildState.EXITED,
            start_time=ended.started_time,
            end_time=ended.finished_time,
            exit_code=code,
            signal=ended.signal,
            interruption=Reason.PREEMPTED if ended.stopped_because == MACHINE else None,
            cause=ended.message if _tells_more(ended) else "",
            deadline_seconds=terms.deadline_seconds,
            progress=self.progress(),
            heard_until=self._heard_until,
            termination=termination,
        )

    def _termination(self) -> TerminationMessage | None:
        record = read_record(self.folder / records.TERMINATION)
        try:
            return None if record is None else TerminationMessage.model_validate(record)
        except ValueError:
            return None

    def progress(self) -> Progress:
        """What the trainer has said up to now."""
        began = records.now()
        for _ in range(_PIECES_AT_ONCE):
            reports = self._tail.read()
            for report in reports:
                self._progress = self._progress.with_report(report)
            if self._tail.at_end:
                self._heard_until = began
                break
        return self._progress

    # ---- done --------------------------------------------------------------------------------------------------

    def is_alive(self) -> bool:
        """Whether its supervisor lives."""
        return is_locked(self.folder / records.LOCK)

    def was_started(self) -> bool:
        """Whether a supervisor of the attempt lives or has lived."""
        return is_locked(self.folder / records.LOCK) or bool(records.read_started(self.folder))

    def start(self, plan: Plan, terms: Terms) -> None:
        """Starts the attempt's supervisor and waits until it says that it runs. Where one was ever started: does nothing."""
        if self.was_started():
            return
        known = records.read_terms(self.folder)
        if known is not None and known.stop:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        records.write_plan(self.folder, plan)
        records.write_terms(self.folder, terms)
        with (self.folder / records.SUPERVISOR_LOG).open("ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "lightcompute.local.supervisor", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONSAFEPATH": "1"},
            )
        self._await_supervisor(self._supervisor)

    def _await_supervisor(self, supervisor: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            if records.read_started(self.folder):
                return
            code = supervisor.poll()
            if code is not None and not records.read_started(self.folder):
                raise TemporaryFault(
                    f"The supervisor of attempt {self._number} ended with {code} before it began: "
                    f"see {self.folder / records.SUPERVISOR_LOG}."
                )
            time.sleep(0.02)
        raise TemporaryFault(
            f"The supervisor of attempt {self._number} did not begin in {_START_SECONDS:g} s."
        )

    def stop(self, grace_seconds: int) -> None:
        """Asks the trainer to save and leave; one that never started never will."""
        self.folder.mkdir(parents=True, exist_ok=True)
        known = records.read_terms(self.folder) or Terms()
        shorter = min(grace_seconds, known.grace_seconds) if known.stop else grace_seconds
        self._change(known, replace(known, stop=True, grace_seconds=shorter))

    def renew_deadline(self, seconds: int | None) -> None:
        """Changes the deadline, counted from the start; None takes it away."""
        known = records.read_terms(self.folder)
        if known is not None:
            self._change(known, replace(known, deadline_seconds=seconds))

    def _change(self, known: Terms, terms: Terms) -> None:
        if terms != known:
            records.write_terms(self.folder, terms)
        started = records.read_started(self.folder)
        if started is not None:
            send_signal(started.supervisor, signal.SIGUSR1)

    def end_leftovers(self, *, of_attempt: bool) -> bool:
        """Kills what lives of the attempt, or of the whole run, without a supervisor; whether anything was there."""
        marks = {environment.RUN_UID: self._uid}
        if of_attempt:
            marks[environment.ATTEMPT] = str(self._number)
        found = False
        for process in processes_with_variables(marks):
            found = send_signal(process, signal.SIGKILL) or found
        return found


def _tells_more(ended: Exit) -> bool:
    """Whether its message says what code and signal don't: what came from the machine, and ends without a trainer's word."""
    return ended.stopped_because == MACHINE or ended.peak_memory_bytes is None
