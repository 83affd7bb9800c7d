"""The process that watches one attempt: what the kubelet is to a pod.

`python -m lightcompute.local.supervisor ATTEMPT_FOLDER` reads the plan there, starts the trainer, enforces its deadline and
leaves an exit record. It needs no controller: one that dies changes nothing, and the cap on time holds. It decides nothing
about another attempt. Standard library only, so that it starts in a moment and holds little memory.

The terms in that folder may change meanwhile; SIGUSR1 makes it look at once. SIGTERM, as a machine sends it when it shuts
down, asks the trainer to save and leave, too.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from lightcompute.local import leash, records
from lightcompute.local.files import try_lock
from lightcompute.local.process import identity_of
from lightcompute.local.records import Exit, Plan, Started, Terms

_PR_SET_CHILD_SUBREAPER = 36
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, as the bill does."""
ASKED, DEADLINE, MACHINE = "Asked", "Deadline", "Machine"
"""Why a trainer was told to leave: the terms say so, its time is over, or somebody sent us SIGTERM."""


@dataclass
class _Signals:
    """What has come in by signals; they wake the loop through a pipe."""

    terminated: bool = False
    wakeup: int = field(default=-1)

    def install(self) -> None:
        self.wakeup, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1):
            signal.signal(number, self._receive)
        # A terminal's own signals are not meant for a process of its own session, but a stray one must not end it.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.terminated = self.terminated or number == signal.SIGTERM

    def wait(self, seconds: float) -> None:
        if select.select([self.wakeup], [], [], max(seconds, 0.0))[0]:
            os.read(self.wakeup, 512)


def main(arguments: list[str]) -> int:
    """Supervises the attempt in the folder named by the one argument."""
    folder = Path(arguments[0])
    lock = _lock(folder)
    # One supervisor an attempt, ever: another that is alive holds the lock, one that was alive has left its record.
    if lock is None or records.read_started(folder) or records.read_exit(folder):
        return 0
    plan, terms = records.read_plan(folder), records.read_terms(folder)
    if plan is None or terms is None:
        sys.stderr.write(f"{folder}: no plan and terms of an attempt\n")
        return 1
    if terms.stop:
        return 0
    signals = _Signals()
    signals.install()
    _adopt_orphans()
    started = _started(plan)
    # Before the trainer exists it is on record that it may.
    records.write_started(folder, started)
    try:
        trainer = _start_trainer(folder, plan)
    except OSError as error:
        records.write_exit(folder, _never_started(plan, started, str(error)))
        return 0
    running = Started(**{**vars(started), "trainer": identity_of(trainer.pid)})
    records.write_started(folder, running)
    records.write_exit(folder, _Watch(folder, plan, running, trainer.pid, signals).to_the_end())
    return 0


def _lock(folder: Path) -> int | None:
    """The lock of the attempt; tried for a second, since whoever asks whether it is held holds it for that moment."""
    for _ in range(20):
        lock = try_lock(folder / records.LOCK)
        if lock is not None:
            return lock
        time.sleep(0.05)
    return None


def _started(plan: Plan) -> Started:
    supervisor = identity_of(os.getpid())
    assert supervisor is not None, "this process lives"
    return Started(
        run_uid=plan.run_uid,
        attempt=plan.attempt,
        started_time=records.now(),
        supervisor=supervisor,
        trainer=None,
    )


def _start_trainer(folder: Path, plan: Plan) -> subprocess.Popen[bytes]:
    """Starts the trainer on a leash, in a session of its own, so that no terminal's Ctrl-C reaches it."""
    with (
        (folder / records.STDOUT).open("ab") as stdout,
        (folder / records.STDERR).open("ab") as stderr,
    ):
        return subprocess.Popen(
            [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *plan.command],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=plan.folder,
            env={**os.environ, **plan.variables},
            start_new_session=True,
        )


class _Watch:
    """The life of a trainer, from its start to the record of its end."""

    def __init__(
        self, folder: Path, plan: Plan, started: Started, pid: int, signals: _Signals
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._started = started
        self._pid = pid
        self._signals = signals
        self._terms = Terms()
        self._begin = time.clock_gettime(_CLOCK)
        self._asked_at: float | None = None
        self._because: str | None = None

    def to_the_end(self) -> Exit:
        """Waits for the trainer's end, and brings it about when it is time."""
        while not os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            (self._folder / records.LOCK).touch()
            self._terms = records.read_terms(self._folder) or self._terms
            self._signals.wait(min(self._act(), records.HEARTBEAT_SECONDS))
        # Its status is not collected yet, so its number still names its group and no other.
        _signal_group(self._pid)
        _, status, usage = os.wait4(self._pid, 0)
        _end_orphans()
        code, peak_bytes = os.waitstatus_to_exitcode(status), _bytes(usage.ru_maxrss)
        return _exit(self._plan, self._started, code, peak_bytes, self._because)

    def _act(self) -> float:
        """Does what is due now; returns the seconds until something else may be."""
        now = time.clock_gettime(_CLOCK)
        self._because = self._because or self._reason_to_leave(now)
        if self._because is None:
            limit = self._terms.deadline_seconds
            return records.HEARTBEAT_SECONDS if limit is None else self._begin + limit - now
        if self._asked_at is None:
            self._asked_at = now
            _signal(self._pid, signal.SIGTERM)
        left = self._asked_at + self._terms.grace_seconds - now
        if left > 0:
            return left
        # Again each second: a process in the kernel's hands may not die at once.
        _signal_group(self._pid)
        return 1.0

    def _reason_to_leave(self, now: float) -> str | None:
        limit = self._terms.deadline_seconds
        if self._terms.stop:
            return ASKED
        if limit is not None and now >= self._begin + limit:
            return DEADLINE
        return MACHINE if self._signals.terminated else None


def _exit(plan: Plan, started: Started, code: int, peak_bytes: int, because: str | None) -> Exit:
    how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    why = {
        ASKED: " after it was asked to stop",
        DEADLINE: " after its deadline",
        MACHINE: " after its supervisor was told to end, as when the machine shuts down",
        None: "",
    }[because]
    return Exit(
        run_uid=plan.run_uid,
        attempt=plan.attempt,
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        started_time=started.started_time,
        finished_time=records.now(),
        peak_memory_bytes=peak_bytes,
        stopped_because=because,
        message=f"The trainer ended with {how}{why}.",
    )


def _never_started(plan: Plan, started: Started, error: str) -> Exit:
    return Exit(
        run_uid=plan.run_uid,
        attempt=plan.attempt,
        exit_code=leash.NOT_FOUND,
        signal=None,
        started_time=started.started_time,
        finished_time=records.now(),
        peak_memory_bytes=None,
        stopped_because=None,
        message=f"The trainer could not be started: {error}"[:1024],
    )


def _adopt_orphans() -> None:
    """Makes what the trainer leaves behind our children, so that it can be found and ended."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_orphans() -> None:
    """Kills and collects every process that the trainer left; each death may hand us more."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while True:
        if children.exists():
            for pid in children.read_text(encoding="ascii").split():
                _signal(int(pid), signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _signal(pid: int, number: signal.Signals) -> None:
    # Ours until we collect its status: the number cannot have passed to another.
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _signal_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _bytes(max_rss: int) -> int:
    return max_rss if sys.platform == "darwin" else max_rss * 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
