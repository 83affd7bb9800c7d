import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightgpt.train.events import EventLog
from runcontract.document import dump_document
from runcontract.exit_codes import ExitCode
from runcontract.progress import Finished, Started, Stepped
from runcontract.results import Results
from support.training import (
    Workshop,
    file_hashes,
    order_document,
    repeatable_rows,
    reports,
    stop_after,
)

VARIETIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "muon, dropout, averaging": {
        "optimizer": {"type": "Muon", "learningRate": 0.02, "momentumWarmupSteps": 6},
        "model": {
            "layers": 1,
            "embeddingSize": 16,
            "heads": 2,
            "contextLength": 16,
            "dropout": 0.2,
            "bigramTableSize": 32,
        },
        "averaging": {"decay": 0.8, "startStep": 3},
        "schedule": {"type": "WarmupStableDecay", "warmupSteps": 2},
    },
    "accumulation, bf16, patience": {
        "gradientAccumulationSteps": 3,
        "precision": "BF16",
        "earlyStopping": {"patience": 3},
    },
    "subword dropout": {
        "tokenizer": {"type": "BPE", "vocabSize": 60},
        "subwordDropout": 0.2,
        "subwordDropoutFinal": 0.05,
        "batchSize": 64,
    },
}


@pytest.mark.parametrize("variety", VARIETIES)
def test_a_run_that_was_stopped_again_and_again_ends_as_one_that_never_was(
    workshop: Workshop, variety: str
) -> None:
    document = order_document(**VARIETIES[variety])
    whole = workshop.attempt(document, "whole")
    draw = random.Random(variety)
    attempt, done = 0, None
    while done is None:
        attempt += 1
        results = workshop.attempt(
            document,
            "parts",
            signals=stop_after(draw.randint(3, 12)),
            variables={"LIGHTCOMPUTE_ATTEMPT": str(attempt)},
        )
        assert results.exit_code in {ExitCode.DONE, ExitCode.PREEMPTED}
        done = results if results.exit_code == ExitCode.DONE else None
    assert attempt > 2
    one, other = workshop.folder / "whole", workshop.folder / "parts"
    assert repeatable_rows(other) == repeatable_rows(one)
    assert file_hashes(other, 12) == file_hashes(one, 12)
    assert done.best_validation == whole.best_validation
    assert (done.test, done.sample) == (whole.test, whole.sample)
    assert done.final_training_loss == whole.final_training_loss


def test_a_resumed_attempt_says_from_where_and_its_reports_follow_those_before(
    workshop: Workshop,
) -> None:
    workshop.attempt(order_document(), signals=stop_after(9))
    first = reports(workshop.folder / "out")
    stopped = first[-1]
    assert isinstance(stopped, Finished)
    assert stopped.exit_code == ExitCode.PREEMPTED
    workshop.attempt(order_document(), variables={"LIGHTCOMPUTE_ATTEMPT": "2"})
    found = reports(workshop.folder / "out")
    assert found[: len(first)] == first
    started = found[len(first)]
    assert isinstance(started, Started)
    assert started.resumed_from_step == stopped.step > 0


def test_rows_and_reports_behind_the_checkpoint_are_taken_back(workshop: Workshop) -> None:
    out = workshop.folder / "out"
    workshop.attempt(order_document(), signals=stop_after(9))
    rows = repeatable_rows(out)
    step = len(rows)
    with (out / "metrics.csv").open("a", encoding="utf-8") as file:
        file.write(f"{step + 1},0.5" + ",1.0" * 11 + "\n7,torn")
    with (out / "progress.jsonl").open("a", encoding="utf-8") as file:
        line = next(r for r in reports(out) if isinstance(r, Started)).model_copy(
            update={"step": step + 1}
        )
        file.write(f"{line.model_dump_json(by_alias=True)}\n" + '{"event": "st')
    workshop.attempt(order_document(), variables={"LIGHTCOMPUTE_ATTEMPT": "2"})
    assert repeatable_rows(out)[:step] == rows
    assert [row[0] for row in repeatable_rows(out)] == [str(n) for n in range(1, 13)]
    assert not any(isinstance(r, Stepped) and r.step == step + 1 for r in reports(out)[:-8])


