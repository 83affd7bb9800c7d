"""TrainingBudgets of this machine, as a test sets and reads them by the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from support.local_runs import LocalRun

Document = dict[str, Any]
DOLLAR_A_SECOND = ("--price-per-hour-usd", "3600")
"""At this price 31 dollars are held back for the end of an attempt: 30 s of grace, and one of rounding."""


class LocalBudget:
    """One budget beside the runs of `run`."""

    def __init__(self, run: LocalRun, name: str = "team") -> None:
        self._run = run
        self.name = name
        self.file = run.base / f"budget-{name}.yaml"
        self.folder: Path = run.base / "runs" / "_budgets" / name

    def allow(self, limit: str, **spec: Any) -> str:
        """Sets it; what was said."""
        document = {
            "apiVersion": "lightcompute.dev/v1alpha1",
            "kind": "TrainingBudget",
            "metadata": {"name": self.name, "namespace": "passed-over"},
            "spec": {"limitUSD": limit, **spec},
        }
        self.file.write_text(yaml.safe_dump(document), "utf-8")
        code, said = self.ask("set", str(self.file))
        assert code == 0, said
        return said

    def ask(self, *words: str) -> tuple[int, str]:
        """`lightcompute budgets` with words."""
        verb, *rest = words or ("list",)
        return self._run.call(*rest, verb="budgets", subject=verb)

    def status(self) -> Document:
        """What is told of it."""
        code, said = self.ask("list", "--json")
        assert code == 0, said
        found: Document = next(
            each["status"] for each in json.loads(said) if each["metadata"]["name"] == self.name
        )
        return found
