"""Each example as a user has it, for a few steps: the whole of most is minutes, and their numbers are benchmarks' to judge."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightgpt.order_file import read_training_file
from runcontract.results import Results
from support.training import small_text

EXAMPLES = (
    "baseline-run.yaml",
    "baseline-met-run.yaml",
    "quickstart-run.yaml",
    "speedrun-run.yaml",
    "speedrun-quality-run.yaml",
)


def test_the_baseline_is_stated_as_the_old_system_had_it_in_less_than_25_lines(
    checkout: Path,
) -> None:
    path = checkout / "examples" / "baseline-run.yaml"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 25
    training = read_training_file(path).training
    model, optimizer, schedule = training.model, training.optimizer, training.schedule
    assert (model.layers, model.heads, model.embedding_size) == (6, 6, 384)
    assert (model.attention_kernel, training.precision) == ("Plain", "FP32")
    assert (optimizer.type, optimizer.learning_rate) == ("AdamW", 3e-4)
    assert (schedule.type, schedule.warmup_steps, training.max_steps) == ("Cosine", 200, 3000)
    assert training.tokenizer.vocab_size == 16_000
    assert training.tokenizer.lossless
    assert training.evaluation.every_steps == 500
    assert training.target is not None
    assert (training.target.unit, training.target.at_most) == ("NatsPerCharacter", 1.55)


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_trains_from_its_file_to_results(
    checkout: Path, tmp_path: Path, name: str
) -> None:
    text = tmp_path / "text.txt"
    text.write_text(small_text(lines=1500), encoding="utf-8")
    shorter = (
        "training.maxSteps=2",
        "training.tokenizer.vocabSize=100",
        "training.compile=false",
        "training.batchSize=2",
        "training.evaluation.everySteps=2",
        "training.schedule.warmupSteps=0",
        "training.samples.tokens=8",
        "training.samples.prompt=king",
        f"training.data={{files: [{text}]}}",
    )
    sets = [part for value in shorter for part in ("--set", value)]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "lightgpt",
            "train",
            str(checkout / "examples" / name),
            "--out",
            str(tmp_path / "out"),
            *sets,
        ],
        env=os.environ | {"LIGHTCOMPUTE_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = Results.model_validate_json((tmp_path / "out" / "results.json").read_bytes())
    assert results.steps == 2
    assert results.target is not None
    assert results.sample
