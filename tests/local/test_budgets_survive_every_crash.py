"""Whoever changes a TrainingBudget, or deletes a run that drew from one, may die at any moment: no money is lost and none is counted twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from lightcompute.api import format_usd
from lightcompute.cli.local_target import LocalTarget
from lightcompute.local.books import Books
from lightcompute.local.folder import Runs
from lightcompute.local.removal import remove
from lightcompute.local.store import RunStore
from support.budgeted_runs import NOW, a_budget, ended, put, spent, told
from support.crashes import crash_points

LATER = NOW + timedelta(days=1)
Fresh = Callable[[], Runs]


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    """Makes folders with two runs of six cents each, one of them deleted, and the budget `team`."""
    numbers = count()

    def make() -> Runs:
        runs = Runs(tmp_path / str(next(numbers)))
        Books(runs).allow(a_budget(period="Daily"), NOW)
        put(runs, "there", ended())
        gone = put(runs, "deleted", ended())
        uid = RunStore(gone).read().metadata.uid
        Books(runs).depart(uid, NOW)
        remove(gone, run_uid=uid, keep_checkpoints=False)
        return runs

    return make


def delete(runs: Runs, name: str) -> None:
    LocalTarget(runs).run(name).delete(with_checkpoints=True, wait=True)


@pytest.mark.slow
def test_a_deletion_may_die_at_any_moment(fresh: Fresh) -> None:
    runs = fresh()

    def prepared() -> Callable[[], None]:
        nonlocal runs
        runs = fresh()
        return lambda: delete(runs, "there")

    points = 0
    for point in crash_points(prepared):
        assert spent(runs) == "0.12", point
        if runs.folder("there").exists():
            delete(runs, "there")
        assert spent(runs) == "0.12", point
        points = point
    assert points > 3


@pytest.mark.slow
def test_a_change_may_die_at_any_moment(fresh: Fresh) -> None:
    runs = fresh()

    def prepared() -> Callable[[], None]:
        nonlocal runs
        runs = fresh()
        return lambda: change(runs)

    for point in crash_points(prepared):
        (budget,) = Books(runs).told(LATER)
        assert format_usd(budget.spec.limit_usd) in {"1.00", "2.00"}, point
        change(runs)
        (past,) = told(runs, LATER).history
        assert (format_usd(past.spent_usd), format_usd(past.limit_usd)) == ("0.12", "1.00"), point
        assert Books(runs).told(LATER)[0].metadata.generation == 2


def change(runs: Runs) -> None:
    Books(runs).allow(a_budget("2.00", period="Daily"), LATER)


@pytest.mark.slow
def test_a_budget_that_is_deleted_or_made_while_its_maker_dies_is_whole_or_not_there(
    fresh: Fresh,
) -> None:
    runs = fresh()

    def prepared() -> Callable[[], None]:
        nonlocal runs
        runs = fresh()
        return lambda: made_anew(runs)

    for point in crash_points(prepared):
        if Books(runs).told(NOW):
            assert spent(runs) in {"0.12", "0.06"}, point
            Books(runs).disallow("team")
        Books(runs).allow(a_budget(period="Daily"), NOW)
        assert spent(runs) == "0.06", point


def made_anew(runs: Runs) -> None:
    Books(runs).disallow("team")
    Books(runs).allow(a_budget(period="Daily"), NOW)
