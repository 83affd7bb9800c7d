"""`lightgpt carry`: a program that knows nothing of buckets has all that our own trainer has of one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lightcompute.testing.builders import a_run
from runcontract.environment import STOP_AFTER_SECONDS
from runcontract.exit_codes import ExitCode
from runcontract.progress import Finished, Saved, Started, Warned
from runcontract.requests import CHECKPOINT_NOW, PINS
from support.carried import Carried, eventually, weights_in
from support.corruption import flipped
from support.rendered_runs import UID, in_cluster, trainer_of
from support.s3_server import BUCKET, Place, S3Server

pytestmark = [pytest.mark.timeout(300)]


@contextmanager
def no_bucket(server: S3Server) -> Iterator[None]:
    """The service says that there is none."""
    bucket = server.folder / "buckets" / BUCKET
    away = server.folder / "away"
    bucket.rename(away)
    try:
        yield
    finally:
        away.rename(bucket)


def saved(run: Carried) -> list[int]:
    return [report.step for report in run.reports() if isinstance(report, Saved)]


def warned(run: Carried) -> set[str]:
    return {report.reason for report in run.reports() if isinstance(report, Warned)}


def at_step(run: Carried) -> int:
    return max((report.step for report in run.reports()), default=0)


@pytest.fixture
def undisturbed(new_place: Callable[[], Place]) -> str:
    place = new_place()
    with Carried(place, step_seconds=0) as run:
        assert run.end() == ExitCode.DONE, run.errors
    return weights_in(place, 20)


@pytest.mark.parametrize("by_order", [False, True])
def test_what_is_told_as_saved_is_in_the_bucket_by_then(place: Place, by_order: bool) -> None:
    with Carried(place, by_order=by_order, chatter=2, keep_latest=2) as run:
        for report in run.hear():
            if isinstance(report, Saved):
                assert report.step in place.committed()
                assert sorted(report.kept) == [f"step-{step:08d}" for step in place.committed()]
        assert run.end() == ExitCode.DONE, run.errors
    assert saved(run) == [5, 10, 15, 20]
    assert place.committed() == [15, 20]
    assert "chatter 1 {not a report}" in run.lines
    assert [type(each) for each in run.reports()[-2:]] == [Saved, Finished]
    assert run.last_word().exit_code == ExitCode.DONE
    assert run.last_word().reason == "MaxStepsReached"
    assert {"metrics.csv", "results.json"} <= place.names()
    assert warned(run) == set()
    assert not any((run.folder / ".carry").iterdir())


def test_a_killed_run_goes_on_from_an_empty_disk_and_ends_with_the_same_weights(
    place: Place, undisturbed: str
) -> None:
    with Carried(place, attempt=1, hold_at_step=12) as first:
        first.until_saved(10)
        first.kill()
    with Carried(place, attempt=2) as second:
        assert second.end() == ExitCode.DONE, second.errors
    [started] = [each for each in second.reports() if isinstance(each, Started)]
    assert started.resumed_from_step == 10
    rows = (second.folder / "metrics.csv").read_text("utf-8").splitlines()
    assert [int(row.partition(",")[0]) for row in rows] == list(range(1, 21))
    assert weights_in(place, 20) == undisturbed


def test_a_broken_newest_checkpoint_is_set_aside_and_the_one_before_it_is_taken(
    place: Place,
) -> None:
    with Carried(place, hold_at_step=12) as first:
        first.until_saved(10)
    flipped(place.file("checkpoints/step-00000010/attempt-1"), random.Random(1))
    with Carried(place, attempt=2) as second:
        assert second.end() == ExitCode.DONE, second.errors
    [started] = [each for each in second.reports() if isinstance(each, Started)]
    assert started.resumed_from_step == 5
    assert "CheckpointQuarantined" in warned(second)
    assert any("manifest.json.broken-1" in name for name in place.names())


def test_where_only_broken_ones_are_left_the_program_is_not_started(place: Place) -> None:
    with Carried(place, hold_at_step=7) as first:
        first.until_saved(5)
    flipped(place.file("checkpoints/step-00000005/attempt-1"), random.Random(1))
    with Carried(place, attempt=2) as second:
        assert second.end() == ExitCode.BROKEN_CHECKPOINT
    assert "only broken checkpoints: step-00000005" in second.last_word().message
    assert not any(isinstance(each, Started) for each in second.reports())


def test_sigterm_is_the_programs_and_what_it_saves_is_in_the_bucket_when_it_leaves(
    place: Place,
) -> None:
    with Carried(place, hold_at_step=7) as run:
        run.until(lambda report: report.step == 7)
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == ExitCode.PREEMPTED, run.errors
    assert place.committed() == [5, 7]
    assert saved(run) == [5, 7]
    assert run.last_word().reason == "Preempted"


def test_a_signal_that_comes_before_the_program_begins_loses_nothing(place: Place) -> None:
    with Carried(place, options=("--node-rank", "1")) as waiting:
        eventually(waiting.folder.exists)
        time.sleep(0.5)
        waiting.process.send_signal(signal.SIGTERM)
        assert waiting.end() == ExitCode.PREEMPTED
    assert "before the first step" in waiting.last_word().message
    assert not any(isinstance(each, Started) for each in waiting.reports())


def test_the_exit_code_of_a_program_that_fails_is_its_own(place: Place) -> None:
    with Carried(place, exit_at_step=12, exit_code=15) as run:
        assert run.end() == ExitCode.DIVERGED
    assert place.committed() == [5, 10]
    assert not run.last_word_file.exists()
    with Carried(place, attempt=2, program=("sh", "-c", "kill -9 $$")) as killed:
        assert killed.end() == 128 + signal.SIGKILL


def test_a_program_that_the_image_does_not_have_is_told_as_such(place: Place) -> None:
    with Carried(place, program=("no-such-program",)) as run:
        assert run.end() == ExitCode.CONFIGURATION_FAULT
    assert "no-such-program" in run.last_word().message


def test_training_goes_on_while_the_bucket_fails_and_the_next_save_makes_up_for_it(
    place: Place, server: S3Server
) -> None:
    with Carried(place, hold_at_step=9, steps=12) as run:
        run.until(lambda _: 5 in saved(run) and at_step(run) == 9)
        with no_bucket(server):
            (run.requests / CHECKPOINT_NOW).write_text("once", "utf-8")
            report = run.until(lambda report: isinstance(report, Warned))
        assert isinstance(report, Warned)
        assert report.reason == "CheckpointFailed"
        assert "NoSuchBucket" in report.message
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == ExitCode.PREEMPTED, run.errors
    # It had committed step 9 before, which is its last: it is tried once more.
    assert saved(run) == [5, 9]
    assert place.committed() == [5, 9]


def test_a_last_checkpoint_that_is_not_in_the_bucket_is_no_success(
    place: Place, server: S3Server
) -> None:
    with Carried(place, hold_at_step=9, steps=9) as run:
        run.until(lambda report: report.step == 9)
        with no_bucket(server):
            run.process.send_signal(signal.SIGTERM)
            assert run.end() == ExitCode.STORAGE_FAULT
    word = run.last_word()
    assert (word.exit_code, word.reason) == (ExitCode.STORAGE_FAULT, "StorageFault")
    assert "NoSuchBucket" in word.message
    assert word.step == 9
    assert word.final_validation is not None
    finished = run.reports()[-1]
    assert isinstance(finished, Finished)
    assert finished.exit_code == ExitCode.STORAGE_FAULT
    assert 9 not in saved(run)


def test_what_torchrun_makes_of_an_exit_code_hides_no_checkpoint_that_is_lost(
    place: Place, server: S3Server
) -> None:
    foreign = str(Path(__file__).parents[2] / "support/foreign_trainer.py")
    script = (
        f"trap '' TERM; {sys.executable} {foreign} & pid=$!; trap 'kill $pid' TERM; "
        "while kill -0 $pid; do wait $pid; done; exit 1"
    )
    torchrun = ("sh", "-c", script)
    with Carried(place, program=torchrun, hold_at_step=9) as run:
        run.until(lambda _: at_step(run) == 9)
        with no_bucket(server):
            run.process.send_signal(signal.SIGTERM)
            assert run.end() == ExitCode.STORAGE_FAULT, run.errors
    assert run.last_word().exit_code == ExitCode.STORAGE_FAULT


def test_a_program_whose_checkpoints_reach_nothing_is_told_to_leave(
    place: Place, server: S3Server
) -> None:
    with Carried(place, steps=100_000, step_seconds=0.02) as run:
        run.until_saved(5)
        with no_bucket(server):
            assert run.end() == ExitCode.STORAGE_FAULT
    assert "CheckpointFailed" in warned(run)


def test_pins_and_retention_hold_in_the_bucket(place: Place) -> None:
    with Carried(place, keep_latest=1, hold_at_step=7, steps=20) as run:
        (run.requests / PINS).write_text("5", "utf-8")
        run.until_saved(5)
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == ExitCode.PREEMPTED
    with Carried(place, attempt=2, keep_latest=1) as second:
        (second.requests / PINS).write_text("5", "utf-8")
        assert second.end() == ExitCode.DONE, second.errors
    # The foreign trainer's newest is always its best.
    assert place.committed() == [5, 20]


def test_an_attempt_that_was_overtaken_writes_nothing_and_leaves(place: Place) -> None:
    with Carried(place, hold_at_step=7) as late:
        late.until_saved(5)
        with Carried(place, attempt=2, hold_at_step=7) as second:
            assert second.end() == ExitCode.DONE, second.errors
        before = place.names()
        (late.requests / CHECKPOINT_NOW).write_text("now", "utf-8")
        assert late.end() == ExitCode.BROKEN_CHECKPOINT
        assert "attempt 2 has begun to write here" in late.last_word().message
    assert place.names() == before


def test_checkpoints_that_nobody_tells_of_are_carried_at_the_end(place: Place) -> None:
    mute = (sys.executable, "-c", MUTE)
    with Carried(place, program=mute) as run:
        assert run.end() == ExitCode.DONE, run.errors
    assert place.committed() == [20]
    assert saved(run) == [20]


MUTE = """
import os, subprocess, sys
from pathlib import Path
sys.path.insert(0, os.environ["SUPPORT"])
sys.exit(subprocess.run([sys.executable, os.environ["SUPPORT"] + "/foreign_trainer.py"], stdout=subprocess.DEVNULL).returncode)
"""


@pytest.fixture(autouse=True)
def support_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPPORT", str(Path(__file__).parents[2] / "support"))


def test_a_program_that_says_it_is_another_attempt_is_refused(place: Place) -> None:
    """What fences a late writer off is the number in its manifests."""
    other = (
        sys.executable,
        "-c",
        MUTE.replace("sys.exit", "os.environ['LIGHTCOMPUTE_ATTEMPT'] = '7'; sys.exit"),
    )
    with Carried(place, program=other) as run:
        assert run.end() == ExitCode.CONFIGURATION_FAULT
    assert "found attempt 7; expected 1" in run.last_word().message
    assert place.committed() == []


def test_a_pod_of_another_rank_has_the_checkpoint_and_writes_nothing(place: Place) -> None:
    with Carried(place, attempt=1, hold_at_step=12) as first:
        first.until_saved(10)
    other = Carried(place, attempt=2, options=("--node-rank", "1"), steps=12)
    time.sleep(2)
    assert other.process.poll() is None, "it did not wait for rank 0"
    with other, Carried(place, attempt=2, steps=12) as main:
        assert main.end() == ExitCode.DONE, main.errors
        names = place.names()
        assert other.end() == ExitCode.DONE, other.errors
    assert place.names() == names
    assert saved(other) == []
    assert isinstance(other.reports()[0], Started)


def test_the_programs_time_ends_early_enough_to_send_its_last_checkpoint(place: Place) -> None:
    show = (sys.executable, "-c", f"import os; print(os.environ['{STOP_AFTER_SECONDS}'])")
    with Carried(place, program=show, told={STOP_AFTER_SECONDS: "100"}) as run:
        assert run.end() == ExitCode.DONE
    assert 50 < int(run.lines[0]) < 95


def test_a_process_that_the_program_leaves_behind_keeps_nobody(place: Place) -> None:
    leaves = ("sh", "-c", "sleep 300 & echo $!")
    with Carried(place, program=leaves) as run:
        assert run.process.wait(60) == ExitCode.DONE
        assert run.process.stdout is not None
        os.kill(int(run.process.stdout.readline()), signal.SIGKILL)


def test_the_carrier_needs_no_torch(place: Place) -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['numpy'] = sys.modules['safetensors'] = None\n"
        "from lightgpt.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    with Carried(place) as run:
        arguments = run.process.args
        assert isinstance(arguments, list)
        assert run.end() == ExitCode.DONE
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments[3:-3]), "--", "true"],
        env={**os.environ, "LIGHTCOMPUTE_S3_CREDENTIALS": str(place.credentials), "LIGHTCOMPUTE_RUN_UID": "uid-1",
             "LIGHTCOMPUTE_ATTEMPT": "2", "LIGHTCOMPUTE_OUTPUT": str(place.machine().parent / "out")},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_the_operator_puts_before_a_command_runs_as_it_stands(place: Place) -> None:
    s3 = place.bucket.document()
    run = in_cluster(a_run().foreign()).with_spec(
        storage={"s3": s3},
        checkpoints={"keepLatest": 2, "keepBest": False},
        trainer={"command": ["program"], "numNodes": 2},
    )
    command = trainer_of(run)["command"]
    dashes = command.index("--")
    options = [each.replace("$(JOB_COMPLETION_INDEX)", "0") for each in command[4:dashes]]
    assert command[:4] == ["python", "-m", "lightgpt", "carry"]
    # A run's own prefix lies below that of its spec.
    place.prefix += f"/baseline-{UID[:8]}"
    place.bucket = place.server.bucket(place.prefix)
    with Carried(place, options=tuple(options), told_bucket=False) as carried:
        assert carried.end() == ExitCode.DONE, carried.errors
    assert place.committed() == [15, 20]


def test_the_program_has_the_environment_that_the_pod_has(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    show = (sys.executable, "-c", "import os; print(sorted(os.environ))")
    with Carried(place, program=show) as run:
        assert run.end() == ExitCode.DONE
    assert "OMP_WAIT_POLICY" not in run.lines[0]
    assert "LIGHTCOMPUTE_S3_CREDENTIALS" in run.lines[0]
