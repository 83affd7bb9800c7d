"""Wall time from nothing to a loss, of whole processes, over seeds: our recipes, and a peer's program beside them.

    python benchmarks/time_to_target.py speedrun --seeds 1337 1 2
    python benchmarks/time_to_target.py quickstart --peer-nanogpt ~/nanoGPT --text input.txt

Each run is `lightgpt train examples/NAME-run.yaml` in an empty folder with an empty data cache: import, tokenizer, training,
evaluation, checkpoints, all of it. Losses are over the whole validation part (and the test part, which nothing was tuned on).
Nothing here passes or fails: the figures are for `docs/log.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import machine
from nanogpt import run_cpu_configuration

EXAMPLES = Path(__file__).parent.parent / "examples"


def train(example: str, seed: int, assignments: Sequence[str], folder: Path) -> dict[str, Any]:
    """One whole training process; gives its wall time and what stands in results.json."""
    out = folder / f"{example}-{seed}"
    sets = [part for text in (f"training.seed={seed}", *assignments) for part in ("--set", text)]
    environment = os.environ | {"LIGHTCOMPUTE_CACHE": str(out / "cache"), "PYTHONHASHSEED": "1337"}
    command = [
        sys.executable,
        "-m",
        "lightgpt",
        "train",
        str(EXAMPLES / f"{example}-run.yaml"),
        "--out",
        str(out),
        *sets,
    ]
    began = time.perf_counter()
    ended = subprocess.run(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    wall_s = time.perf_counter() - began
    if ended.returncode:
        sys.exit(f"exit code {ended.returncode}\n{ended.stderr}")
    results = json.loads((out / "results.json").read_text())
    return {
        "run": example,
        "seed": seed,
        "wall_s": round(wall_s, 1),
        "training_s": round(results["trainingSeconds"], 1),
        "validation_nats_per_char": round(results["bestValidation"]["natsPerCharacter"], 4),
        "test_nats_per_char": round(results["test"]["natsPerCharacter"], 4)
        if results.get("test")
        else None,
        "tokens_per_s": round(results["tokensPerSecond"]),
        "peak_memory_mb": round((results.get("peakMemoryBytes") or 0) / 1e6),
    }


def main() -> None:
    """Runs what was asked for and prints one JSON line a run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "examples",
        nargs="+",
        help="names of examples, such as speedrun for examples/speedrun-run.yaml",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1337])
    parser.add_argument(
        "--set", action="append", default=[], dest="assignments", metavar="training.key=value"
    )
    parser.add_argument(
        "--peer-nanogpt",
        type=Path,
        help="folder of a nanoGPT checkout, to run its CPU configuration beside ours",
    )
    parser.add_argument("--text", type=Path, help="the tinyshakespeare text, for the peer")
    options = parser.parse_args()
    print(f"# {machine()}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.peer_nanogpt and options.text:
            peer = run_cpu_configuration(options.peer_nanogpt, options.text, folder)
            loss = round(peer.nats_per_character, 4)
            print(
                json.dumps(
                    {
                        "run": "nanoGPT, CPU configuration",
                        "wall_s": round(peer.wall_s, 1),
                        "validation_nats_per_char": loss,
                    }
                ),
                flush=True,
            )
        for example in options.examples:
            for seed in options.seeds:
                print(json.dumps(train(example, seed, options.assignments, folder)), flush=True)


if __name__ == "__main__":
    main()
