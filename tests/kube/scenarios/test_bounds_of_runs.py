"""What runs may cost and how long they may take."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from support.played import Scenarios
from support.run_spaces import Space

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

scenario = Scenarios()
ENDLESS = {"NEVER_ENDS": 1}


def test_bounds_hold(space: Space, subtests: pytest.Subtests) -> None:
    scenario.play(space, subtests)


def ends(status: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(attempt["reason"], attempt["counts"]) for attempt in status["attempts"]]


def spent(status: dict[str, Any]) -> Decimal:
    return Decimal(status["cost"]["spentUSD"])


@scenario
def a_budget_stops_the_trainer_and_a_higher_one_goes_on(space: Space) -> None:
    run = space.submit("budget", {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1}, budget={"limitUSD": "0.02"})
    status = run.in_phase("BudgetExhausted")
    assert ends(status) == [("TimeOver", False)]
    assert status["attempts"][0]["exitCode"] == 12
    assert Decimal("0.008") < spent(status) <= Decimal("0.02")
    assert run.told("BudgetExhausted")["type"] == "Warning"
    run.edit(budget={"limitUSD": "1.00"})
    status = run.in_phase("Succeeded")
    assert ends(status) == [("TimeOver", False), ("Completed", False)]


@scenario
def a_program_that_heeds_nothing_is_ended_within_its_budget(space: Space) -> None:
    sim = {"NEVER_ENDS": 1, "DEAF": 1, "SILENT": 1}
    trainer = {"image": "example.invalid/another:1", "command": ["run"]}
    budget = {"limitUSD": "0.02"}
    run = space.submit("deaf", sim, training=None, trainer=trainer, budget=budget)
    status = run.in_phase("BudgetExhausted")
    assert spent(status) <= Decimal("0.02")
    assert len(status["attempts"]) == 1


@scenario
def a_budget_that_pays_for_nothing_useful_starts_nothing(space: Space) -> None:
    run = space.submit("poor", {}, budget={"limitUSD": "0.005"})
    status = run.in_phase("BudgetExhausted")
    assert not status.get("attempts")
    assert run.jobs == []


@scenario
def a_budget_that_is_raised_moves_the_deadline_of_the_job_that_runs(space: Space) -> None:
    run = space.submit("raised", ENDLESS, budget={"limitUSD": "0.05"})
    run.in_phase("Running")
    (job,) = run.jobs
    assert 40 <= job["spec"]["activeDeadlineSeconds"] <= 46
    run.edit(budget={"limitUSD": "1.00"})
    space.watch.until(
        lambda: 980 <= run.jobs[0]["spec"]["activeDeadlineSeconds"] <= 996,
        lambda: str(run.jobs[0]["spec"]["activeDeadlineSeconds"]),
        20,
    )
    status = run.until(lambda status: status["attempts"][0]["deadlineSeconds"] > 900)
    assert len(status["attempts"]) == 1
    run.delete()
    run.gone()


@scenario
def a_budget_that_is_lowered_below_what_is_spent_stops_the_attempt(space: Space) -> None:
    run = space.submit("lowered", ENDLESS, budget={"limitUSD": "1.00"})
    run.in_phase("Running")
    run.edit(budget={"limitUSD": "0.001"})
    status = run.in_phase("BudgetExhausted", seconds=30)
    assert len(status["attempts"]) == 1
    assert status["attempts"][0]["endTime"]


@scenario
def the_active_deadline_ends_the_run(space: Space) -> None:
    run = space.submit("timed", ENDLESS, activeDeadlineSeconds=8)
    status = run.in_phase("Failed")
    assert status["reason"] == "DeadlineExceeded"
    assert len(status["attempts"]) == 1
    assert spent(status) <= Decimal("0.014")


@scenario
def a_trainer_that_falls_silent_is_stopped_and_started_again(space: Space) -> None:
    sim = {"HANG_1": 1, "RUN_SECONDS": 1}
    run = space.submit("hung", sim, progressDeadlineSeconds=5)
    status = run.in_phase("Succeeded")
    assert ends(status) == [("Hang", True), ("Completed", False)]
    run.told("Hang")


@scenario
def a_cap_that_comes_while_it_runs_is_kept_by_its_job_and_one_that_goes_is_not(
    space: Space,
) -> None:
    run = space.submit("late-cap", ENDLESS)
    run.in_phase("Running")

    def deadline() -> int | None:
        [job] = run.jobs
        seconds: int | None = job["spec"].get("activeDeadlineSeconds")
        return seconds

    def told() -> int | None:
        seconds: int | None = run.status["attempts"][0].get("deadlineSeconds")
        return seconds

    assert deadline() is None
    run.edit(budget={"limitUSD": "1.00"})
    space.watch.until(lambda: deadline() is not None and told() is not None, run.told_in_full, 60)
    assert abs((deadline() or 0) - (told() or 0)) <= 5
    run.edit(budget=None)
    space.watch.until(lambda: deadline() is None and told() is None, run.told_in_full, 60)
    run.delete()
    run.gone()
