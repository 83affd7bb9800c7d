"""TrainingBudgets on a laptop: processes that know nothing of each other stay within one limit together."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lightcompute.api import Phase, Reason, TrainingBudget
from lightcompute.local.books import Books
from lightcompute.local.folder import Runs
from support.local_budgets import DOLLAR_A_SECOND, LocalBudget
from support.local_runs import LocalRun, eventually

Make = Callable[..., LocalRun]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
HOLDS: dict[str, Any] = {"steps": 20, "step_seconds": 0.01, "hold_at_step": 2}
"""Alive until it is asked to leave."""


def waits(run: LocalRun) -> bool:
    return run.folder.exists() and run.status().reason == Reason.WAITING_FOR_BUDGET


def lives(run: LocalRun) -> bool:
    return run.folder.exists() and run.steps_reported() >= 2


def a_run(make: Make, name: str, limit: str | None = "80.00", **settings: Any) -> LocalRun:
    spec = {} if limit is None else {"budget": {"limitUSD": limit}}
    return make(name=name, spec=spec, **settings)


def test_of_several_that_want_the_last_dollar_at_once_one_gets_it(local_run: Make) -> None:
    runs = [a_run(local_run, f"run-{number}", **HOLDS) for number in range(4)]
    budget = LocalBudget(runs[0])
    budget.allow("100.00")
    for run in runs:
        run.start(*DOLLAR_A_SECOND)
    eventually(lambda: sum(map(lives, runs)) == 1 and sum(map(waits, runs)) == 3)
    status = budget.status()
    assert (status["runs"], status["waitingRuns"]) == (1, 3)
    assert float(status["spentUSD"]) + float(status["reservedUSD"]) == 80


def test_who_waits_is_told_why_and_goes_on_when_another_has_ended(local_run: Make) -> None:
    first, second = (
        a_run(local_run, "first", **HOLDS),
        a_run(local_run, "second", steps=2, step_seconds=0.01),
    )
    LocalBudget(first).allow("100.00")
    first.start(*DOLLAR_A_SECOND)
    eventually(lambda: lives(first))
    process = second.start(*DOLLAR_A_SECOND)
    eventually(lambda: waits(second))
    assert first.ask("stop")[0] == 0
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert (
        "pending: TrainingBudget team has $20.00 of $100.00 left, and an attempt reserves $80.00. It starts"
        in said
    )
    assert said.count("pending:") == 1


def test_a_raised_limit_lets_a_waiting_run_go_on(local_run: Make) -> None:
    run = a_run(local_run, "run", steps=2, step_seconds=0.01)
    budget = LocalBudget(run)
    budget.allow("50.00")
    process = run.start(*DOLLAR_A_SECOND)
    eventually(lambda: waits(run))
    assert "allows $50.00, and an attempt reserves $80.00" in run.status().message
    budget.allow("90.00")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said


def test_who_waits_may_leave_and_come_back(local_run: Make) -> None:
    run = a_run(local_run, "run", steps=2, step_seconds=0.01)
    budget = LocalBudget(run)
    budget.allow("50.00")
    process = run.start(*DOLLAR_A_SECOND)
    eventually(lambda: waits(run))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert run.status().phase is Phase.SUSPENDED
    assert budget.ask("delete", "team", "--yes") == (0, "TrainingBudget team is deleted.\n")
    assert run.call(*DOLLAR_A_SECOND)[0] == 0


def test_a_limit_that_is_lowered_stops_the_run_that_is_alive(local_run: Make) -> None:
    run = a_run(local_run, "run", **HOLDS)
    budget = LocalBudget(run)
    budget.allow("100.00")
    run.start(*DOLLAR_A_SECOND)
    eventually(lambda: lives(run))
    budget.allow("32.00")
    eventually(lambda: waits(run))
    attempt = run.status().attempts[0]
    assert attempt.stop_reason in {None, Reason.TRAINING_BUDGET_EXHAUSTED}
    assert attempt.end_time is not None
    status = budget.status()
    assert float(status["spentUSD"]) < 32
    assert status["reservedUSD"] == "0.00"


def test_runs_without_a_limit_reserve_piece_by_piece(local_run: Make) -> None:
    runs = [a_run(local_run, f"run-{number}", None, **HOLDS) for number in range(3)]
    LocalBudget(runs[0]).allow("140.00", reservationUSD="65.00")
    for run in runs:
        run.start(*DOLLAR_A_SECOND)
    eventually(lambda: sum(map(lives, runs)) == 2 and sum(map(waits, runs)) == 1)
    deadlines = [run.status().attempts[0].deadline_seconds for run in runs if lives(run)]
    assert deadlines == [34, 34]


def test_only_runs_with_its_labels_draw_from_a_budget(local_run: Make) -> None:
    run = a_run(local_run, "run", steps=2, step_seconds=0.01)
    LocalBudget(run).allow("0.00", selector={"matchLabels": {"project": "plays"}})
    assert run.call(*DOLLAR_A_SECOND, "--set", "metadata.labels.project=poems")[0] == 0
    other = a_run(local_run, "other", steps=2, step_seconds=0.01)
    other.start(*DOLLAR_A_SECOND, "--set", "metadata.labels.project=plays")
    eventually(lambda: waits(other))


def test_a_run_without_a_price_is_not_held_and_the_list_says_so(local_run: Make) -> None:
    run = a_run(local_run, "run", **HOLDS)
    budget = LocalBudget(run)
    budget.allow("0.00")
    run.start()
    eventually(lambda: lives(run))
    code, said = budget.ask()
    assert code == 0
    assert said.splitlines()[-1].endswith("(--price-per-hour-usd): run")
    assert budget.status()["spentUSD"] == "0.00"


def test_what_a_deleted_run_spent_stays_counted(local_run: Make) -> None:
    run = a_run(local_run, "run", steps=20, step_seconds=0.05)
    budget = LocalBudget(run)
    budget.allow("100.00")
    assert run.call(*DOLLAR_A_SECOND)[0] == 0
    spent = budget.status()["spentUSD"]
    assert float(spent) > 1
    assert run.ask("delete", "--yes")[0] == 0
    assert budget.status()["spentUSD"] == spent
    # Its place among the runs may be taken by another of the name.
    assert run.call(*DOLLAR_A_SECOND)[0] == 0
    assert float(budget.status()["spentUSD"]) > float(spent) + 1


def test_explain_says_whether_a_run_would_find_room(local_run: Make) -> None:
    run = a_run(local_run, "run", steps=2, step_seconds=0.01)
    LocalBudget(run).allow("50.00")
    code, said = run.call("-f", str(run.file), "--price-per-hour-usd", "3600", verb="explain", subject="--runs-dir=runs")  # fmt: skip
    assert code == 0, said
    assert "it would not start now" in said
    assert "TrainingBudget team allows $50.00" in said


def test_periods_that_are_over_are_listed(local_run: Make) -> None:
    run = local_run()
    spec = {"limitUSD": "7.00", "period": "Daily"}
    given = TrainingBudget.model_validate({"metadata": {"name": "team"}, "spec": spec})
    Books(Runs(run.base / "runs")).allow(given, datetime.now(UTC) - timedelta(days=2))
    code, said = LocalBudget(run).ask("--history")
    assert code == 0
    header, *rows = (line.split() for line in said.partition("\n\n")[2].splitlines())
    assert header == ["BUDGET", "FROM", "UNTIL", "SPENT", "LIMIT"]
    assert [(row[0], *row[-2:]) for row in rows] == [("team", "$0.00", "$7.00")] * 2


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"limitUSD": 5}, "spec.limitUSD"),
        ({"limitUSD": "5.00", "timeZone": "Mars/Crater"}, "spec.timeZone: found 'Mars/Crater'"),
        ({"limitUSD": "5.00", "perod": "Daily"}, "spec.perod"),
    ],
)
def test_a_file_with_a_fault_changes_nothing(
    local_run: Make, spec: dict[str, object], told: str
) -> None:
    budget = LocalBudget(local_run())
    budget.allow("3.00")
    before = (budget.folder / "budget.yaml").read_text("utf-8")
    document = {"kind": "TrainingBudget", "metadata": {"name": "team"}, "spec": spec}
    budget.file.write_text(json.dumps(document), "utf-8")
    code, said = budget.ask("set", str(budget.file))
    assert code == 10
    assert len(said.splitlines()) == 1
    assert str(budget.file) in said
    assert told in said
    assert (budget.folder / "budget.yaml").read_text("utf-8") == before


@pytest.mark.parametrize("name", ["budget.yaml", "status.yaml"])
def test_a_budget_that_cannot_be_read_lets_nothing_start_and_is_not_written_over(
    local_run: Make, name: str
) -> None:
    run = a_run(local_run, "run", steps=2, step_seconds=0.01)
    budget = LocalBudget(run)
    budget.allow("500.00")
    damaged = budget.folder / name
    damaged.write_text("spec: [", "utf-8")
    for code, said in (run.call(*DOLLAR_A_SECOND), budget.ask()):
        assert code == 10
        assert said.count("error:") == 1
        assert str(damaged) in said
    assert not run.folder.exists()
    assert damaged.read_text("utf-8") == "spec: ["


def test_what_an_attempt_kept_is_free_once_it_ended_with_nobody_to_see_it(local_run: Make) -> None:
    run = a_run(local_run, "run", steps=40, step_seconds=0.05)
    budget = LocalBudget(run)
    budget.allow("100.00")
    process = run.start(*DOLLAR_A_SECOND)
    eventually(lambda: lives(run))
    process.kill()
    process.wait()
    status = budget.status()
    assert float(status["spentUSD"]) + float(status["reservedUSD"]) == 80
    eventually(lambda: run.exit() is not None)
    status = budget.status()
    assert (status["runs"], status["reservedUSD"]) == (0, "0.00")
    assert 2 < float(status["spentUSD"]) < 80
    other = a_run(local_run, "other", steps=2, step_seconds=0.01)
    assert other.call(*DOLLAR_A_SECOND)[0] == 0
