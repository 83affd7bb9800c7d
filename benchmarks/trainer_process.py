"""One whole `lightgpt train` for the benchmarks that look inside it, and what its folder tells afterwards."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from runcontract import environment
from runcontract import folder as layout
from runcontract.progress import Stepped, parse_report

BEYOND_THE_END = 10_000_000
"""An interval that no run reaches."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """results.json, the rows of metrics.csv and the reports of steps of a run from its start."""

    results: dict[str, Any]
    rows: list[dict[str, str]]
    reports: list[Stepped]

    def losses(self) -> list[float]:
        """Training losses by row, in nats per token."""
        return [float(row["training_loss_nats_per_token"]) for row in self.rows]

    def seconds_between_rows(self) -> list[float]:
        """Wall time of a step with all that the loop does around it; without the last, which the last evaluation follows."""
        points = [(int(row["step"]), float(row["elapsed_seconds"])) for row in self.rows[:-1]]
        return [(at - before) / (step - last) for (last, before), (step, at) in pairwise(points)]

    def seconds_between_reports(self) -> float | None:
        """The same as a mean from the first report of steps to the last; None where there are no two."""
        reports = [report for report in self.reports if report.step < self.results["maxSteps"]]
        if len(reports) < 2:
            return None
        first, last = reports[0], reports[-1]
        return (last.time - first.time).total_seconds() / (last.step - first.step)


def variables(cache: Path, text: Path | None, *, threads: int) -> dict[str, str]:
    """The environment of a trainer, or of what is compared with it."""
    given = {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
        "PYTHONHASHSEED": "1337",
        environment.CACHE_FOLDER: str(cache),
    }
    if text is not None:
        given[environment.TINYSHAKESPEARE] = str(text.absolute())
    return os.environ | given


def train(
    order: Path,
    variables: dict[str, str],
    assignments: Sequence[str] = (),
    *,
    launcher: Sequence[str] = (),
) -> Trained:
    """Trains in a folder that is gone afterwards; `launcher` is put between the interpreter and `-m lightgpt`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = [part for assignment in assignments for part in ("--set", assignment)]
        command = [*launcher, "-m", "lightgpt", "train", str(order), "--out", str(folder), *sets]
        run(command, variables)
        with (folder / layout.METRICS).open(newline="") as file:
            rows = list(csv.DictReader(file))
        reports = map(parse_report, (folder / layout.PROGRESS).read_text().splitlines())
        return Trained(
            results=json.loads((folder / layout.RESULTS).read_text()),
            rows=rows,
            reports=[report for report in reports if isinstance(report, Stepped)],
        )


def run(arguments: Sequence[str], variables: dict[str, str]) -> str:
    """Standard output of a Python process; ends this one when that fails."""
    ended = subprocess.run(
        [sys.executable, *arguments], env=variables, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        sys.exit(f"exit code {ended.returncode}\n{ended.stderr}")
    return ended.stdout
