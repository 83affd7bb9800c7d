"""The disk takes no checkpoint any more, and later it does again: training goes on, and whoever asks is told."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import pytest

from lightcompute.api.status import Condition
from support.local_runs import LocalRun, eventually

Make = Callable[..., LocalRun]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# Weights and optimizer take more than the limit, the logs of a few seconds far less.
MODEL = {"layers": 2, "embeddingSize": 96, "heads": 4, "contextLength": 64}
LIMIT_BYTES = 400_000
SAVE_EVERY_SECONDS = 4
"""Three failures in a row end the attempt: whoever mends the disk has the time of two."""


def of_our_trainer(local_run: Make) -> LocalRun:
    training: dict[str, Any] = {
        "data": {"files": ["text.txt"]},
        "tokenizer": {"type": "Character"},
        "model": MODEL,
        "optimizer": {"learningRate": 0.001},
        "batchSize": 32,
        "maxSteps": 1_000_000,
        "evaluation": {"everySteps": 100_000, "batchSize": 16},
    }
    checkpoints = {"everySeconds": SAVE_EVERY_SECONDS}
    run = local_run(name="ours", spec={"training": training, "checkpoints": checkpoints})
    del run.document["spec"]["trainer"]
    run.write()
    return run


def limit_files_of(run: LocalRun, size_bytes: int) -> None:
    started = run.started()
    assert started is not None
    assert started.trainer is not None
    resource.prlimit(
        started.trainer.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY)
    )


def ready(run: LocalRun) -> Condition:
    [found] = [each for each in run.status().conditions if each.type == "CheckpointReady"]
    return found


def saved(run: LocalRun) -> int:
    return len(list((run.folder.path / "checkpoints").glob("step-*/manifest.json")))


def test_saves_that_fail_on_a_full_disk_are_told_until_one_succeeds(local_run: Make) -> None:
    run = of_our_trainer(local_run)
    run.start()
    eventually(lambda: run.has_trainer() and saved(run) >= 1)
    limit_files_of(run, LIMIT_BYTES)
    eventually(lambda: ready(run).reason == "CheckpointsFailing")
    _, told = run.ask("status")
    limit_files_of(run, resource.RLIM_INFINITY)
    found = ready(run)
    assert found.status == "True"
    assert "is verified; saves fail since step " in found.message
    assert "File too large" in found.message
    assert "fail since step " in told
    eventually(lambda: ready(run).reason == "CheckpointVerified")
    _, told = run.ask("status")
    assert "fail since step " not in told
    run.ask("stop")
    eventually(lambda: not any(attempt.is_live for attempt in run.status().attempts))
    assert len(run.status().attempts) == 1, "training went on beside it all"
    assert run.status().attempts[0].exit_code == 13
