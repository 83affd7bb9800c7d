"""The cost that a status tells: what it forecasts, when it is told anew, and who is warned when the cap comes near."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Cost, TrainerStatus
from lightcompute.core.cost import budget_warnings
from lightcompute.core.decide import decide
from lightcompute.core.progress import Progress
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import ChildState
from lightcompute.testing.builders import (
    RunBuilder,
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_attempt,
    an_ended_attempt,
    at,
)
from runcontract.progress import Stepped

PRICE = "3.60"
"""A tenth of a cent a second."""


def running(run: RunBuilder, *before: Any) -> RunBuilder:
    return run.with_attempts(*before, a_running_attempt(len(before) + 1, price=PRICE))


def stepped(remaining_seconds: float, attempt: int = 1) -> Progress:
    report = Stepped(
        time=at(10),
        attempt=attempt,
        step=1,
        max_steps=100,
        epoch=0,
        tokens=1,
        training_loss=1,
        learning_rate=1,
        gradient_norm=1,
        tokens_per_second=1,
        remaining_seconds=remaining_seconds,
    )
    return Progress(attempt=attempt).with_report(report)


def test_the_forecast_is_what_is_spent_by_all_attempts_and_what_the_rest_will_cost() -> None:
    before = an_ended_attempt(1, seconds=50, price=PRICE)
    child = a_child(2, progress=stepped(200, attempt=2))
    cost = decide(a_snapshot(running(a_run(), before), child, now=at(100))).status.cost
    assert cost.spent_usd == 50_000 + 100_000
    assert cost.forecast_usd == 50_000 + 100_000 + 200_000


def test_nothing_is_forecast_without_a_word_of_the_trainer() -> None:
    cost = decide(a_snapshot(running(a_run()), a_child(), now=at(100))).status.cost
    assert cost.forecast_usd is None
    ended = a_run().suspended().with_attempts(an_ended_attempt(1, seconds=50, price=PRICE))
    told = revised(ended.status, trainer_status=TrainerStatus(estimated_remaining_seconds=5))
    assert decide(a_snapshot(ended.with_status(told), now=at(100))).status.cost.forecast_usd is None


def test_a_look_comes_when_cost_is_due_also_where_that_is_sooner_than_any_other() -> None:
    run = running(a_run().limited_to("20.00", pollIntervalSeconds=10))
    first = decide(a_snapshot(run, a_child(), now=at(100)))
    assert first.look_again_at == at(110)
    after = run.with_status(first.status)
    assert decide(a_snapshot(after, a_child(), now=at(109))).status == first.status
    second = decide(a_snapshot(after, a_child(), now=at(110)))
    assert second.status.cost.spent_usd == 110_000
    assert second.look_again_at == at(120)


def test_what_is_held_back_is_told_at_once_where_nothing_is_charged_yet() -> None:
    run = a_run().with_attempts(an_attempt(price=PRICE))
    waits = a_child(state=ChildState.PENDING, start_time=None)
    first = decide(a_snapshot(run, waits, now=at(10))).status
    assert first.cost.overshoot_bound_usd == 31_000
    second = decide(a_snapshot(run.with_status(first), waits, now=at(11), grace_seconds=60)).status
    assert second.cost.overshoot_bound_usd == 61_000


def cost(spent: int, limit: int | None = 1_000_000) -> Cost:
    return Cost(spent_usd=spent, limit_usd=limit)


@pytest.mark.parametrize(
    ("before", "after", "percentage"),
    [
        (0, 499_999, None),
        (0, 500_000, 50),
        (500_000, 799_999, None),
        (500_000, 800_000, 80),
        (900_000, 950_000, 95),
        (400_000, 960_000, 95),  # the highest alone
        (950_000, 1_000_000, None),
        (600_000, 600_000, None),
    ],
)
def test_a_warning_tells_the_highest_share_of_the_cap_that_was_passed_and_tells_it_once(
    before: int, after: int, percentage: int | None
) -> None:
    warnings = budget_warnings(cost(before), cost(after))
    assert [each.reason for each in warnings] == [Reason.BUDGET_WARNING] * (percentage is not None)
    assert all(f"({percentage} %)" in each.message for each in warnings)


@pytest.mark.parametrize(("old", "new"), [(None, 1_000_000), (2_000_000, 1_000_000), (1, None)])
def test_a_changed_cap_is_no_warning(old: int | None, new: int | None) -> None:
    assert budget_warnings(cost(0, old), cost(900_000, new)) == ()


def test_a_person_is_warned_of_a_live_run_when_half_is_spent() -> None:
    run = running(a_run().limited_to("1.00"))
    first = decide(a_snapshot(run, a_child(deadline_seconds=969), now=at(400)))
    later = decide(a_snapshot(run.with_status(first.status), a_child(), now=at(700)))
    told = [each.message for each in later.events if each.reason == Reason.BUDGET_WARNING]
    assert told == ["$0.70 of $1.00 are spent (50 %)"]
