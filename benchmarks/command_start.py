"""Start-up of the command lines: wall time of `lightcompute --help` and `lightgpt --help`, beside a bare interpreter.

python benchmarks/command_start.py
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "bare interpreter": [sys.executable, "-c", "pass"],
    "lightcompute --help": [sys.executable, "-m", "lightcompute", "--help"],
    "lightgpt --help": [sys.executable, "-m", "lightgpt", "--help"],
}


def wall_s(command: list[str]) -> float:
    """Wall time of one process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main(runs: int = 11) -> None:
    """Interleaves the commands so that a machine whose speed drifts treats them alike; prints medians."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(runs):
        for name, command in COMMANDS.items():
            times[name].append(wall_s(command))
    for name, seconds in times.items():
        print(
            json.dumps(
                {
                    "command": name,
                    "median_s": round(statistics.median(seconds), 3),
                    "min_s": round(min(seconds), 3),
                }
            )
        )


if __name__ == "__main__":
    main()
