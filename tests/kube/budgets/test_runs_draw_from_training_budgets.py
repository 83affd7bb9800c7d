"""Runs that draw from TrainingBudgets: what one has reserved no other gets, what was spent stays counted, and who waits goes on."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lightcompute.api.money import parse_usd
from support.budgets import Purse
from support.operators import eventually
from support.run_spaces import Run, Space, a_space
from support.testcluster.api import ApiFault
from support.testcluster.cluster import Cluster
from support.testcluster.proxy import FaultProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# 3.60 dollars an hour: a tenth of a cent a second. 4 s of grace, 1 s of skew and 1 s of granularity are held back.
CAP = {"limitUSD": "0.020"}
ENDLESS = {"NEVER_ENDS": 1}


def waiting(run: Run) -> dict[str, Any]:
    return run.until(lambda status: status.get("reason") == "WaitingForBudget")


def spent(status: dict[str, Any]) -> Decimal:
    return Decimal(status["cost"]["spentUSD"])


def ends(status: dict[str, Any]) -> list[str]:
    return [attempt.get("reason", "") for attempt in status["attempts"]]


def test_who_finds_no_money_waits_and_goes_on_when_others_are_done(
    space: Space, purse: Purse
) -> None:
    purse.allow("team", "0.050")
    first = [space.submit(f"first-{number}", {"RUN_SECONDS": 6}, budget=CAP) for number in range(2)]
    for run in first:
        run.in_phase("Running")
    late = space.submit("late", {"RUN_SECONDS": 1}, budget=CAP)
    told = waiting(late)
    assert told["phase"] == "Pending"
    assert "TrainingBudget team has $0.01 of $0.05 left" in told["message"]
    assert purse.until("team", lambda status: status.get("waitingRuns") == 1)["runs"] == 2
    ended = [run.in_phase("Succeeded") for run in (*first, late)]
    assert [ends(each) for each in ended] == [["Completed"]] * 3
    total = sum(map(spent, ended), Decimal())
    told = purse.until("team", lambda status: Decimal(status["spentUSD"]) == total)
    assert (told.get("reservedUSD", "0.00"), told.get("runs", 0)) == ("0.00", 0)
    assert Decimal(told["remainingUSD"]) == Decimal("0.050") - total


def test_two_that_want_the_last_dollar_at_once_do_not_both_get_it(
    space: Space, purse: Purse
) -> None:
    purse.allow("team", "0.039")
    runs = [space.submit(f"run-{number}", {"RUN_SECONDS": 1}, budget=CAP) for number in range(8)]
    for run in runs:
        assert ends(run.in_phase("Succeeded", seconds=120)) == ["Completed"]
    # Each had reserved 2 cents, and there are not twice as many: the audit saw no two of them alive at once.


def test_what_a_deleted_run_spent_stays_counted(space: Space, purse: Purse) -> None:
    purse.allow("team", "0.025")
    run = space.submit("deleted", {"RUN_SECONDS": 8}, budget=CAP)
    cost = spent(run.in_phase("Succeeded"))
    assert cost > Decimal("0.006")
    run.delete()
    run.gone()
    told = purse.until("team", lambda status: bool(status.get("settled")))
    assert [Decimal(each["amountUSD"]) for each in told["settled"]] == [cost]
    assert Decimal(told["spentUSD"]) == cost
    assert told.get("departed", []) == []
    waiting(space.submit("another", budget=CAP))
    space.operator.kill()
    space.bury(space.operator)
    space.start_operator().wait_ready()
    assert Decimal(purse.status("team")["spentUSD"]) == cost


def test_a_run_whose_finalizer_somebody_took_away_stays_counted_too(
    space: Space, purse: Purse
) -> None:
    purse.allow("team", "0.050")
    run = space.submit("torn-out", {"RUN_SECONDS": 3}, budget=CAP)
    cost = spent(run.in_phase("Succeeded"))
    space.api.patch(run.path, {"metadata": {"finalizers": None}})
    run.delete()
    told = purse.until("team", lambda status: bool(status.get("settled")))
    assert [Decimal(each["amountUSD"]) for each in told["settled"]] == [cost]


def test_a_limit_that_is_lowered_ends_those_who_came_last_and_a_higher_one_lets_them_go_on(
    space: Space, purse: Purse
) -> None:
    purse.allow("team", "2.00")
    budget = {"limitUSD": "0.90"}
    first = space.submit("first", {"NEVER_ENDS": 1}, budget=budget)
    first.in_phase("Running")
    second = space.submit("second", {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1}, budget=budget)
    second.in_phase("Running")
    purse.change("team", limitUSD="0.91")
    told = waiting(second)
    assert ends(told) == ["Preempted"]
    assert told["attempts"][0]["stopReason"] == "TrainingBudgetExhausted"
    assert first.status["phase"] == "Running"
    purse.change("team", limitUSD="2.00")
    assert ends(second.in_phase("Succeeded")) == ["Preempted", "Completed"]
    assert len(first.status["attempts"]) == 1


def test_a_budget_that_is_deleted_binds_nobody(space: Space, purse: Purse) -> None:
    purse.allow("team", "0.010")
    run = space.submit("freed", {"RUN_SECONDS": 1}, budget=CAP)
    waiting(run)
    purse.change("team", reservationUSD=None)  # so that the audit does not hold the run to it
    space.api.delete(f"{purse.path}/team")
    assert ends(run.in_phase("Succeeded")) == ["Completed"]


def test_a_reservation_is_renewed_attempt_by_attempt(space: Space, purse: Purse) -> None:
    purse.allow("team", "0.060", reservationUSD="0.030")
    run = space.submit("pieces", {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1})
    end = run.in_phase("Succeeded", seconds=120)
    assert ends(end) == ["TimeOver", "Completed"]
    assert [each["reservedUSD"] for each in end["attempts"]] == ["0.03", "0.03"]
    assert [each["budgets"] for each in end["attempts"]] == [["team"]] * 2


def test_only_runs_that_are_selected_draw_from_it(space: Space, purse: Purse) -> None:
    purse.allow("research", "0.00", selector={"matchLabels": {"team": "research"}})
    free = space.submit("free", {"RUN_SECONDS": 1}, budget=CAP)
    assert ends(free.in_phase("Succeeded")) == ["Completed"]
    held = space.submit("held", {"RUN_SECONDS": 1}, budget=CAP, suspend=True)
    held.in_phase("Suspended")
    space.api.patch(held.path, {"metadata": {"labels": {"team": "research"}}})
    held.edit(suspend=False)
    assert "allows $0.00" in waiting(held)["message"]


def test_an_operator_that_dies_promises_nothing_twice(space: Space, purse: Purse) -> None:
    purse.allow("team", "0.050")
    runs = [space.submit(f"run-{number}", {"RUN_SECONDS": 3}, budget=CAP) for number in range(4)]
    runs[0].until(lambda status: bool(status.get("attempts")))
    for _ in range(3):
        space.operator.kill()
        space.bury(space.operator)
        space.start_operator().wait_ready()
    for run in runs:
        assert ends(run.in_phase("Succeeded", seconds=120)) == ["Completed"]


def test_a_budget_with_an_unknown_time_zone_says_so_and_lets_nothing_start(
    space: Space, purse: Purse
) -> None:
    purse.allow("nowhere", "5.00", period="Daily", timeZone="Europe/Nowhere")
    [condition] = purse.status("nowhere")["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "BudgetRefused")
    run = space.submit("held", {"RUN_SECONDS": 1}, budget=CAP)
    assert "no time zone" in waiting(run)["message"]
    purse.change("nowhere", timeZone="Europe/Berlin")
    end = run.in_phase("Succeeded")
    told = purse.until("nowhere", lambda status: Decimal(status["spentUSD"]) == spent(end))
    assert told["periodStart"] < told["periodEnd"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"limitUSD": "-1"}, "a number of US dollars in quotes"),
        ({"limitUSD": "€5"}, "a number of US dollars in quotes"),
        ({"limitUSD": "0.1234567"}, "at most six decimals"),
        ({"limitUSD": "1000001"}, "at most 1000000 US dollars"),
        ({"limitUSD": "1.00", "reservationUSD": "2.00"}, "no more than limitUSD"),
        ({"limitUSD": "1.00", "reservationUSD": "0"}, "above 0"),
        ({"limitUSD": "1.00", "period": "Yearly"}, "Unsupported value"),
        ({}, "limitUSD"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused_at_once(
    space: Space, purse: Purse, spec: dict[str, Any], said: str
) -> None:
    document = {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingBudget",
        "metadata": {"name": "wrong"},
        "spec": spec,
    }
    with pytest.raises(ApiFault, match=said):
        space.api.post(purse.path, document)
    if "limitUSD" in spec and spec["limitUSD"].replace(".", "").isdigit() is False:
        with pytest.raises(ValueError, match="a number of US dollars"):
            parse_usd(spec["limitUSD"])


def test_the_table_of_budgets_says_what_is_left(space: Space, purse: Purse) -> None:
    purse.allow("team", "5.00", period="Monthly")
    run = space.submit("spender", {"RUN_SECONDS": 2}, budget=CAP)
    run.in_phase("Succeeded")
    purse.until("team", lambda status: Decimal(status["spentUSD"]) > 0)
    where = ("-n", space.namespace, "--kubeconfig", str(space.kubeconfig))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lightcompute", "budgets", *where],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()
    assert header.split()[:6] == ["BUDGET", "LIMIT", "PERIOD", "SPENT", "RESERVED", "LEFT"]
    assert row.split()[:3] == ["team", "$5.00", "Monthly"]
    assert row.split()[-1] == "ok"
    for name in ("spent", "limit"):
        assert space.operator.metric(f"lightcompute_budget_{name}_usd") > 0
    assert space.operator.metric("lightcompute_run_spent_usd") > 0


def test_where_budgets_may_not_be_listed_nothing_starts_and_the_log_says_so(
    served: Cluster, tmp_path: Path
) -> None:
    proxy = FaultProxy.start(served, folder=tmp_path)
    with ExitStack() as stack:
        stack.callback(proxy.stop)
        proxy.answer(403, path="/trainingbudgets", times=None)
        patience = {"kube.accounts.AGAIN_SECONDS": 0.5}
        space = stack.enter_context(
            a_space(served, tmp_path, kubeconfig=proxy.kubeconfig, patience=patience)
        )
        operator = space.start_operator()
        run = space.submit("held", {"RUN_SECONDS": 1}, budget=CAP)
        eventually(lambda: operator.said("before TrainingBudgets can be listed"), 30)
        assert operator.ask("/readyz")[0] == 503
        assert not run.status.get("attempts")
        proxy.clear()
        assert ends(run.in_phase("Succeeded")) == ["Completed"]
        assert operator.ask("/readyz")[0] == 200
