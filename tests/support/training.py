"""Tiny trainings inside the test's own process: an order, one attempt at it, and what it left behind."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runcontract.document import parse_model
from runcontract.environment import read_attempt_environment
from runcontract.metrics import REPEATABLE_COLUMNS
from runcontract.order import Order
from runcontract.progress import Report, parse_report
from runcontract.results import Results

WORDS = [
    "the",
    "king",
    "queen",
    "my",
    "lord",
    "shall",
    "speak",
    "of",
    "love",
    "and",
    "death",
    "in",
    "night",
    "day",
    "sword",
    "crown",
]


def small_text(*, lines: int = 300, seed: int = 1) -> str:
    """Lines of eight words each; a model can learn some of it in a few steps."""
    draw = random.Random(seed)
    return "\n".join(" ".join(draw.choice(WORDS) for _ in range(8)) + "." for _ in range(lines))


def order_document(**training: Any) -> dict[str, Any]:
    """A TrainingOrder over `text.txt` that takes well under a second; `training` overrides top keys."""
    return {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingOrder",
        "run": {"name": "tiny", "uid": "uid-1"},
        "training": {
            "data": {"files": ["text.txt"]},
            "tokenizer": {"type": "Character"},
            "model": {"layers": 1, "embeddingSize": 16, "heads": 2, "contextLength": 16},
            "optimizer": {"learningRate": 0.01},
            "batchSize": 4,
            "maxSteps": 12,
            "evaluation": {"everySteps": 4, "batchSize": 16},
            "samples": {"tokens": 4},
        }
        | training,
    }


class Workshop:
    """A folder with a text, in which orders are carried out by `attempt`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "text.txt").write_text(small_text(), encoding="utf-8")

    def attempt(
        self,
        document: Mapping[str, Any],
        out: str = "out",
        *,
        signals: Any = None,
        variables: Mapping[str, str] | None = None,
    ) -> Results:
        """One attempt in this process; its results."""
        from lightgpt.train.material import Terms
        from lightgpt.train.run import train
        from lightgpt.train.stopping import StopSignals

        path = self.folder / "given-order.yaml"
        order = parse_model(Order, dict(document))
        path.write_text(order.text(), encoding="utf-8")
        environment = {"OMP_NUM_THREADS": "1", "LIGHTCOMPUTE_CACHE": str(self.folder / "cache")}
        environment |= variables or {}
        results = train(
            Terms(
                order=order,
                order_path=path,
                folder=self.folder / out,
                data_root=self.folder,
                environment=read_attempt_environment(environment),
                variables=environment,
                started_time=datetime.now(UTC),
            ),
            signals or StopSignals(),
        )
        assert results is not None
        return results


def stop_after(looks: int) -> Any:
    """Signals of which SIGTERM comes when the loop has looked for one `looks` times."""
    from lightgpt.train.stopping import StopSignals

    class StopAfter(StopSignals):
        def __init__(self) -> None:
            super().__init__()
            self._looks = 0

        def requested(self) -> bool:
            self._looks += 1
            return self._looks > looks

    return StopAfter()


def reports(folder: Path) -> list[Report]:
    """Every report in the run's progress.jsonl; a line that is none fails the test."""
    lines = (folder / "progress.jsonl").read_text(encoding="utf-8").splitlines()
    found = [parse_report(line) for line in lines]
    assert None not in found, lines
    return [report for report in found if report is not None]


def repeatable_rows(folder: Path) -> list[tuple[str, ...]]:
    """The rows of metrics.csv without what a clock had a part in."""
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [tuple(row[name] for name in REPEATABLE_COLUMNS) for row in csv.DictReader(file)]


def file_hashes(folder: Path, step: int) -> dict[str, str]:
    """SHA-256 of the tensor files of the checkpoint at `step`."""
    manifest = json.loads(
        (folder / "checkpoints" / f"step-{step:08d}" / "manifest.json").read_text(encoding="utf-8")
    )
    return {
        file["name"]: file["sha256"]
        for file in manifest["files"]
        if file["name"].endswith(".safetensors")
    }
