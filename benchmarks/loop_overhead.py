"""What the whole trainer adds to a bare step: reading data, records, reports, every check of the loop.

    python benchmarks/loop_overhead.py [--steps 40] [--rounds 3] [--threads 2] [--text input.txt]

The trainer is `lightgpt train examples/baseline-run.yaml` with evaluations and checkpoints put beyond the end. The bare step
is lightgpt's own step code (forward, backward, clipping, AdamW) in a process of its own with the same model and the same
batches, held in memory; the losses of both are compared as a check that they do the same work. Processes take turns, and who
goes first alternates. Goal: less than 3 % by each of three readings of the trainer's step time:

- between_rows: median wall time from one row of metrics.csv to the next (each step has one), against the bare median;
- between_reports: mean wall time from the first to the last progress report of steps, against the bare mean without the
  first step and the last; null for runs too short to have two reports (they come once a second);
- training_seconds: trainingSeconds of results.json by steps, against the bare mean of all. It holds reading the batch, but
  not records and reports.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import machine
from trainer_process import BEYOND_THE_END, Trained, run, train, variables

from lightgpt.data.cache_folder import default_cache_folder
from lightgpt.data.prepared import prepare
from lightgpt.data.stream import TrainingStream
from lightgpt.model.gpt import GPT
from lightgpt.order_file import read_training_file
from lightgpt.train.batches import TrainingBatches
from lightgpt.train.determinism import make_deterministic, seed_everything
from lightgpt.train.step import Stepper
from lightgpt.train.world import processors, read_world, use_threads

ORDER = Path(__file__).parent.parent / "examples" / "baseline-run.yaml"
GOAL = 0.03


def assignments(steps: int) -> list[str]:
    """The example, cut down to its steps."""
    return [
        f"training.maxSteps={steps}",
        "training.schedule.warmupSteps=0",
        f"training.evaluation.everySteps={BEYOND_THE_END}",
        "training.samples.tokens=0",
        f"checkpoints.everySteps={BEYOND_THE_END}",
    ]


def bare(steps: int) -> dict[str, list[float]]:
    """Seconds and loss of each step, in this process."""
    training = read_training_file(ORDER, assignments(steps)).training
    world = read_world({})
    use_threads(os.environ, local_size=1)
    make_deterministic(compiles=training.compile)
    seed_everything(training.seed)
    data = prepare(
        training, base_folder=ORDER.parent, cache_folder=default_cache_folder(os.environ)
    )
    read = TrainingBatches(TrainingStream(data, training), world)
    held = [read(index) for index in range(steps * training.gradient_accumulation_steps)]
    model = GPT(training.model, data.tokenizer.vocab_size)
    model.initialize(training.seed)
    model.to(world.device)
    stepper = Stepper(model, training, world=world, batch=held.__getitem__, max_steps=steps)
    seconds, losses = [], []
    for step in range(steps):
        began_s = time.perf_counter()
        loss = stepper.take(step).loss.item()
        seconds.append(time.perf_counter() - began_s)
        losses.append(loss)
    return {"seconds": seconds, "losses": losses}


def compared(trained: Trained, alone: dict[str, list[float]]) -> dict[str, Any]:
    """One round: step times, what the trainer adds as a share, and how far the losses lie apart."""
    seconds = alone["seconds"]
    inner = seconds[1:-1]
    reports_s = trained.seconds_between_reports()
    rows_s = statistics.median(trained.seconds_between_rows())
    whole_s = trained.results["trainingSeconds"] / trained.results["steps"]
    overheads = {
        "between_rows": rows_s / statistics.median(inner) - 1,
        "between_reports": None if reports_s is None else reports_s / statistics.fmean(inner) - 1,
        "training_seconds": whole_s / statistics.fmean(seconds) - 1,
    }
    apart = (abs(a - b) for a, b in zip(trained.losses(), alone["losses"], strict=True))
    return {
        "bare_step_ms": round(statistics.median(inner) * 1e3, 1),
        "trainer_step_ms": round(rows_s * 1e3, 1),
        "overhead": {
            name: None if share is None else round(share, 4) for name, share in overheads.items()
        },
        "losses_apart": max(apart),
    }


def summary(rounds: list[dict[str, Any]]) -> dict[str, object]:
    """The median of each overhead over the rounds that have it."""
    found: dict[str, float | None] = {}
    for name in rounds[0]["overhead"]:
        given = [one["overhead"][name] for one in rounds if one["overhead"][name] is not None]
        found[name] = round(statistics.median(given), 4) if given else None
    return {"rounds": len(rounds), "median_overhead": found, "goal_below": GOAL}


def main() -> None:
    """Prints one JSON line a round, and one of medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40, help="from 3 to 1000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=processors())
    parser.add_argument("--text", type=Path, help="the tinyshakespeare text; downloaded otherwise")
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 3 <= options.steps <= 1000:
        parser.error("--steps: expected 3 to 1000, so that each step has a row")
    if options.bare:
        print(json.dumps(bare(options.steps)))
        return
    print(f"# {machine()}, {options.threads} threads", flush=True)
    with tempfile.TemporaryDirectory() as cache:
        print(json.dumps(summary(measured(options, Path(cache)))))


def measured(options: argparse.Namespace, cache: Path) -> list[dict[str, Any]]:
    """All rounds, each printed when it is done."""
    here = variables(cache, options.text, threads=options.threads)
    alone_command = [__file__, "--bare", "--steps", str(options.steps)]
    rounds = []
    for number in range(options.rounds):
        alone = json.loads(run(alone_command, here)) if number % 2 else None
        trained = train(ORDER, here, assignments(options.steps))
        found = compared(trained, alone or json.loads(run(alone_command, here)))
        print(json.dumps({"round": number + 1, **found}), flush=True)
        rounds.append(found)
    return rounds


if __name__ == "__main__":
    main()
