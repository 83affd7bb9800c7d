"""An attempt's records and the processes of this machine: what they say together, and what they must not be taken for."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.core.snapshot import Child, ChildState
from lightcompute.local import attempts, records, tail
from lightcompute.local.attempts import AttemptProcesses
from lightcompute.local.files import try_lock
from lightcompute.local.process import ProcessIdentity, identity_of, is_alive
from lightcompute.local.records import Exit, Plan, Started, Terms
from runcontract import environment
from support.local_runs import eventually

UID = "11111111-aaaa"


def attempt_in(folder: Path, uid: str = UID) -> AttemptProcesses:
    folder.mkdir(exist_ok=True)
    return AttemptProcesses(folder, run_uid=uid, number=1)


def write_started(
    folder: Path, supervisor: ProcessIdentity, trainer: ProcessIdentity | None
) -> None:
    records.write_started(
        folder,
        Started(
            run_uid=UID, attempt=1, started_time=records.now() - timedelta(hours=1),
            supervisor=supervisor, trainer=trainer,
        ),
    )  # fmt: skip


def child(attempt: AttemptProcesses) -> Child:
    seen = attempt.child(through_torchrun=False)
    assert seen is not None
    return seen


def test_nothing_is_seen_of_what_never_began(tmp_path: Path) -> None:
    assert attempt_in(tmp_path).child(through_torchrun=False) is None
    attempt_in(tmp_path).stop(30)
    assert attempt_in(tmp_path).child(through_torchrun=False) is None


def test_a_process_that_took_over_the_number_is_left_alone(tmp_path: Path) -> None:
    """The records name the number of a living process, but not its start: it is another one."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        known = identity_of(stranger.pid)
        assert known is not None
        gone = ProcessIdentity(pid=stranger.pid, started="another boot/1")
        write_started(tmp_path, gone, gone)
        attempt = attempt_in(tmp_path)
        assert child(attempt).state is ChildState.VANISHED
        attempt.stop(0)
        assert is_alive(known)
    finally:
        stranger.kill()
        stranger.wait()


def test_the_end_of_a_vanished_attempt_is_its_last_sign_of_life(tmp_path: Path) -> None:
    gone = ProcessIdentity(pid=2**22 - 1, started="another boot/1")
    write_started(tmp_path, gone, gone)
    long_ago = records.now() - timedelta(minutes=30)
    for name in (records.STARTED, records.STDOUT):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (long_ago.timestamp(), long_ago.timestamp()))
    seen = child(attempt_in(tmp_path))
    assert seen.state is ChildState.VANISHED
    assert seen.end_time is not None
    late = seen.end_time - long_ago
    assert timedelta(seconds=records.HEARTBEAT_SECONDS - 1) < late < timedelta(minutes=1)
    # On record: whoever looks later sees the same.
    assert child(attempt_in(tmp_path)).end_time == seen.end_time


def test_an_attempt_whose_lock_is_held_elsewhere_is_alive(tmp_path: Path) -> None:
    """As when its supervisor runs in another container, whose process numbers are not ours."""
    gone = ProcessIdentity(pid=2**22 - 1, started="another boot/1")
    write_started(tmp_path, gone, gone)
    lock = try_lock(tmp_path / records.LOCK)
    assert lock is not None
    try:
        assert child(attempt_in(tmp_path)).state is ChildState.RUNNING
    finally:
        os.close(lock)


def test_records_of_another_run_are_not_taken_for_ours(tmp_path: Path) -> None:
    here = identity_of(os.getpid())
    assert here is not None
    write_started(tmp_path, here, None)
    assert attempt_in(tmp_path, uid="another").child(through_torchrun=False) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "null", "{}" * 1000])
def test_a_damaged_record_counts_as_none(tmp_path: Path, content: str) -> None:
    for name in (records.STARTED, records.EXIT, records.TERMS, records.PLAN):
        (tmp_path / name).write_text(content, "utf-8")
    assert attempt_in(tmp_path).child(through_torchrun=False) is None


