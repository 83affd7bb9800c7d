"""The commands that look at a run, on one that came to its end: each from a process of its own, as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from lightcompute.api import Phase, TrainingRunStatus
from lightcompute.local.removal import KEPT
from runcontract.document import parse_model
from support.local_runs import LocalRun

Make = Callable[..., LocalRun]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def carried_out(run: LocalRun) -> LocalRun:
    code, run.said = run.call("--price-per-hour-usd", "100")
    assert code == 0, run.said
    return run


KNOBS: dict[str, Any] = {"steps": 6, "step_seconds": 0.01, "save_every": 2, "chatter": 1}


@pytest.fixture
def ended(local_run: Make) -> LocalRun:
    """A run of the test's own, which it may change."""
    return carried_out(local_run(**KNOBS))


@pytest.fixture(scope="module")
def run_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRun]:
    run = LocalRun(tmp_path_factory.mktemp("ended"), **KNOBS)
    try:
        yield carried_out(run)
    finally:
        run.end()


@pytest.fixture
def looked_at(run_of_all: LocalRun) -> Iterator[LocalRun]:
    """A run for commands that change nothing of it."""
    before = files_of(run_of_all)
    yield run_of_all
    assert files_of(run_of_all) == before


def files_of(run: LocalRun) -> dict[str, bytes]:
    """What is written of the run; its locks say who acted last."""
    files = (path for path in run.base.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(run.base)): path.read_bytes() for path in files}


def test_a_run_tells_before_and_after(looked_at: LocalRun) -> None:
    said = looked_at.said
    before, _, after = said.partition("succeeded:")
    assert "a new run" in before
    assert "threads" in before
    assert "$100.00 an hour" in before
    for line in (
        "validation loss",
        "nats/character",
        "bits/byte",
        "It writes",
        "To be at 6",
        str(looked_at.folder.status_file),
    ):
        assert line in after
    assert "cost" in after


def test_the_status_document_is_the_one_of_the_api(looked_at: LocalRun) -> None:
    document = yaml.safe_load(looked_at.folder.status_file.read_text("utf-8"))
    status = parse_model(TrainingRunStatus, document)
    assert status.phase is Phase.SUCCEEDED
    assert status.results is not None
    assert json.loads(looked_at.ask("status", "--json")[1]) == document
    assert yaml.safe_load(looked_at.ask("status", "--yaml")[1]) == document
    assert yaml.safe_load(looked_at.ask("status", "-o", "yaml")[1]) == document


def test_what_is_known_of_a_run_is_told(looked_at: LocalRun) -> None:
    expected = {
        "status": ("Succeeded", "6/6", "nats/token", "$0."),
        "explain": ("Succeeded", "Conditions", "Attempts", "Charges"),
        "cost": ("PRICE PER HOUR", "$100.00", "spent"),
        "logs": ("chatter 0",),
    }
    for verb, words in expected.items():
        code, said = looked_at.ask(verb)
        assert code == 0, said
        assert all(word in said for word in words), said
    assert '"event"' not in looked_at.ask("logs")[1]
    assert '"event":"finished"' in looked_at.ask("logs", "--reports", "--follow")[1]
    assert "--attempt: found 7; expected one of: 1" in looked_at.ask("logs", "--attempt", "7")[1]
    assert "foreign  Succeeded" in looked_at.call(verb="list", subject="--runs-dir=runs")[1]


@pytest.mark.parametrize(
    "verb",
    [
        "status",
        "explain",
        "cost",
        "logs",
        "stop",
        "suspend",
        "resume",
        "delete",
        "tensorboard",
        "reproduce",
    ],
)
def test_a_run_that_does_not_exist_is_told_with_those_that_do(
    looked_at: LocalRun, verb: str
) -> None:
    code, said = looked_at.call(verb=verb, subject="nobody")
    assert code == 10
    assert "no run named nobody; expected one of: foreign" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("verb", ["list", "verify", "now", "prune"])
def test_checkpoints_of_a_run_that_does_not_exist_are_no_other_runs(
    looked_at: LocalRun, verb: str
) -> None:
    code, said = looked_at.call("nobody", verb="checkpoint", subject=verb)
    assert code == 10
    assert "no run named nobody; expected one of: foreign" in said


def test_the_same_file_again_says_that_the_run_is_over(looked_at: LocalRun) -> None:
    code, said = looked_at.call()
    assert code == 0
    assert "is over (Succeeded)" in said
    assert "--name foreign-2" in said
    assert len(looked_at.status().attempts) == 1


def test_a_deleted_run_leaves_its_checkpoints_where_no_new_run_finds_them(ended: LocalRun) -> None:
    uid = ended.run().metadata.uid
    code, said = ended.ask("delete", "--yes")
    assert code == 0, said
    assert not ended.folder.path.exists()
    kept = ended.base / "runs" / KEPT / f"foreign-{uid[:8]}"
    assert str(kept) in said
    assert (kept / "checkpoints" / "step-00000006" / "manifest.json").exists()
    code, said = ended.call()
    assert code == 0, said
    assert ended.status().attempts[-1].first_step == 0


def test_a_run_is_deleted_with_its_checkpoints_on_request(ended: LocalRun) -> None:
    assert ended.ask("delete", "--yes", "--checkpoints")[0] == 0
    assert list((ended.base / "runs").iterdir()) == []


def test_a_changed_training_is_refused_by_its_field(looked_at: LocalRun) -> None:
    code, said = looked_at.call("--set", "training.seed=7")
    assert code == 10
    assert "spec.training.seed: found 7; expected 1337" in said


def test_a_damaged_status_is_never_started_over(ended: LocalRun) -> None:
    ended.folder.status_file.write_text("phase: [", "utf-8")
    code, said = ended.call()
    assert code == 10
    assert str(ended.folder.status_file) in said
    assert ended.folder.status_file.read_text("utf-8") == "phase: ["
