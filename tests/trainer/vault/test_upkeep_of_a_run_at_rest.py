"""What an upkeep pod does: `lightgpt tend` on a folder and on a bucket, with its last word."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from lightgpt.cli.main import main
from runcontract.environment import ATTEMPT, S3_CREDENTIALS, TERMINATION_LOG
from runcontract.upkeep import (
    TendedCheckpoint,
    UpkeepReport,
    UpkeepTask,
    read_upkeep_report,
)
from support.checkpoints import save, store_at
from support.corruption import flipped
from support.lightgpt_cli import Called
from support.s3_server import Place
from support.training import Workshop, order_document


class Run:
    """A run at rest with four checkpoints, of which 10 is the best; in a folder, or with nothing but a bucket."""

    def __init__(self, place: Place, *, in_bucket: bool) -> None:
        self.place = place if in_bucket else None
        checkpoints = place.machine()
        self.folder = checkpoints.parent
        objects = place.objects() if in_bucket else None
        with store_at(checkpoints, keep_latest=10, objects=objects) as store:
            for step in (10, 20, 30, 40):
                save(store, step, validation=step / 10)
        self.data = place.file("checkpoints") if in_bucket else checkpoints
        if in_bucket:
            self.folder = place.machine().parent
        self._last_word = self.folder.parent / "last-word"

    def tend(
        self, task: str, *options: str, attempt: int = 1, in_a_process: bool = False
    ) -> tuple[int, UpkeepReport]:
        """Exit code and last word; `in_a_process` of its own, as a pod has it, or in the test's, which has imported all of it."""
        variables = {ATTEMPT: str(attempt), TERMINATION_LOG: str(self._last_word)}
        if self.place is not None:
            options = (*options, "--s3", json.dumps(self.place.bucket.document()))
            variables[S3_CREDENTIALS] = str(self.place.credentials)
        words = ["tend", task, str(self.folder), "--run-uid", "run-1", *options]
        ended = _in_a_process(words, variables) if in_a_process else _here(words, variables)
        report = read_upkeep_report(self._last_word.read_text("utf-8"))
        assert report is not None, ended.err
        assert report == read_upkeep_report(ended.out)
        return ended.code, report

    def steps(self) -> list[int]:
        """Steps that are committed."""
        if self.place is not None:
            return self.place.committed()
        return sorted(int(path.name[5:]) for path in self.data.glob("step-????????"))

    def damage(self, step: int) -> None:
        folder = self.data / f"step-{step:08d}"
        flipped(folder / "attempt-1" if self.place is not None else folder, random.Random(1))


def _in_a_process(words: list[str], variables: dict[str, str]) -> Called:
    done = subprocess.run(
        [sys.executable, "-m", "lightgpt", *words],
        env=variables, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    return Called(done.returncode, done.stdout, done.stderr)


def _here(words: list[str], variables: dict[str, str]) -> Called:
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as leaving:
            main(words)
    assert isinstance(leaving.value.code, int)
    return Called(leaving.value.code, out.getvalue(), err.getvalue())


@pytest.fixture(params=["folder", "bucket"])
def run(request: pytest.FixtureRequest, place: Place) -> Run:
    return Run(place, in_bucket=request.param == "bucket")


def test_every_checkpoint_is_judged_and_nothing_is_changed(
    workshop: Workshop, run: Run, place: Place
) -> None:
    """The tensors of a training, which the run's own are not."""
    trained = order_document() | {"checkpoints": {"keepLatest": 10}}
    variables = {}
    if run.place is not None:
        place.objects().remove(sorted(place.names()))
        trained |= {"storage": {"s3": place.bucket.document()}}
        variables = {S3_CREDENTIALS: str(place.credentials)}
    workshop.attempt(trained, "out", variables=variables)
    if run.place is None:
        run.folder = workshop.folder / "out"
        run.data = run.folder / "checkpoints"
    assert run.steps() == [4, 8, 12]
    run.damage(8)
    code, report = run.tend("Verify")
    assert code == 0
    assert [each.verdict == "Invalid" for each in report.checkpoints] == [False, True, False], (
        report
    )
    assert "3 checkpoints; 2 valid; not valid: 8 (" in report.message
    assert run.steps() == [4, 8, 12]
    code, report = run.tend("Verify", "--expect", "12", "--expect", "16")
    assert code == 0
    assert report.checkpoints[-1] == TendedCheckpoint(
        step=16, verdict="Invalid", deleted=True, found="it is not there any more"
    )
    assert len(report.checkpoints) == 4


def test_what_the_rule_gives_up_is_deleted_and_what_is_pinned_stays(run: Run) -> None:
    code, report = run.tend("Prune", "--keep-latest", "1", "--pin", "20")
    assert code == 0, report
    assert run.steps() == [10, 20, 40]
    assert {each.step for each in report.checkpoints if each.deleted} == {30}
    assert report.message.endswith("deleted: 30")


def test_a_broken_checkpoint_pushes_no_good_one_out(run: Run) -> None:
    run.damage(40)
    code, report = run.tend("Prune", "--keep-latest", "1", "--no-keep-best")
    assert code == 0, report
    assert 30 in run.steps()
    assert 10 not in run.steps()


def test_a_later_attempt_that_has_begun_is_left_alone(run: Run, place: Place) -> None:
    checkpoints = run.data if run.place is None else place.machine()
    objects = None if run.place is None else place.objects()
    with store_at(checkpoints, attempt=2, keep_latest=10, objects=objects) as store:
        save(store, 50)
        code, report = run.tend("Prune", "--keep-latest", "1", in_a_process=True)
    assert code == 14
    assert not report.done
    assert run.steps() == [10, 20, 30, 40, 50]


def test_all_of_a_run_is_deleted_and_a_second_time_is_fine(run: Run) -> None:
    if run.place is None:
        (run.folder / "metrics.csv").write_text("step\n", "utf-8")
    neighbour = run.folder.parent / "neighbour"
    neighbour.mkdir()
    code, report = run.tend("Delete", in_a_process=True)
    assert (code, report.done, report.task) == (0, True, UpkeepTask.DELETE)
    assert not run.folder.exists() or run.place is not None
    assert neighbour.exists()
    if run.place is not None:
        assert run.place.names() == set()
    assert run.tend("Delete")[0] == 0


def test_a_bucket_that_refuses_is_told_in_the_last_word(place: Place) -> None:
    run = Run(place, in_bucket=True)
    place.server.key_files(place.credentials, key="wrong")
    code, report = run.tend("Delete")
    assert code == 16
    assert not report.done
    assert "SignatureDoesNotMatch" in report.message


def test_a_report_of_many_checkpoints_fits_into_a_termination_message() -> None:
    many = tuple(
        TendedCheckpoint(step=10**9 + n, verdict="Invalid", found="é" * 120) for n in range(24)
    )
    report = UpkeepReport(task=UpkeepTask.VERIFY, done=True, message="é" * 1024, checkpoints=many)
    text = report.text()
    assert len(text.encode()) <= 4096
    read = read_upkeep_report(text)
    assert read is not None
    assert read.checkpoints == many[-len(read.checkpoints) :]
    assert read_upkeep_report("Traceback ...") is None