def test_a_process_that_was_left_without_supervisor_is_ended_before_the_attempt_counts_as_gone(
    tmp_path: Path,
) -> None:
    gone = ProcessIdentity(pid=2**22 - 1, started="another boot/1")
    marks = {environment.RUN_UID: UID, environment.ATTEMPT: "1"}
    left = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, **marks},
    )
    try:
        known = identity_of(left.pid)
        write_started(tmp_path, gone, gone)
        attempt = attempt_in(tmp_path)
        # Until the new process has its environment it cannot be known for what it is.
        wanted = f"{environment.RUN_UID}={UID}".encode()
        eventually(lambda: wanted in Path(f"/proc/{left.pid}/environ").read_bytes())
        assert child(attempt).state is ChildState.UNKNOWN
        eventually(lambda: not is_alive(known))
        assert child(attempt).state is ChildState.VANISHED
    finally:
        left.kill()
        left.wait()


def test_a_start_is_done_once_however_often_it_is_asked_for(tmp_path: Path) -> None:
    plan = Plan(
        run_uid=UID,
        attempt=1,
        command=("sh", "-c", "echo once"),
        variables={},
        folder=str(tmp_path),
    )
    folder = tmp_path / "attempt"
    attempts = [attempt_in(folder) for _ in range(3)]
    for attempt in attempts:
        attempt.start(plan, Terms())
    eventually(lambda: child(attempts[0]).state is ChildState.EXITED)
    assert attempts[0]._supervisor is not None
    attempts[0]._supervisor.wait(20)
    attempt_in(folder).start(plan, Terms())
    assert (folder / records.STDOUT).read_text("utf-8") == "once\n"


def test_what_was_stopped_before_it_began_is_not_started(tmp_path: Path) -> None:
    attempt = attempt_in(tmp_path / "attempt")
    attempt.stop(30)
    plan = Plan(run_uid=UID, attempt=1, command=("true",), variables={}, folder=str(tmp_path))
    attempt.start(plan, Terms())
    assert records.read_started(tmp_path / "attempt") is None


def test_a_renewed_deadline_is_what_the_supervisor_reads_and_what_is_seen(tmp_path: Path) -> None:
    own = identity_of(os.getpid())
    assert own is not None
    write_started(tmp_path, ProcessIdentity(pid=2**22 - 1, started="another boot/1"), own)
    records.write_terms(tmp_path, Terms(deadline_seconds=100, grace_seconds=7))
    attempt_in(tmp_path).renew_deadline(50)
    assert records.read_terms(tmp_path) == Terms(deadline_seconds=50, grace_seconds=7)
    assert child(attempt_in(tmp_path)).deadline_seconds == 50


def test_a_log_counts_as_heard_up_to_when_it_was_read_to_its_end(tmp_path: Path) -> None:
    here = identity_of(os.getpid())
    assert here is not None
    write_started(tmp_path, here, here)
    before = records.now()
    heard = child(attempt_in(tmp_path)).heard_until
    assert heard is not None
    assert before <= heard <= records.now()


def test_a_log_that_is_longer_than_what_is_read_at_once_is_not_heard_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "PIECE_BYTES", 100)
    monkeypatch.setattr(attempts, "_PIECES_AT_ONCE", 2)
    here = identity_of(os.getpid())
    assert here is not None
    write_started(tmp_path, here, here)
    (tmp_path / records.STDOUT).write_bytes(b"no report\n" * 35)
    attempt = attempt_in(tmp_path)
    assert child(attempt).heard_until is None
    first = child(attempt).heard_until
    assert first is not None
    with (tmp_path / records.STDOUT).open("ab") as file:
        file.write(b"no report\n" * 100)
    assert child(attempt).heard_until == first, "what came since is not read yet"


@pytest.mark.parametrize(
    ("because", "memory", "interruption", "tells"),
    [
        ("Machine", 1, Reason.PREEMPTED, True),
        ("Asked", 1, None, False),
        ("Deadline", 1, None, False),
        (None, 1, None, False),
        (None, None, None, True),
    ],
)
def test_what_the_machine_did_is_told_apart_from_what_we_asked_for(
    tmp_path: Path,
    because: str | None,
    memory: int | None,
    interruption: Reason | None,
    tells: bool,
) -> None:
    gone = ProcessIdentity(pid=2**22 - 1, started="another boot/1")
    write_started(tmp_path, gone, gone)
    records.write_exit(
        tmp_path,
        Exit(
            run_uid=UID, attempt=1, exit_code=13, signal=None, started_time=records.now(), finished_time=records.now(),
            peak_memory_bytes=memory, stopped_because=because, message="what happened",
        ),
    )  # fmt: skip
    seen = child(attempt_in(tmp_path))
    assert seen.interruption is interruption
    assert seen.cause == ("what happened" if tells else "")
