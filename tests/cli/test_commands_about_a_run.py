"""The commands that look at a run, on one that came to its end: each from a process of its own, as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import yaml

from lightcompute.api import Phase, TrainingRunStatus
from lightcompute.local.removal import KEPT
from runcontract.document import parse_model
from support.local_runs import LocalRun

Make = Callable[..., LocalRun]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def ended(local_run: Make) -> LocalRun:
    run = local_run(steps=6, step_seconds=0.01, save_every=2, chatter=1)
    code, run.said = run.call("--price-per-hour-usd", "100")
    assert code == 0, run.said
    return run


def test_a_run_tells_before_and_after(ended: LocalRun) -> None:
    said = ended.said
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
        str(ended.folder.status_file),
    ):
        assert line in after
    assert "cost" in after


def test_the_status_document_is_the_one_of_the_api(ended: LocalRun) -> None:
    document = yaml.safe_load(ended.folder.status_file.read_text("utf-8"))
    status = parse_model(TrainingRunStatus, document)
    assert status.phase is Phase.SUCCEEDED
    assert status.results is not None
    assert json.loads(ended.ask("status", "--json")[1]) == document
    assert yaml.safe_load(ended.ask("status", "--yaml")[1]) == document
    assert yaml.safe_load(ended.ask("status", "-o", "yaml")[1]) == document


def test_what_is_known_of_a_run_is_told(ended: LocalRun) -> None:
    expected = {
        "status": ("Succeeded", "6/6", "nats/token", "$0."),
        "explain": ("Succeeded", "Conditions", "Attempts", "Charges"),
        "cost": ("PRICE PER HOUR", "$100.00", "spent"),
        "logs": ("chatter 0",),
    }
    for verb, words in expected.items():
        code, said = ended.ask(verb)
        assert code == 0, said
        assert all(word in said for word in words), said
    assert '"event"' not in ended.ask("logs")[1]
    assert '"event":"finished"' in ended.ask("logs", "--reports", "--follow")[1]
    assert "--attempt: found 7; expected one of: 1" in ended.ask("logs", "--attempt", "7")[1]
    assert "foreign  Succeeded" in ended.call(verb="list", subject="--runs-dir=runs")[1]


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
def test_a_run_that_does_not_exist_is_told_with_those_that_do(ended: LocalRun, verb: str) -> None:
    code, said = ended.call(verb=verb, subject="nobody")
    assert code == 10
    assert "no run named nobody; expected one of: foreign" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("verb", ["list", "verify", "now", "prune"])
def test_checkpoints_of_a_run_that_does_not_exist_are_no_other_runs(
    ended: LocalRun, verb: str
) -> None:
    code, said = ended.call("nobody", verb="checkpoint", subject=verb)
    assert code == 10
    assert "no run named nobody; expected one of: foreign" in said


def test_the_same_file_again_says_that_the_run_is_over(ended: LocalRun) -> None:
    code, said = ended.call()
    assert code == 0
    assert "is over (Succeeded)" in said
    assert "--name foreign-2" in said
    assert len(ended.status().attempts) == 1


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


def test_a_changed_training_is_refused_by_its_field(ended: LocalRun) -> None:
    code, said = ended.call("--set", "training.seed=7")
    assert code == 10
    assert "spec.training.seed: found 7; expected 1337" in said


def test_a_damaged_status_is_never_started_over(ended: LocalRun) -> None:
    ended.folder.status_file.write_text("phase: [", "utf-8")
    code, said = ended.call()
    assert code == 10
    assert str(ended.folder.status_file) in said
    assert ended.folder.status_file.read_text("utf-8") == "phase: ["
