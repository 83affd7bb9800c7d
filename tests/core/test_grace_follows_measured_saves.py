"""An attempt has a grace in which what its run's saves were measured to take fits; what it may take for that is held back for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lightcompute.api.money import charge, parse_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, Saves
from lightcompute.core.budget import GRANULARITY_SECONDS, Terms, certain_end
from lightcompute.core.claim import claim_of
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision, RenewDeadline, StartAttempt, StopAttempt
from lightcompute.core.grace import LONGEST_GRACE_SECONDS, next_grace_seconds
from lightcompute.core.period import EVER, Calendar
from lightcompute.core.progress import Progress
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import Allowance, ChildState
from lightcompute.testing.builders import (
    RunBuilder,
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_attempt,
    an_ended_attempt,
    an_offer,
    at,
)
from runcontract.progress import Report, Saved, Stepped

SETTING = 30
PRICE = "3.60"
"""A tenth of a cent a second: nothing is rounded."""
OFFERS = (an_offer(PRICE, any_placement=True),)
SLOW = Saves(longest_save_seconds=100, longest_step_seconds=5)
GRACE = 205
HELD = GRACE + GRANULARITY_SECONDS


def a_run_whose_saves_are_slow() -> RunBuilder:
    run = a_run()
    return run.with_status(revised(run.status, saves=SLOW))


def saved(step: int, seconds: float) -> Saved:
    return Saved(
        time=at(step), attempt=1, step=step, name=f"step-{step:08d}", size_bytes=9, digest="d",
        save_seconds=seconds,
    )  # fmt: skip


def stepped(step: int, seconds_per_step: float) -> Stepped:
    return Stepped(
        time=at(step), attempt=1, step=step, max_steps=1000, epoch=0.1, tokens=step * 10, training_loss=1,
        learning_rate=1, gradient_norm=1, tokens_per_second=10 / seconds_per_step,
    )  # fmt: skip


def measured(*reports: Report, before: Saves | None = None) -> Saves | None:
    run = a_run().with_status(revised(a_run().status, saves=before))
    progress = Progress(attempt=1)
    for report in reports:
        progress = progress.with_report(report)
    snapshot = a_snapshot(run.with_attempts(a_running_attempt()), a_child(progress=progress))
    return decide(snapshot).status.saves


def started(decision: Decision) -> tuple[StartAttempt, Attempt]:
    (start,) = [each for each in decision.actions if isinstance(each, StartAttempt)]
    return start, decision.status.attempts[-1]


# What is measured.


def test_the_longest_save_and_the_step_of_that_time_are_kept_in_whole_seconds() -> None:
    found = measured(saved(1, 7.2), stepped(10, 2.5), saved(10, 3.0), stepped(20, 1), saved(20, 1))
    assert found == Saves(longest_save_seconds=8, longest_step_seconds=3)


def test_what_is_on_record_falls_never_and_rises_with_what_takes_longer() -> None:
    known = Saves(longest_save_seconds=8, longest_step_seconds=3)
    assert measured(saved(30, 2), before=known) == known
    assert measured(saved(30, 9.5), before=known) == revised(known, longest_save_seconds=10)
    assert measured(before=known) == known


def test_retention_does_not_make_a_save_forgotten() -> None:
    kept = saved(20, 1).model_copy(update={"kept": ("step-00000020",)})
    found = measured(saved(10, 50), kept)
    assert found is not None
    assert found.longest_save_seconds == 50


def test_a_trainer_that_tells_no_speed_has_no_step() -> None:
    silent = stepped(10, 1).model_copy(update={"tokens_per_second": 0.0})
    assert measured(silent, saved(10, 3)) == Saves(longest_save_seconds=3)
    assert measured(stepped(10, 1)) is None


# The rule.


@pytest.mark.parametrize(
    ("setting", "save", "step", "grace"),
    [
        (30, 0, 0, 30),
        (30, 10, 10, 30),
        (30, 10, 11, 31),
        (30, 100, 5, 205),
        (30, 1795, 10, LONGEST_GRACE_SECONDS),
        (30, 10**9, 10**9, LONGEST_GRACE_SECONDS),
        (3600, 1, 1, 3600),
    ],
)
def test_two_saves_and_a_step_fit_but_no_more_than_an_hour(
    setting: int, save: int, step: int, grace: int
) -> None:
    saves = Saves(longest_save_seconds=save, longest_step_seconds=step)
    assert next_grace_seconds(setting, saves) == grace


def test_before_anything_was_measured_it_is_the_setting() -> None:
    assert next_grace_seconds(SETTING, None) == SETTING
    start, attempt = started(decide(a_snapshot(a_run(), offers=OFFERS)))
    assert (start.grace_seconds, attempt.grace_seconds) == (SETTING, SETTING)


# One number for the pod, the stop and the money.


def test_an_attempt_is_recorded_and_made_with_it_and_it_is_held_back() -> None:
    run = a_run_whose_saves_are_slow().limited_to("1.00")
    start, attempt = started(decide(a_snapshot(run, offers=OFFERS)))
    assert (start.grace_seconds, attempt.grace_seconds) == (GRACE, GRACE)
    assert start.deadline_seconds == attempt.deadline_seconds == 1000 - HELD


def test_one_that_is_started_again_has_what_it_was_recorded_with() -> None:
    recorded = an_attempt(price=PRICE, grace_seconds=77)
    run = a_run_whose_saves_are_slow().with_attempts(recorded)
    start, attempt = started(decide(a_snapshot(run, now=at(5))))
    assert (start.grace_seconds, attempt.grace_seconds) == (77, 77)


def test_one_that_is_stopped_has_what_its_pods_were_made_with() -> None:
    live = a_running_attempt(grace_seconds=77)
    run = a_run_whose_saves_are_slow().with_attempts(live).suspended()
    decision = decide(a_snapshot(run, a_child(), now=at(5)))
    assert decision.actions == (StopAttempt(attempt=1, grace_seconds=77),)
    assert "leave within 77 s" in decision.message


def test_one_that_leaves_is_killed_no_sooner_than_its_grace_is_over() -> None:
    live = a_running_attempt(
        state="Stopping", stop_time=at(0), stop_reason=Reason.RUN_SUSPENDED.value, grace_seconds=GRACE
    )  # fmt: skip
    run = a_run().with_attempts(live).suspended()
    kill = StopAttempt(attempt=1, grace_seconds=0)
    for seconds, actions in ((SETTING + 20, ()), (GRACE + 5, ()), (GRACE + 20, (kill,))):
        decision = decide(a_snapshot(run, a_child(stopping=True), now=at(seconds)))
        assert decision.actions == actions


def test_slower_saves_and_another_setting_change_nothing_for_one_that_lives() -> None:
    live = a_running_attempt(price=PRICE, grace_seconds=77, deadline_seconds=1000 - 78)
    run = a_run_whose_saves_are_slow().limited_to("1.00").with_attempts(live)
    child = a_child(deadline_seconds=1000 - 78)
    for setting in (1, SETTING, 600):
        decision = decide(a_snapshot(run, child, now=at(5), grace_seconds=setting))
        assert decision.actions == ()
        cost = decision.status.cost
        assert cost.overshoot_bound_usd == charge(parse_usd(PRICE), timedelta(seconds=78))
        assert cost.spent_usd + cost.reserved_usd == parse_usd("1.00")


def test_one_of_a_version_that_did_not_record_it_goes_by_the_setting() -> None:
    live = a_running_attempt(price=PRICE, deadline_seconds=600)
    run = a_run_whose_saves_are_slow().limited_to("1.00").with_attempts(live)
    decision = decide(a_snapshot(run, a_child(deadline_seconds=600), now=at(5)))
    stopped = decide(a_snapshot(run.suspended(), a_child(), now=at(5)))
    assert stopped.actions == (StopAttempt(attempt=1, grace_seconds=SETTING),)
    (renewal,) = decision.actions
    assert renewal == RenewDeadline(
        attempt=1, deadline_seconds=1000 - SETTING - GRANULARITY_SECONDS
    )


def test_one_that_is_out_of_sight_is_charged_until_its_own_grace_is_over() -> None:
    live = a_running_attempt(deadline_seconds=100, grace_seconds=GRACE)
    assert certain_end(live, Terms(grace_seconds=SETTING)) == at(100 + HELD)
    run = a_run().with_attempts(live)
    unseen = a_child(state=ChildState.UNKNOWN)
    assert decide(a_snapshot(run, unseen, now=at(100 + HELD - 1))).status.attempts[-1].is_live
    gone = decide(a_snapshot(run, unseen, now=at(100 + HELD))).status.attempts[0]
    assert (gone.is_live, gone.end_time) == (False, at(100 + HELD))


def test_an_attempt_that_nobody_recorded_as_live_has_the_grace_of_its_record() -> None:
    ended = an_ended_attempt(1, grace_seconds=77)
    run = a_run().with_attempts(ended)
    decision = decide(a_snapshot(run, a_child(1), a_child(9), now=at(100)))
    assert decision.actions == (
        StopAttempt(attempt=1, grace_seconds=77),
        StopAttempt(attempt=9, grace_seconds=SETTING),
    )


def test_where_the_cap_does_not_pay_for_it_nothing_starts_and_the_reserve_is_told() -> None:
    run = a_run_whose_saves_are_slow().limited_to("0.23")
    decision = decide(a_snapshot(run, offers=OFFERS))
    assert decision.reason == Reason.BUDGET_EXHAUSTED
    assert "less a reserve of $0.206, pays for 24 s; 30 s are needed" in decision.message


# TrainingBudgets.


def allowed(run: RunBuilder, limit: str, **parts: Any) -> Decision:
    allowance = Allowance(name="team", limit=parse_usd(limit))
    return decide(a_snapshot(run, allowances=(allowance,), **parts))


def test_it_is_reserved_in_training_budgets_too() -> None:
    run = a_run_whose_saves_are_slow().limited_to("1.00")
    start, attempt = started(allowed(run, "1.00", offers=OFFERS))
    assert start.deadline_seconds == 1000 - HELD
    assert attempt.reserved_usd == parse_usd("1.00")
    decision = allowed(run, "0.99", offers=OFFERS)
    assert decision.reason == Reason.WAITING_FOR_BUDGET


@pytest.mark.parametrize("began", [True, False])
def test_what_others_may_not_take_is_by_the_grace_of_the_attempt(*, began: bool) -> None:
    make = a_running_attempt if began else an_attempt
    live = make(price=PRICE, deadline_seconds=100, grace_seconds=GRACE)
    status = a_run_whose_saves_are_slow().with_attempts(live).build().status
    claim = claim_of(status, Calendar(), Terms(grace_seconds=SETTING), now=at(10))
    assert claim.of(EVER.start) == charge(parse_usd(PRICE), timedelta(seconds=100 + HELD))


def test_a_live_one_may_run_for_what_a_training_budget_has_left_but_its_own_grace() -> None:
    live = a_running_attempt(price=PRICE, deadline_seconds=1000 - HELD, grace_seconds=GRACE)
    run, child = a_run().with_attempts(live), a_child(deadline_seconds=1000 - HELD)

    def decided(limit: str) -> tuple[object, ...]:
        allowance = Allowance(name="team", limit=parse_usd(limit))
        snapshot = a_snapshot(run, child, now=at(5), offers=OFFERS, allowances=(allowance,))
        return decide(snapshot).actions

    assert decided("1.00") == ()
    assert decided("0.50") == (RenewDeadline(attempt=1, deadline_seconds=500 - HELD),)