def test_tensorboard_forgets_what_an_earlier_attempt_drew_behind_the_checkpoint(
    workshop: Workshop,
) -> None:
    out = workshop.folder / "out"
    stopped = workshop.attempt(order_document(), signals=stop_after(9))
    ahead = EventLog(out / "tensorboard", resumed_step=None)
    ahead.scalars({"learning_rate": 99.0}, step=stopped.steps + 1)
    workshop.attempt(order_document(), variables={"LIGHTCOMPUTE_ATTEMPT": "2"})
    events = EventAccumulator(str(out / "tensorboard"))
    events.Reload()
    points = [(point.step, point.value) for point in events.Scalars("learning_rate")]
    assert [step for step, _ in points] == list(range(1, 13))
    assert 99.0 not in {value for _, value in points}


def test_a_finished_run_that_is_started_again_says_the_same_and_trains_no_step(
    workshop: Workshop,
) -> None:
    first = workshop.attempt(order_document())
    again = workshop.attempt(order_document(), variables={"LIGHTCOMPUTE_ATTEMPT": "2"})
    assert again.training_seconds == 0
    assert (again.exit_code, again.steps) == (ExitCode.DONE, 12)
    for field in ("final_validation", "best_validation", "test", "sample", "best_step"):
        assert getattr(again, field) == getattr(first, field), field


def test_a_run_may_go_on_beyond_its_first_length(workshop: Workshop) -> None:
    constant = {"schedule": {"type": "Constant"}}
    workshop.attempt(order_document(maxSteps=8, **constant))
    longer = workshop.attempt(
        order_document(maxSteps=12, **constant), variables={"LIGHTCOMPUTE_ATTEMPT": "2"}
    )
    straight = workshop.attempt(order_document(maxSteps=12, **constant), "straight")
    assert longer.final_validation == straight.final_validation


# ---- real processes, really killed ------------------------------------------------------------------------------------


def command(folder: Path, out: str, *, steps: int) -> list[str]:
    path = folder / "order.yaml"
    path.write_text(
        dump_document(
            order_document(maxSteps=steps, evaluation={"everySteps": 10, "batchSize": 16})
            | {"checkpoints": {"everySteps": 3}}
        ),
        encoding="utf-8",
    )
    return [sys.executable, "-m", "lightgpt", "train", str(path), "--out", str(folder / out)]


def environment(folder: Path, attempt: int = 1) -> dict[str, str]:
    return os.environ | {
        "LIGHTCOMPUTE_CACHE": str(folder / "cache"),
        "LIGHTCOMPUTE_ATTEMPT": str(attempt),
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "1337",
    }


def started_process(arguments: Sequence[str], folder: Path, attempt: int) -> Any:
    return subprocess.Popen(
        arguments,
        env=environment(folder, attempt),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_first_checkpoint_of(process: Any) -> None:
    for line in process.stdout:
        if '"checkpoint"' in line:
            return
    raise AssertionError(f"ended without a checkpoint: {process.stderr.read()}")


@pytest.mark.slow
@pytest.mark.e2e
def test_a_process_killed_at_random_moments_ends_with_the_same_metrics_and_weights(
    workshop: Workshop,
) -> None:
    folder, steps, draw = workshop.folder, 600, random.Random(20)
    whole = subprocess.run(
        command(folder, "whole", steps=steps),
        env=environment(folder),
        capture_output=True,
        check=False,
    )
    assert whole.returncode == 0, whole.stderr.decode()
    codes = []
    for attempt in range(1, 5):
        process = started_process(command(folder, "parts", steps=steps), folder, attempt)
        if attempt < 4:
            wait_for_first_checkpoint_of(process)
            time.sleep(draw.uniform(0.0, 0.5))
            process.kill()
        process.communicate()
        codes.append(process.returncode)
    assert codes[-1] == 0
    assert codes.count(-signal.SIGKILL) >= 2
    one, other = folder / "whole", folder / "parts"
    assert repeatable_rows(other) == repeatable_rows(one)
    assert file_hashes(other, steps) == file_hashes(one, steps)
    results = [Results.model_validate_json((f / "results.json").read_bytes()) for f in (one, other)]
    assert results[0].test == results[1].test
    assert results[0].best_validation == results[1].best_validation


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_with_the_resumable_code(
    workshop: Workshop, number: signal.Signals
) -> None:
    folder = workshop.folder
    process = started_process(command(folder, "out", steps=100_000), folder, 1)
    wait_for_first_checkpoint_of(process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == ExitCode.PREEMPTED, errors
    assert "Traceback" not in errors
    results = Results.model_validate_json((folder / "out" / "results.json").read_bytes())
    assert results.reason == "Preempted"
    assert results.steps == max(checkpoint.step for checkpoint in results.checkpoints)
