"""The supervisor alone, with commands of a few lines: no controller lives while these run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lightcompute.local import records
from lightcompute.local.files import is_locked
from lightcompute.local.process import identity_of, is_alive, send_signal
from lightcompute.local.records import Exit, Plan, Started, Terms

SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
POLITE = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(13)); "
    "print('polite', flush=True); time.sleep(60)"
)


def prepare(folder: Path, command: tuple[str, ...], terms: Terms, cwd: Path | None = None) -> None:
    plan = Plan(
        run_uid="uid",
        attempt=1,
        command=command,
        variables={"GIVEN": "yes"},
        folder=str(cwd or folder),
    )
    records.write_plan(folder, plan)
    records.write_terms(folder, terms)


def supervise(folder: Path) -> None:
    command = [sys.executable, "-m", "lightcompute.local.supervisor", str(folder)]
    subprocess.run(command, check=True, timeout=60)


class Attempt:
    """An attempt's folder with its supervisor, started as the backend starts it."""

    def __init__(self, folder: Path, code: str, deadline: int | None = None, grace: int = 30):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        prepare(
            folder,
            (sys.executable, "-c", code),
            Terms(deadline_seconds=deadline, grace_seconds=grace),
        )
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "lightcompute.local.supervisor", str(self.folder)],
            start_new_session=True,
        )

    def change(self, terms: Terms) -> None:
        records.write_terms(self.folder, terms)

    def wait(self) -> Exit:
        self.process.wait(30)
        ended = records.read_exit(self.folder)
        assert ended is not None
        return ended

    def running(self, says: str = "") -> Started:
        eventually(lambda: bool((found := self._started()) and found.trainer))
        log = self.folder / records.STDOUT
        eventually(lambda: says in log.read_text("utf-8"))
        started = self._started()
        assert started is not None
        return started

    def _started(self) -> Started | None:
        return records.read_started(self.folder)


def eventually(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Attempt]]:
    attempts: list[Attempt] = []

    def start(code: str, **settings: int) -> Attempt:
        attempts.append(Attempt(tmp_path / "attempt", code, **settings))
        return attempts[-1]

    yield start
    for attempt in attempts:
        started = records.read_started(attempt.folder)
        if attempt.process.poll() is None:
            attempt.process.kill()
        attempt.process.wait(10)
        if started:
            send_signal(started.trainer, signal.SIGKILL)


def test_the_exit_record_tells_code_times_and_memory(start: Callable[..., Attempt]) -> None:
    attempt = start(
        "import sys, os; print(os.environ['GIVEN']); print('oh', file=sys.stderr); sys.exit(11)"
    )
    ended = attempt.wait()
    assert (ended.exit_code, ended.signal, ended.stopped_because) == (11, None, None)
    assert ended.started_time is not None
    assert ended.started_time <= ended.finished_time
    assert ended.peak_memory_bytes is not None
    assert ended.peak_memory_bytes > 1 << 20
    assert (attempt.folder / records.STDOUT).read_text("utf-8") == "yes\n"
    assert (attempt.folder / records.STDERR).read_text("utf-8") == "oh\n"


def test_a_death_by_signal_is_told_as_one(start: Callable[..., Attempt]) -> None:
    ended = start("import os; os.kill(os.getpid(), 9)").wait()
    assert (ended.exit_code, ended.signal) == (None, signal.SIGKILL)
    assert "SIGKILL" in ended.message


def test_a_command_that_does_not_exist_leaves_an_exit_record(tmp_path: Path) -> None:
    prepare(tmp_path, ("no-such-program",), Terms())
    supervise(tmp_path)
    ended = records.read_exit(tmp_path)
    assert ended is not None
    assert ended.exit_code == 127
    assert "no-such-program" in (tmp_path / records.STDERR).read_text("utf-8")


def test_a_working_folder_that_is_gone_leaves_an_exit_record(tmp_path: Path) -> None:
    prepare(tmp_path, ("true",), Terms(), cwd=tmp_path / "gone")
    supervise(tmp_path)
    ended = records.read_exit(tmp_path)
    assert ended is not None
    assert ended.exit_code == 127
    assert "could not be started" in ended.message


def test_the_deadline_asks_first(start: Callable[..., Attempt]) -> None:
    ended = start(POLITE, deadline=1).wait()
    assert (ended.exit_code, ended.stopped_because) == (13, "Deadline")


@pytest.mark.slow
def test_the_deadline_kills_what_does_not_listen(start: Callable[..., Attempt]) -> None:
    ended = start(DEAF, deadline=1, grace=1).wait()
    assert (ended.signal, ended.stopped_because) == (signal.SIGKILL, "Deadline")
    assert ended.started_time is not None
    assert 1.9 < (ended.finished_time - ended.started_time).total_seconds() < 20


