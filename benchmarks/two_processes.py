"""Two processes that train one model together, against one process with as many threads: tokens a second, and the losses.

    python benchmarks/two_processes.py [--steps 60] [--rounds 3] [--threads 1] [--text input.txt]

A small order (4 layers, 256 wide, 1,024 pieces, FP32, AdamW) is trained by `torchrun --nproc-per-node 2 -m lightgpt train` over
gloo with --threads threads each, and by one `lightgpt train` with twice as many. They take turns, and who goes first alternates.
Tokens a second are of the median wall time from one row of metrics.csv to the next; those of results.json (mean over all steps,
the first one too) stand beside them. Goals: at least 0.85 times the speed of one process, and first losses at most 1e-4 apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import yaml
from machine import machine
from trainer_process import BEYOND_THE_END, Trained, train, variables

PROCESSES = 2
BATCH, CONTEXT = 16, 128
GOAL_SPEED, GOAL_LOSSES = 0.85, 1e-4
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES))


def order(steps: int) -> dict[str, Any]:
    """The order that both train."""
    return {
        "training": {
            "data": {"dataset": "tinyshakespeare"},
            "tokenizer": {"type": "BPE", "vocabSize": 1024},
            "model": {"layers": 4, "heads": 4, "embeddingSize": 256, "contextLength": CONTEXT},
            "batchSize": BATCH,
            "maxSteps": steps,
            "precision": "FP32",
            "evaluation": {"everySteps": BEYOND_THE_END},
            "samples": {"tokens": 0},
        },
        "checkpoints": {"everySteps": BEYOND_THE_END},
    }


def tokens_per_s(trained: Trained) -> float:
    """At the median step."""
    return BATCH * CONTEXT / statistics.median(trained.seconds_between_rows())


def compared(two: Trained, one: Trained, *, first_losses: int) -> dict[str, float]:
    """One round."""
    pairs = list(zip(two.losses(), one.losses(), strict=True))[:first_losses]
    means = [trained.results["tokensPerSecond"] for trained in (two, one)]
    return {
        "two_processes_tokens_per_s": round(tokens_per_s(two)),
        "one_process_tokens_per_s": round(tokens_per_s(one)),
        "two_over_one": round(tokens_per_s(two) / tokens_per_s(one), 3),
        "two_over_one_by_results": round(means[0] / means[1], 3),
        "first_losses": len(pairs),
        "losses_apart": max(abs(a - b) for a, b in pairs),
    }


def main() -> None:
    """Prints one JSON line a round, and one of medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=60, help="from 3 to 1000")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of each of the two processes")
    parser.add_argument("--first-losses", type=int, default=10, help="losses that are compared")
    parser.add_argument("--text", type=Path, help="the tinyshakespeare text; downloaded otherwise")
    options = parser.parse_args()
    if not 3 <= options.steps <= 1000:
        parser.error("--steps: expected 3 to 1000, so that each step has a row")
    print(f"# {machine()}, {PROCESSES} x {options.threads} threads", flush=True)
    with tempfile.TemporaryDirectory() as name:
        rounds = measured(options, Path(name))
    summary = {
        "rounds": len(rounds),
        "median_two_over_one": statistics.median(found["two_over_one"] for found in rounds),
        "goal_at_least": GOAL_SPEED,
        "most_losses_apart": max(found["losses_apart"] for found in rounds),
        "goal_at_most": GOAL_LOSSES,
    }
    print(json.dumps(summary))


def measured(options: argparse.Namespace, folder: Path) -> list[dict[str, float]]:
    """All rounds, each printed when it is done."""
    path = folder / "order.yaml"
    path.write_text(yaml.safe_dump(order(options.steps)))
    two_here, one_here = (
        variables(folder / "cache", options.text, threads=threads)
        for threads in (options.threads, PROCESSES * options.threads)
    )
    rounds = []
    for number in range(options.rounds):
        if number % 2:
            one = train(path, one_here)
            two = train(path, two_here, launcher=TORCHRUN)
        else:
            two = train(path, two_here, launcher=TORCHRUN)
            one = train(path, one_here)
        found = compared(two, one, first_losses=options.first_losses)
        print(json.dumps({"round": number + 1, **found}), flush=True)
        rounds.append(found)
    return rounds


if __name__ == "__main__":
    main()
