"""How long a trainer that starts takes until it has done a step beyond the checkpoint that it goes on from.

    python benchmarks/resume.py [--order examples/quickstart-run.yaml] [--rounds 3] [--set key=value ...]

`lightgpt train` is asked to leave when it has saved a checkpoint (SIGTERM, exit code 13). Then, --rounds times, it is started again on a copy of
the folder, as an attempt in a pod that is already running starts it: Python and torch are loaded, the data is checked, the checkpoint is read, every
byte of it hashed, and the first step is done. The time ends with the first progress report of a later step, and then it is killed. Goal for a small
model: less than 10 s.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from machine import machine
from trainer_process import variables

from lightgpt.train.world import processors
from runcontract import folder as layout
from runcontract.exit_codes import ExitCode
from runcontract.progress import Saved, Stepped, parse_report

GOAL_SECONDS = 10
_PATIENCE_SECONDS = 300
_LOOK_SECONDS = 0.02


def reports(folder: Path) -> list[object]:
    """What the trainer has told in `folder` so far, whole lines only."""
    file = folder / layout.PROGRESS
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").split("\n")[:-1]
    return [report for report in map(parse_report, lines) if report is not None]


@contextmanager
def training(
    order: Path, folder: Path, sets: list[str], environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """`lightgpt train` during the block; killed at its end if it has not ended."""
    parts = [part for each in sets for part in ("--set", each)]
    command = [
        sys.executable, "-m", "lightgpt", "train", str(order), "--out", str(folder), *parts,
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[bytes], come: Callable[[], bool], what: str) -> None:
    """Until `come`; ends the benchmark where the trainer ends before, or nothing comes."""
    end = time.perf_counter() + _PATIENCE_SECONDS
    while not come():
        if process.poll() is not None:
            sys.exit(f"the trainer ended with {process.returncode} before {what}")
        if time.perf_counter() > end:
            sys.exit(f"no {what} in {_PATIENCE_SECONDS} s")
        time.sleep(_LOOK_SECONDS)


def saved_step(order: Path, folder: Path, sets: list[str], environment: dict[str, str]) -> int:
    """Trains until a checkpoint is saved and leaves; the newest step that is saved then."""

    def saves() -> list[int]:
        return [each.step for each in reports(folder) if isinstance(each, Saved)]

    with training(order, folder, sets, environment) as process:
        wait_for(process, lambda: bool(saves()), "checkpoint")
        process.send_signal(signal.SIGTERM)
        code = process.wait(_PATIENCE_SECONDS)
    if code != ExitCode.PREEMPTED:
        sys.exit(f"the trainer was asked to leave and ended with {code}")
    return max(saves())


def resumed(order: Path, folder: Path, sets: list[str], environment: dict[str, str]) -> float:
    """Seconds from the start of a process to its first report of a step that it did."""
    known = len(reports(folder))
    began_s = time.perf_counter()
    with training(order, folder, sets, environment) as process:
        wait_for(
            process,
            lambda: any(isinstance(each, Stepped) for each in reports(folder)[known:]),
            "step",
        )
        return time.perf_counter() - began_s


def main() -> None:
    """Prints one JSON line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    examples = Path(__file__).parent.parent / "examples"
    parser.add_argument("--order", type=Path, default=examples / "quickstart-run.yaml")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--set", action="append", default=["checkpoints.everySteps=20"], dest="sets"
    )
    options = parser.parse_args()
    print(f"# {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        environment = variables(work / "cache", None, threads=processors())
        step = saved_step(options.order, work / "first", options.sets, environment)
        seconds = []
        for number in range(options.rounds):
            folder = work / f"again-{number}"
            shutil.copytree(work / "first", folder)
            seconds.append(resumed(options.order, folder, options.sets, environment))
    line = {
        "what": "from the start of a process to its first step beyond the checkpoint, seconds",
        "order": os.fspath(options.order.name),
        "step": step,
        "median": round(statistics.median(seconds), 2),
        "most": round(max(seconds), 2),
        "goal": GOAL_SECONDS,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
