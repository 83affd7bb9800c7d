"""What of a run may change, before it has started, while it goes on, and after it failed."""

from __future__ import annotations

from typing import Any

import pytest

from support.cases import ABSENT, Document, changed
from support.resource_server import ResourceServer
from support.run_documents import SMALL

pytestmark = pytest.mark.slow
STARTED = {"phase": "Running", "startTime": "2030-01-01T12:00:00Z"}
FULL = changed(
    SMALL,
    {
        "spec.training.model": {"preset": "gpt-116k"},
        "spec.trainer": {"image": "a/b:1", "env": [{"name": "A", "value": "1"}]},
        "spec.storage": {"persistentVolumeClaim": {"claimName": "runs"}},
    },
)
HELD: dict[str, tuple[Document, str]] = {
    "seed": ({"spec.training.seed": 7}, "spec.training.seed"),
    "text": ({"spec.training.data": {"files": ["a.txt"]}}, "spec.training.data"),
    "part of the text": ({"spec.training.data.testFraction": 0}, "spec.training.data"),
    "tokenizer": ({"spec.training.tokenizer": {"type": "Byte"}}, "spec.training.tokenizer"),
    "shape": ({"spec.training.model.layers": 3}, "spec.training.model"),
    "no shape": ({"spec.training.model": ABSENT}, "spec.training.model"),
    "optimizer": ({"spec.training.optimizer": {"type": "Muon"}}, "spec.training.optimizer"),
    "schedule": ({"spec.training.schedule": {"type": "Constant"}}, "spec.training.schedule"),
    "averaging": ({"spec.training.averaging": {"decay": 0.5}}, "spec.training.averaging"),
    "batch": ({"spec.training.batchSize": 9}, "spec.training.batchSize"),
    "accumulation": (
        {"spec.training.gradientAccumulationSteps": 2},
        "spec.training.gradientAccumulationSteps",
    ),
    "precision": ({"spec.training.precision": "BF16"}, "spec.training.precision"),
    "compile": ({"spec.training.compile": True}, "spec.training.compile"),
    "dropout": ({"spec.training.subwordDropout": 0.1}, "spec.training.subwordDropout"),
    "last dropout": (
        {"spec.training.subwordDropoutFinal": 0.1},
        "spec.training.subwordDropoutFinal",
    ),
    "no training": ({"spec.training": ABSENT}, "spec.training"),
    "image": ({"spec.trainer.image": "a/b:2"}, "spec.trainer"),
    "no trainer": ({"spec.trainer": ABSENT}, "spec.trainer"),
    "variable": ({"spec.trainer.env": [{"name": "A", "value": "2"}]}, "spec.trainer"),
    "processes": ({"spec.trainer.numProcPerNode": 2}, "spec.trainer"),
    "claim": ({"spec.storage.persistentVolumeClaim.claimName": "others"}, "spec.storage"),
    "no storage": ({"spec.storage": ABSENT}, "spec.storage"),
}
FREE: dict[str, Document] = {
    "length": {"spec.training.maxSteps": 200},
    "length in epochs": {"spec.training.maxSteps": ABSENT, "spec.training.maxEpochs": 2},
    "evaluation": {"spec.training.evaluation": {"everySteps": 5}},
    "samples": {"spec.training.samples": {"tokens": 3}},
    "target": {"spec.training.target": {"unit": "BitsPerByte", "atMost": 2}},
    "early stopping": {"spec.training.earlyStopping": {"patience": 3}},
    "budget": {"spec.budget.limitUSD": "40.00"},
    "no budget": {"spec.budget": ABSENT},
    "suspension": {"spec.suspend": True},
    "places": {"spec.placement": {"regions": ["EU-FRA1"]}},
    "retention": {"spec.checkpoints": {"keepLatest": 9}},
    "restarts": {"spec.failurePolicy": {"maxRestarts": 9}},
    "deadline": {"spec.activeDeadlineSeconds": 60},
    "time to live": {"spec.ttlSecondsAfterFinished": 60},
    "hang": {"spec.progressDeadlineSeconds": 60},
    "curves": {"spec.tensorboard": {"enabled": False}},
    "the default written out": {"spec.training.seed": 1337},
    "a label": {"metadata.labels": {"a": "b"}},
}


@pytest.fixture
def started(runs: ResourceServer) -> Document:
    """A run on record as running."""
    return runs.write_status(runs.create(FULL), STARTED)


def change(run: Document, changes: Document) -> Document:
    """`changes` as a person applies them: to the file, of which the server then makes the whole."""
    whole = changed(FULL, changes)
    metadata: dict[str, Any] = run["metadata"] | whole["metadata"]
    return whole | {"metadata": metadata}


@pytest.mark.parametrize("name", HELD)
def test_what_decides_the_numbers_is_held_once_the_run_has_started(
    runs: ResourceServer, started: Document, name: str
) -> None:
    changes, path = HELD[name]
    verdict = runs.judge_change(change(started, changes))
    assert not verdict.taken
    assert "cannot change once the run has started: put it back" in verdict.message
    assert "make a new run of another name" in verdict.message
    assert verdict.message.endswith(f"; changed: {path}")


@pytest.mark.parametrize("name", FREE)
def test_everything_else_is_free_at_any_time(
    runs: ResourceServer, started: Document, name: str
) -> None:
    verdict = runs.judge_change(change(started, FREE[name]))
    assert verdict.taken, verdict.message


@pytest.mark.parametrize(
    "status",
    [
        None,
        {"phase": "Pending"},
        {"phase": "Pending", "reason": "SpecRefused", "observedGeneration": 1},
        {"phase": "Failed", "startTime": "2030-01-01T12:00:00Z"},
    ],
    ids=["no status", "pending", "refused", "failed"],
)
def test_a_run_that_has_not_started_or_has_failed_may_be_mended_in_all_of_it(
    runs: ResourceServer, status: Document | None
) -> None:
    run = runs.create(FULL)
    run = runs.write_status(run, status) if status is not None else run
    refused = {
        name: verdict.message
        for name, (changes, _) in HELD.items()
        if not (verdict := runs.judge_change(change(run, changes))).taken
    }
    assert refused == {}


@pytest.mark.parametrize(
    "phase", ["Starting", "Running", "Stopping", "Suspended", "BudgetExhausted", "Succeeded"]
)
def test_no_other_phase_frees_it(runs: ResourceServer, phase: str) -> None:
    run = runs.write_status(runs.create(FULL), STARTED | {"phase": phase})
    assert not runs.judge_change(change(run, {"spec.training.seed": 7})).taken


def test_every_change_that_is_held_is_told_of_at_once(
    runs: ResourceServer, started: Document
) -> None:
    changes = {"spec.training.seed": 7, "spec.training.batchSize": 9, "spec.trainer.image": "c"}
    message = runs.judge_change(change(started, changes)).message
    told = "; changed: spec.trainer spec.training.batchSize spec.training.seed"
    assert message.endswith(told)


def test_a_status_is_written_whatever_the_run_looks_like(
    runs: ResourceServer, started: Document
) -> None:
    later = runs.write_status(started, STARTED | {"phase": "Failed"})
    assert later["status"]["phase"] == "Failed"
    assert later["metadata"]["generation"] == started["metadata"]["generation"]