def test_changed_terms_stop_the_trainer(start: Callable[..., Attempt]) -> None:
    attempt = start(POLITE)
    started = attempt.running("polite")
    attempt.change(Terms(stop=True))
    assert send_signal(started.supervisor, signal.SIGUSR1)
    ended = attempt.wait()
    assert (ended.exit_code, ended.stopped_because) == (13, "Asked")


def test_a_grace_time_that_was_cut_short_kills_at_once(start: Callable[..., Attempt]) -> None:
    attempt = start(DEAF, grace=1000)
    started = attempt.running("deaf")
    attempt.change(Terms(stop=True, grace_seconds=1000))
    send_signal(started.supervisor, signal.SIGUSR1)
    attempt.change(Terms(stop=True, grace_seconds=0))
    send_signal(started.supervisor, signal.SIGUSR1)
    ended = attempt.wait()
    assert (ended.signal, ended.stopped_because) == (signal.SIGKILL, "Asked")


def test_a_deadline_can_be_brought_forward(start: Callable[..., Attempt]) -> None:
    attempt = start(POLITE, deadline=10_000)
    started = attempt.running("polite")
    attempt.change(Terms(deadline_seconds=0))
    send_signal(started.supervisor, signal.SIGUSR1)
    assert attempt.wait().stopped_because == "Deadline"


@pytest.mark.slow
def test_a_deadline_that_moves_goes_on_counting_from_the_start(
    start: Callable[..., Attempt],
) -> None:
    attempt = start(POLITE, deadline=10_000)
    started = attempt.running("polite")
    moves = 0

    def ended_while_it_moves() -> bool:
        nonlocal moves
        moves += 1
        # A clock that began anew with each of them would never come to the end.
        attempt.change(Terms(deadline_seconds=1 + moves % 2))
        send_signal(started.supervisor, signal.SIGUSR1)
        return records.read_exit(attempt.folder) is not None

    eventually(ended_while_it_moves)
    assert attempt.wait().stopped_because == "Deadline"


def test_a_machine_that_shuts_down_lets_the_trainer_save(start: Callable[..., Attempt]) -> None:
    attempt = start(POLITE)
    send_signal(attempt.running("polite").supervisor, signal.SIGTERM)
    ended = attempt.wait()
    assert (ended.exit_code, ended.stopped_because) == (13, "Machine")


def test_what_was_stopped_before_it_started_never_starts(tmp_path: Path) -> None:
    prepare(tmp_path, ("touch", str(tmp_path / "ran")), Terms(stop=True))
    supervise(tmp_path)
    assert not (tmp_path / "ran").exists()
    assert records.read_started(tmp_path) is None


def test_the_trainer_dies_with_its_supervisor(start: Callable[..., Attempt]) -> None:
    attempt = start(DEAF)
    started = attempt.running("deaf")
    attempt.process.kill()
    attempt.process.wait(10)
    eventually(lambda: not is_alive(started.trainer))
    assert records.read_exit(attempt.folder) is None
    assert not is_locked(attempt.folder / records.LOCK)


def test_nothing_that_the_trainer_left_behind_outlives_the_attempt(
    start: Callable[..., Attempt],
) -> None:
    attempt = start(
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], "
        "start_new_session=True); print(child.pid, flush=True)"
    )
    attempt.wait()
    left = int((attempt.folder / records.STDOUT).read_text("utf-8"))
    assert identity_of(left) is None


def test_a_second_supervisor_of_a_live_attempt_leaves_at_once(
    start: Callable[..., Attempt],
) -> None:
    attempt = start(SLEEP)
    started = attempt.running()
    assert attempt.start().wait(20) == 0
    assert records.read_started(attempt.folder) == started
    assert is_alive(started.trainer)


def test_an_attempt_is_never_started_a_second_time(start: Callable[..., Attempt]) -> None:
    attempt = start("print('once')")
    ended = attempt.wait()
    assert attempt.start().wait(20) == 0
    assert records.read_exit(attempt.folder) == ended
    assert (attempt.folder / records.STDOUT).read_text("utf-8") == "once\n"


def test_the_trainer_is_not_in_the_session_of_whoever_started_it(
    start: Callable[..., Attempt],
) -> None:
    started = start(SLEEP).running()
    assert started.trainer is not None
    assert os.getsid(started.trainer.pid) == started.trainer.pid
    assert os.getsid(started.supervisor.pid) != os.getsid(0)


def test_a_reused_process_number_is_not_taken_for_the_process() -> None:
    own = identity_of(os.getpid())
    assert own is not None
    stranger = type(own)(pid=own.pid, started=own.started + "1")
    assert is_alive(own)
    assert not is_alive(stranger)
    assert not send_signal(stranger, signal.SIGTERM)
