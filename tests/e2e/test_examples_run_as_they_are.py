"""Every example goes through the product as a user runs it; only its length is cut."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lightcompute.api import TrainingRunStatus
from runcontract.environment import CACHE_FOLDER, TINYSHAKESPEARE
from support.source import CHECKOUT
from support.tinyshakespeare import tinyshakespeare

EXAMPLES = (
    "baseline-met-run.yaml",
    "baseline-run.yaml",
    "quickstart-run.yaml",
    "speedrun-quality-run.yaml",
    "speedrun-run.yaml",
)
SHORTENED = {
    "training.maxSteps": 2,
    "training.schedule.warmupSteps": 1,
    "training.batchSize": 2,
    "training.evaluation.everySteps": 2,
    "training.evaluation.batchSize": 8,
    "training.samples.tokens": 8,
}


def test_every_example_is_run_by_the_test_below() -> None:
    assert tuple(sorted(path.name for path in (CHECKOUT / "examples").iterdir())) == EXAMPLES


@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_trains_and_ends_with_a_status_document(example: str, tmp_path: Path) -> None:
    variables = {
        CACHE_FOLDER: str(tmp_path / "cache"),
        "LIGHTCOMPUTE_RUNS_DIR": str(tmp_path / "runs"),
    }
    if "tinyshakespeare" in (CHECKOUT / "examples" / example).read_text(encoding="utf-8"):
        variables[TINYSHAKESPEARE] = str(tinyshakespeare())
    sets = [part for key, value in SHORTENED.items() for part in ("--set", f"{key}={value}")]
    ended = subprocess.run(
        [sys.executable, "-m", "lightcompute", "run", str(CHECKOUT / "examples" / example), *sets],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    (document,) = (tmp_path / "runs").glob("*/status.yaml")
    status = TrainingRunStatus.model_validate(yaml.safe_load(document.read_text(encoding="utf-8")))
    assert status.phase == "Succeeded"
    assert status.results is not None
    assert status.results.steps == 2
    assert status.results.target is not None, "every example names a target and is judged by it"
    assert [kept.step for kept in status.checkpoints] == [2]
