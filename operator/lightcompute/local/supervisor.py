"""The process that watches one attempt: what the kubelet is to a pod.

`python -m lightcompute.local.supervisor ATTEMPT_FOLDER` reads the plan there, starts the trainer, enforces its deadline and
leaves an exit record. It needs no controller: one that dies changes nothing, and the cap on time holds. It decides nothing
about another attempt. Standard library only, so that it starts in a moment and holds little memory.

Signals to it: SIGTERM asks the trainer to save and leave, with the grace time to do so; SIGQUIT kills it at once.
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
from lightcompute.local.records import Exit, Plan, Started

_PR_SET_CHILD_SUBREAPER = 36
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine sleeps, as the bill does."""
ASKED, KILLED, DEADLINE = "Asked", "Killed", "Deadline"


@dataclass
class _Signals:
    """What has come in by signals; they wake the loop through a pipe."""

    stop: bool = False
    kill: bool = False
    wakeup: int = field(default=-1)

    def install(self) -> None:
        self.wakeup, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, self._receive)
        # A terminal's own signals are not meant for a process of its own session, but a stray one must not end it.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.stop = self.stop or number == signal.SIGTERM
        self.kill = self.kill or number == signal.SIGQUIT

    def wait(self, seconds: float) -> None:
        if select.select([self.wakeup], [], [], max(seconds, 0.0))[0]:
            os.read(self.wakeup, 512)


def main(arguments: list[str]) -> int:
    """Supervises the attempt in the folder named by the one argument."""
    folder = Path(arguments[0])
    lock = try_lock(folder / records.LOCK)
    # One supervisor an attempt, ever: another that is alive holds the lock, one that was alive has left its record.
    if lock is None or records.read_started(folder) or records.read_exit(folder):
        return 0
    plan = records.read_plan(folder)
    if plan is None:
        sys.stderr.write(f"{folder / records.PLAN}: no plan of an attempt\n")
        return 1
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
    records.write_exit(folder, _watch(trainer, plan, running, signals))
    return 0


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


def _watch(
    trainer: subprocess.Popen[bytes], plan: Plan, started: Started, signals: _Signals
) -> Exit:
    """Waits for the trainer's end, and brings it about when it is time."""
    begin = time.clock_gettime(_CLOCK)
    deadline = float("inf") if plan.deadline_seconds is None else begin + plan.deadline_seconds
    kill_at = float("inf")
    because: str | None = None
    while True:
        if os.waitid(os.P_PID, trainer.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        now = time.clock_gettime(_CLOCK)
        if because is None and (signals.stop or signals.kill or now >= deadline):
            because = DEADLINE if now >= deadline else ASKED
            kill_at = now + plan.grace_seconds
            _signal(trainer.pid, signal.SIGTERM)
        if now >= kill_at or signals.kill:
            because = KILLED if signals.kill else because
            _signal_group(trainer.pid)
        # A deadline past the grace is tried again each second: a process in the kernel's hands may not die at once.
        signals.wait(min((kill_at if because else deadline) - now, 60.0) if now < kill_at else 1.0)
    # Its status is not collected yet, so its number still names its group and no other.
    _signal_group(trainer.pid)
    _, status, usage = os.wait4(trainer.pid, 0)
    trainer.returncode = os.waitstatus_to_exitcode(status)
    _end_orphans()
    return _exit(plan, started, trainer.returncode, _bytes(usage.ru_maxrss), because)


def _exit(plan: Plan, started: Started, code: int, peak_bytes: int, because: str | None) -> Exit:
    how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
    why = {
        ASKED: " after it was asked to stop",
        KILLED: " after it was killed on request",
        DEADLINE: f" after its deadline of {plan.deadline_seconds} s",
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
