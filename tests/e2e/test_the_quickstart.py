"""README's first command, in a copy of the checkout as a stranger would have it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lightcompute.api import TrainingRunStatus
from lightgpt.data.named import shakespeare_plays
from support.source import CHECKOUT, tracked_files


@pytest.fixture
def fresh_copy(tmp_path: Path) -> Path:
    """The files of the checkout without what make, tests or runs have left in it."""
    for file in tracked_files():
        target = tmp_path / "fresh" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / file, target)
    return tmp_path / "fresh"


@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_the_quickstart_sets_itself_up_trains_and_prints_readable_text(fresh_copy: Path) -> None:
    inherited = {key: os.environ[key] for key in os.environ if not key.startswith("LIGHTCOMPUTE_")}
    made = subprocess.run(
        ["make", "quickstart"],
        cwd=fresh_copy,
        env=inherited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    document = fresh_copy / "runs" / "quickstart" / "status.yaml"
    status = TrainingRunStatus.model_validate(yaml.safe_load(document.read_text(encoding="utf-8")))
    assert status.phase == "Succeeded"
    assert str(document.relative_to(fresh_copy)) in made.stdout
    results = status.results
    assert results is not None
    assert results.best_validation is not None
    assert results.best_validation.nats_per_character <= 1.65
    assert results.sample is not None
    assert results.sample.strip().splitlines()[0].strip() in made.stdout
    assert _share_of_known_words(results.sample, shakespeare_plays(fresh_copy)) >= 0.7, (
        results.sample
    )


def _share_of_known_words(sample: str, plays: str) -> float:
    """Share of the sample's words of three letters and more that stand in the plays: letters alone do not read."""
    known = set(re.findall(r"[a-z']{3,}", plays.lower()))
    words = re.findall(r"[a-z']{3,}", sample.lower())
    return sum(word in known for word in words) / max(len(words), 1)
