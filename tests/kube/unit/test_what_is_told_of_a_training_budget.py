"""What the status of a TrainingBudget says: by period, of runs that are alive, that are over, and that are no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lightcompute.accounts.account import Account
from lightcompute.accounts.departure import departing
from lightcompute.accounts.report import report, tells_but_time
from lightcompute.api.money import format_usd
from lightcompute.api.training_budget import TrainingBudget, TrainingBudgetStatus
from lightcompute.core.budget import Terms
from lightcompute.core.period import EVER
from lightcompute.testing.builders import (
    RunBuilder,
    a_run,
    a_running_attempt,
    an_ended_attempt,
    at,
)

PRICE = "3.60"
"""A tenth of a cent a second."""
TERMS = Terms(grace_seconds=30)
MIDNIGHT = datetime(2030, 1, 2, tzinfo=UTC)
TODAY = datetime(2030, 1, 1, tzinfo=UTC)


def an_account(
    limit: str = "1.00", status: TrainingBudgetStatus | None = None, **spec: Any
) -> Account:
    budget = TrainingBudget.model_validate(
        {"metadata": {"name": "team", "namespace": "a"}, "spec": {"limitUSD": limit, **spec}}
    )
    if status is not None:
        budget = budget.model_copy(update={"status": status})
    return Account(budget, TERMS)


def named(run: RunBuilder, uid: str, **labels: str) -> RunBuilder:
    return run.with_metadata(uid=uid, name=uid, namespace="a", labels=labels)


def ended(uid: str, seconds: float = 60) -> RunBuilder:
    return named(a_run().with_attempts(an_ended_attempt(seconds=seconds, price=PRICE)), uid)


def alive(uid: str, **parts: Any) -> RunBuilder:
    values: dict[str, Any] = {"price": PRICE, "deadline_seconds": 59}
    return named(a_run().with_attempts(a_running_attempt(**(values | parts))), uid)


def put(account: Account, *runs: RunBuilder, now: datetime | None = None) -> None:
    for each in runs:
        run = each.build()
        account.put(run, run.status, now=now or at(70))


def told(
    account: Account,
    *runs: RunBuilder,
    now: datetime | None = None,
    gone: tuple[str, ...] = (),
    waiting: int = 0,
) -> TrainingBudgetStatus:
    statuses = [run.build().status for run in runs]
    return report(account, statuses, is_gone=gone.__contains__, waiting=waiting, now=now or at(70))


def test_it_tells_what_is_spent_reserved_and_left() -> None:
    account, runs = an_account(), (ended("over"), alive("live"))
    put(account, *runs)
    status = told(account, *runs, now=at(40), waiting=3)
    assert (status.spent_usd, status.reserved_usd) == (60_000 + 40_000, 50_000)
    assert status.remaining_usd == 1_000_000 - 150_000
    assert (status.runs, status.waiting_runs) == (1, 3)
    assert (status.period_start, status.period_end) == (None, None)
    account = an_account(status=status)
    put(account, *runs)
    assert tells_but_time(status, told(account, *runs, now=at(50), waiting=3))
    assert not tells_but_time(status, told(account, *runs, now=at(50)))


def test_what_is_spent_and_reserved_add_up_to_the_claims_at_any_time() -> None:
    account, runs = an_account(), (alive("a"), alive("b", deadline_seconds=100))
    put(account, *runs)
    sums = {
        status.spent_usd + status.reserved_usd
        for status in (told(account, *runs, now=at(seconds)) for seconds in (0, 0.3, 17, 59, 90))
    }
    assert sums == {90_000 + 131_000}


def test_a_run_that_is_deleted_is_counted_once_on_its_way_and_after() -> None:
    account, run = an_account(), ended("going")
    put(account, run)
    record = departing("going", "going", account.claims["going"])
    assert [each.amount_usd for each in record.amounts] == [60_000]
    noted = TrainingBudgetStatus(departed=(record,))
    account = an_account(status=noted)
    put(account, run)
    assert told(account, run).spent_usd == 60_000, "it is still seen, and on record"
    account.lose("going")
    assert account.lost == {}
    assert told(account).spent_usd == 60_000, "it is seen no more"
    summed = told(account, gone=("going",))
    assert summed.departed == ()
    assert [each.amount_usd for each in summed.settled] == [60_000]
    assert told(an_account(status=summed)).spent_usd == 60_000


def test_a_run_that_went_without_a_record_gets_one_before_it_is_summed_up() -> None:
    account, run = an_account(), ended("torn-out")
    put(account, run)
    account.lose("torn-out")
    first = told(account, gone=("torn-out",))
    assert [each.run_uid for each in first.departed] == ["torn-out"]
    assert first.settled == ()
    # The write took effect, whoever heard of it.
    budget = account.budget.model_copy(update={"status": first})
    assert account.takes(budget)
    assert account.lost == {}
    second = told(account, gone=("torn-out",))
    assert [each.amount_usd for each in second.settled] == [60_000]
    assert second.spent_usd == 60_000


def test_a_new_period_begins_at_nothing_and_the_old_one_is_history() -> None:
    spec: dict[str, Any] = {"period": "Daily"}
    first = told(an_account(**spec), now=MIDNIGHT - timedelta(seconds=60))
    assert (first.period_start, first.period_end) == (TODAY, MIDNIGHT)
    run = named(
        a_run().with_attempts(
            an_ended_attempt(seconds=60, price=PRICE),
        ),
        "yesterday",
    )
    account = an_account(status=first, **spec)
    put(account, run)
    status = told(account, run, now=MIDNIGHT + timedelta(seconds=1))
    assert (status.period_start, status.spent_usd) == (MIDNIGHT, 0)
    (past,) = status.history
    assert (past.period_start, past.period_end) == (TODAY, MIDNIGHT)
    assert (past.spent_usd, past.limit_usd) == (60_000, 1_000_000)


def test_periods_in_which_nobody_looked_are_told_too() -> None:
    first = TrainingBudgetStatus(period_start=TODAY, period_end=MIDNIGHT)
    account = an_account(status=first, period="Daily")
    status = told(account, now=MIDNIGHT + timedelta(days=40))
    assert len(status.history) == 24
    assert status.history[-1].period_end == status.period_start


def test_a_run_over_the_edge_of_a_period_takes_of_both() -> None:
    account = an_account(period="Daily")
    run = alive("over-night", deadline_seconds=86_400)
    put(account, run)
    noon_to_midnight = 12 * 3600 * 1000
    claim = account.claims["over-night"]
    assert claim.promised == {
        TODAY: noon_to_midnight,
        MIDNIGHT: (86_400 + 31) * 1000 - noon_to_midnight,
    }
    status = told(account, run, now=MIDNIGHT + timedelta(seconds=10))
    assert (status.spent_usd, status.spent_usd + status.reserved_usd) == (
        10_000,
        claim.promised[MIDNIGHT],
    )


def test_what_departed_runs_spent_is_found_after_the_period_was_changed() -> None:
    account, run = an_account(period="Daily"), ended("going")
    put(account, run)
    record = departing("going", "going", account.claims["going"])
    kept = TrainingBudgetStatus(departed=(record,))
    for period in ("Weekly", "Monthly", "Total"):
        assert told(an_account(status=kept, period=period)).spent_usd == 60_000, period
    assert record.amounts[0].period_start == TODAY


def test_the_record_of_what_is_gone_is_bounded_and_loses_nothing() -> None:
    days = [TODAY + timedelta(days=number) for number in range(80)]
    account = an_account(period="Daily")
    for number, day in enumerate(days):
        attempt = an_ended_attempt(seconds=60, price=PRICE)
        moved = attempt.model_copy(
            update={
                "charges": tuple(
                    each.model_copy(
                        update={"start_time": day, "end_time": day + timedelta(seconds=60)}
                    )
                    for each in attempt.charges
                )
            }
        )
        run = named(a_run().with_attempts(moved), f"run-{number}")
        put(account, run)
    status = TrainingBudgetStatus(
        departed=tuple(departing(uid, uid, claim) for uid, claim in account.claims.items())
    )
    summed = told(an_account(status=status, period="Daily"), gone=tuple(account.claims))
    assert len(summed.settled) == 64
    assert sum(each.amount_usd for each in summed.settled) == 80 * 60_000


def test_others_take_what_is_left_from_whoever_asks() -> None:
    account = an_account()
    put(account, alive("a"), alive("b"), ended("mine"))
    mine = account.allowance("mine")
    assert mine.taken[EVER.start] == 180_000, "what it spent itself is added by whoever decides"
    assert mine.endless == ""


def test_over_the_limit_those_who_came_first_keep_what_they_have() -> None:
    account = an_account("0.10")
    put(account, alive("first"), alive("second", reserved_time=at(5)))
    assert account.allowance("first").taken[EVER.start] == 0
    assert account.allowance("second").taken[EVER.start] == 90_000
    assert account.allowance("third").taken[EVER.start] == 180_000


def test_a_run_without_an_end_holds_back_those_after_it_only() -> None:
    account = an_account()
    put(account, alive("first"), alive("endless", reserved_time=at(5), deadline_seconds=None))
    assert account.allowance("first").endless == ""
    assert account.allowance("new").endless == "endless"


@pytest.mark.parametrize(
    ("labels", "budgets", "draws"),
    [
        ({"team": "a"}, (), True),
        ({"team": "a", "more": "x"}, (), True),
        ({"team": "b"}, (), False),
        ({}, (), False),
        ({}, ("team",), True),
    ],
)
def test_a_run_draws_by_its_labels_or_since_it_reserved_there(
    labels: dict[str, str], budgets: tuple[str, ...], *, draws: bool
) -> None:
    account = an_account(selector={"matchLabels": {"team": "a"}})
    attempt = an_ended_attempt(seconds=60, price=PRICE, budgets=budgets)
    run = named(a_run().with_attempts(attempt), "run", **labels).build()
    assert account.draws(run, run.status) == draws
    account.put(run, run.status, now=at(70))
    assert (format_usd(account.gone_amounts(EVER.start)), bool(account.claims)) == ("0.00", draws)


def test_what_a_run_gives_back_is_free_for_others() -> None:
    account = an_account()
    put(account, alive("a"))
    assert account.allowance("new").taken[EVER.start] == 90_000
    put(account, ended("a", seconds=20))
    assert account.allowance("new").taken[EVER.start] == 20_000
    account.remove("a")
    assert account.allowance("new").taken[EVER.start] == 0
