"""Runs on the disk with a status that nobody brought about, beside a TrainingBudget."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lightcompute.api import TrainingBudget, format_usd
from lightcompute.api.training_budget import TrainingBudgetStatus
from lightcompute.local.books import Books
from lightcompute.local.folder import RunFolder, Runs
from lightcompute.local.store import RunStore
from lightcompute.testing.builders import RunBuilder, a_run, an_ended_attempt, at

NOW = at(600)
"""Ten minutes after the attempts of builders began."""


def ended(seconds: float = 60) -> RunBuilder:
    """A run with one attempt that is over, at a tenth of a cent a second."""
    return a_run().with_attempts(an_ended_attempt(seconds=seconds, price="3.60"))


def put(runs: Runs, name: str, run: RunBuilder) -> RunFolder:
    """On the disk, with its status."""
    store, built = RunStore(runs.folder(name)), run.build()
    known = store.create(built)
    store.write_status(built.status, version=known.metadata.resource_version or "")
    return store.folder


def a_budget(limit: str = "1.00", **spec: Any) -> TrainingBudget:
    """The budget `team`."""
    return TrainingBudget.model_validate(
        {"metadata": {"name": "team"}, "spec": {"limitUSD": limit, **spec}}
    )


def told(runs: Runs, now: datetime = NOW) -> TrainingBudgetStatus:
    """What a process that has just come would say of the one budget."""
    return Books(runs).told(now)[0].status


def spent(runs: Runs, now: datetime = NOW) -> str:
    """What was spent in this period."""
    return format_usd(told(runs, now).spent_usd)
