"""Each check of `decide` on frozen snapshots: who speaks, and what is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.api.status import AttemptState, Charge, TrainingRunStatus
from lightcompute.api.words import ConditionType, Phase
from lightcompute.core.decide import CHECKS, decide
from lightcompute.core.decision import (
    Decision,
    DeleteRun,
    LetGo,
    ReleaseAttempt,
    RenewDeadline,
    StartAttempt,
    StopAttempt,
)
from lightcompute.core.progress import Progress
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import ChildState, Snapshot
from lightcompute.testing.builders import (
    HERE,
    NOON,
    RunBuilder,
    a_child,
    a_place,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_attempt,
    an_ended_attempt,
    an_exited_child,
    an_offer,
    at,
)
from lightcompute.testing.trainer import kept
from runcontract.progress import Started
from runcontract.results import Results, TargetVerdict


def condition(decision: Decision, type_: ConditionType) -> tuple[str, str]:
    found = next(each for each in decision.status.conditions if each.type == type_)
    return found.status, found.reason


def running(run: RunBuilder | None = None, **parts: Any) -> RunBuilder:
    return (run or a_run()).with_attempts(a_running_attempt(**parts))


def stop_of(decision: Decision) -> StopAttempt:
    (action,) = decision.actions
    assert isinstance(action, StopAttempt)
    return action


def test_a_new_run_is_recorded_and_started_in_one_decision() -> None:
    decision = decide(a_snapshot(a_run()))
    (attempt,) = decision.status.attempts
    assert (attempt.number, attempt.state) == (1, AttemptState.RESERVED)
    assert decision.status.phase == Phase.STARTING
    assert decision.actions == (
        StartAttempt(
            attempt=1, place=HERE, deadline_seconds=None, stop_after_seconds=None, grace_seconds=30
        ),
    )


def test_the_record_of_an_attempt_holds_place_price_and_deadline() -> None:
    offer = an_offer("2.00", any_placement=True)
    decision = decide(a_snapshot(a_run().limited_to("0.05"), offers=(offer,)))
    attempt = decision.status.attempts[0]
    # 5 cents at 2 dollars an hour are 90 s; 30 s of grace and 1 s of granularity are held back, rounded up.
    assert (attempt.place, attempt.rate_per_hour_usd) == (HERE, 2_000_000)
    assert (attempt.deadline_seconds, attempt.stop_after_seconds) == (58, 53)
    assert decision.status.cost.reserved_usd <= 50_000


def test_a_recorded_attempt_of_which_nothing_is_seen_is_started_again_without_a_write() -> None:
    snapshot = a_snapshot(a_run().limited_to("1.00"))
    recorded = decide(snapshot)
    again = decide(replace(snapshot, run=snapshot.run.with_status(recorded.status)))
    assert again.actions == recorded.actions
    assert again.status == recorded.status


def test_a_recorded_attempt_is_not_started_under_a_spec_that_was_refused_meanwhile() -> None:
    snapshot = a_snapshot(a_run().limited_to("1.00"))
    recorded = decide(snapshot)
    run = snapshot.run.with_status(recorded.status)
    decision = decide(replace(snapshot, run=run, faults=("spec.trainer.imag: no such field",)))
    assert [type(action).__name__ for action in decision.actions] == ["StopAttempt"]
    assert condition(decision, ConditionType.ACCEPTED) == ("False", Reason.SPEC_REFUSED)


def test_what_is_left_of_the_attempt_before_is_released_though_nothing_of_it_is_seen() -> None:
    gone = an_attempt(state=AttemptState.ENDED, reason=Reason.PREEMPTED.value, fruitful=True)
    decision = decide(a_snapshot(a_run().with_attempts(gone, phase=Phase.PENDING), now=at(60)))
    assert [type(action) for action in decision.actions] == [ReleaseAttempt, StartAttempt]
    assert decision.actions[0] == ReleaseAttempt(attempt=1)


def test_an_attempt_that_is_seen_running_is_charged_from_its_start() -> None:
    run = a_run().with_attempts(an_attempt(price="2.00"), phase=Phase.STARTING)
    decision = decide(a_snapshot(run, a_child(start_time=at(3)), now=at(60)))
    attempt = decision.status.attempts[0]
    assert decision.status.phase == Phase.RUNNING
    assert attempt.charges == (Charge(start_time=at(3), rate_per_hour_usd=2_000_000),)


def test_an_attempt_that_waits_unscheduled_costs_nothing() -> None:
    run = a_run().with_attempts(an_attempt(price="2.00"), phase=Phase.STARTING)
    decision = decide(a_snapshot(run, a_child(state=ChildState.PENDING), now=at(60)))
    assert decision.status.attempts[0].charges == ()
    assert decision.actions == ()


def test_an_attempt_that_waits_unscheduled_too_long_is_given_up() -> None:
    run = a_run().with_attempts(an_attempt(), phase=Phase.STARTING)
    decision = decide(a_snapshot(run, a_child(state=ChildState.PENDING), now=at(120)))
    assert stop_of(decision).attempt == 1
    assert decision.status.attempts[0].stop_reason == Reason.NO_CAPACITY


def test_a_running_attempt_goes_on_without_actions() -> None:
    decision = decide(a_snapshot(running(), a_child(), now=at(60)))
    assert decision.reason == Reason.ATTEMPT_RUNNING
    assert decision.actions == ()
    assert decision.look_again_at == at(120)


@pytest.mark.parametrize(
    ("code", "phase", "reason"),
    [
        (0, Phase.SUCCEEDED, Reason.COMPLETED),
        (10, Phase.FAILED, Reason.CONFIGURATION_FAULT),
        (11, Phase.FAILED, Reason.DATA_FAULT),
        (14, Phase.FAILED, Reason.BROKEN_CHECKPOINT),
        (15, Phase.FAILED, Reason.DIVERGED),
        (1, Phase.PENDING, Reason.BACKING_OFF),
        (16, Phase.PENDING, Reason.BACKING_OFF),
        (137, Phase.PENDING, Reason.BACKING_OFF),
        (13, Phase.PENDING, Reason.BACKING_OFF),
    ],
)
def test_an_exit_code_decides_what_follows(code: int, phase: Phase, reason: Reason) -> None:
    decision = decide(a_snapshot(running(), an_exited_child(code=code), now=at(60)))
    assert (decision.status.phase, decision.reason) == (phase, reason)


@pytest.mark.parametrize(
    ("code", "signal", "reason", "counts"),
    [
        (1, None, Reason.INTERNAL_ERROR, True),
        (16, None, Reason.STORAGE_FAULT, True),
        (137, None, Reason.OUT_OF_MEMORY, True),
        (None, 9, Reason.OUT_OF_MEMORY, True),
        (None, 11, Reason.KILLED, True),
        (139, None, Reason.KILLED, True),
        (13, None, Reason.PREEMPTED, False),
        (12, None, Reason.LEFT_EARLY, True),
    ],
)
def test_an_end_is_named_and_counted_by_whose_fault_it_was(
    code: int | None, signal: int | None, reason: Reason, counts: bool
) -> None:
    child = a_child(state=ChildState.EXITED, exit_code=code, signal=signal, end_time=at(60))
    status = decide(a_snapshot(running(), child, now=at(60))).status
    assert (status.attempts[0].reason, status.attempts[0].counts) == (reason, counts)
    assert status.restarts_count_towards_max == int(counts)


def test_a_contract_exit_code_means_nothing_from_a_foreign_program() -> None:
    snapshot = a_snapshot(running(a_run().foreign()), an_exited_child(code=10), now=at(60))
    status = decide(snapshot).status
    assert status.attempts[0].reason == Reason.INTERNAL_ERROR
    assert status.phase == Phase.PENDING


def test_a_vanished_attempt_is_charged_to_now_and_does_not_count() -> None:
    decision = decide(a_snapshot(running(price="2.00"), now=at(90)))
    attempt = decision.status.attempts[0]
    assert (attempt.reason, attempt.counts) == (Reason.VANISHED, False)
    assert attempt.charges[-1].end_time == at(90)


def test_a_vanished_attempt_is_charged_no_longer_than_its_place_let_it_live() -> None:
    decision = decide(
        a_snapshot(
            running(a_run().with_spec(activeDeadlineSeconds=60), price="2.00", deadline_seconds=60),
            now=at(9000),
        )
    )
    assert decision.status.attempts[0].end_time == at(60 + 30 + 1)


def test_an_attempt_that_cannot_be_seen_is_charged_on_and_not_replaced() -> None:
    child = a_child(state=ChildState.UNKNOWN)
    decision = decide(a_snapshot(running(price="2.00"), child, now=at(90_000)))
    assert decision.actions == ()
    assert decision.status.attempts[0].is_live
    assert decision.status.cost.spent_usd == 50_000_000
    assert "cannot be seen" in decision.message


def test_an_attempt_that_cannot_be_seen_is_gone_once_its_deadline_has_certainly_passed() -> None:
    run = running(a_run().with_spec(activeDeadlineSeconds=60, suspend=True), deadline_seconds=60)
    child = a_child(state=ChildState.UNKNOWN)
    assert decide(a_snapshot(run, child, now=at(90))).status.attempts[0].is_live
    assert not decide(a_snapshot(run, child, now=at(91))).status.attempts[0].is_live


def test_failures_beyond_max_restarts_fail_the_run_and_name_the_last_cause() -> None:
    run = running(a_run().with_spec(failurePolicy={"maxRestarts": 0}))
    decision = decide(a_snapshot(run, an_exited_child(code=1), now=at(60)))
    assert (decision.status.phase, decision.reason) == (
        Phase.FAILED,
        Reason.MAX_RESTARTS_EXCEEDED,
    )
    assert "maxRestarts is 0" in decision.message
    assert "exit code 1" in decision.message


def test_a_back_off_doubles_with_each_failure_in_a_row() -> None:
    attempts = [an_ended_attempt(1), an_ended_attempt(2), a_running_attempt(3)]
    run = a_run().with_attempts(*attempts)
    decision = decide(a_snapshot(run, an_exited_child(3, code=1), now=at(60)))
    assert decision.reason == Reason.BACKING_OFF
    assert decision.look_again_at == at(60 + 40)


def test_a_preempted_attempt_that_made_progress_is_followed_at_once() -> None:
    progress = Progress(attempt=1).with_report(
        Started(
            time=NOON, attempt=1, step=0, max_steps=100, parameters=1, training_tokens=1, device="x"
        )
    )
    child = an_exited_child(code=13, progress=progress)
    decision = decide(a_snapshot(running(), child, now=at(60), checkpoints=(kept(50),)))
    assert [attempt.number for attempt in decision.status.attempts] == [1, 2]
    assert decision.status.restarts == 1
    assert decision.actions[0] == ReleaseAttempt(attempt=1)
    assert isinstance(decision.actions[1], StartAttempt)


def test_ten_free_ends_in_a_row_without_progress_fail_the_run() -> None:
    gone: dict[str, Any] = {"reason": Reason.VANISHED.value, "counts": False}
    attempts = [an_ended_attempt(number, **gone) for number in range(1, 10)]
    run = a_run().with_attempts(*attempts, a_running_attempt(10))
    decision = decide(a_snapshot(run, now=at(60)))
    assert (decision.status.phase, decision.reason) == (Phase.FAILED, Reason.NO_PROGRESS)


def test_a_suspended_run_without_an_attempt_holds() -> None:
    decision = decide(a_snapshot(a_run().suspended()))
    assert decision.status.phase == Phase.SUSPENDED
    assert decision.actions == ()
    assert decision.look_again_at is None
    assert condition(decision, ConditionType.SUSPENDED) == ("True", Reason.RUN_SUSPENDED)


def test_a_suspended_run_with_an_attempt_is_asked_to_save_and_leave() -> None:
    decision = decide(a_snapshot(running(a_run().suspended()), a_child(), now=at(60)))
    assert stop_of(decision) == StopAttempt(attempt=1, grace_seconds=30)
    assert decision.status.attempts[0].state is AttemptState.STOPPING


def test_an_attempt_that_was_asked_is_not_asked_again() -> None:
    first = decide(a_snapshot(running(a_run().suspended()), a_child(), now=at(60)))
    run = a_run().suspended().with_status(first.status)
    decision = decide(a_snapshot(run, a_child(stopping=True), now=at(70)))
    assert decision.actions == ()


def test_an_attempt_that_overstays_its_grace_is_killed() -> None:
    first = decide(a_snapshot(running(a_run().suspended()), a_child(), now=at(60)))
    run = a_run().suspended().with_status(first.status)
    decision = decide(a_snapshot(run, a_child(stopping=True), now=at(60 + 30 + 1 + 10)))
    assert stop_of(decision) == StopAttempt(attempt=1, grace_seconds=0)


def test_a_run_that_completed_while_it_was_to_be_suspended_succeeded() -> None:
    decision = decide(a_snapshot(running(a_run().suspended()), an_exited_child(), now=at(60)))
    assert decision.status.phase == Phase.SUCCEEDED


def test_a_person_s_stop_is_for_good() -> None:
    decision = decide(a_snapshot(a_run().stopped_by_a_person()))
    assert (decision.status.phase, decision.reason) == (Phase.STOPPED, Reason.STOPPED_BY_USER)
    run = a_run().with_status(decision.status).with_metadata(generation=2)
    assert decide(a_snapshot(run)).status.phase == Phase.STOPPED


def test_a_hung_attempt_is_stopped_after_its_deadline_of_silence() -> None:
    run = running(a_run().with_spec(progressDeadlineSeconds=60))
    assert decide(a_snapshot(run, a_child(), now=at(59))).actions == ()
    decision = decide(a_snapshot(run, a_child(), now=at(60)))
    assert decision.reason == Reason.HANG
    assert stop_of(decision).attempt == 1


def test_a_trainer_whose_clock_runs_ahead_is_not_thought_alive_for_ever() -> None:
    report = Started(
        time=at(7200),
        attempt=1,
        step=0,
        max_steps=9,
        parameters=1,
        training_tokens=1,
        device="x",
    )
    child = a_child(progress=Progress(attempt=1).with_report(report))
    run = running(a_run().with_spec(progressDeadlineSeconds=60))
    assert decide(a_snapshot(run, child, now=at(7261))).reason == Reason.HANG


def test_a_foreign_program_never_hangs() -> None:
    decision = decide(a_snapshot(running(a_run().foreign()), a_child(), now=at(90_000)))
    assert decision.reason == Reason.ATTEMPT_RUNNING


def test_a_deleted_run_is_stopped_first_and_let_go_only_when_nothing_lives() -> None:
    run = running(a_run().deleted())
    first = decide(a_snapshot(run, a_child(), now=at(60)))
    assert stop_of(first).attempt == 1
    stopping = a_run().deleted().with_status(first.status)
    then = decide(a_snapshot(stopping, an_exited_child(code=13, seconds=70), now=at(70)))
    assert then.actions == (ReleaseAttempt(attempt=1), LetGo())


def test_a_deleted_run_is_not_let_go_while_its_attempt_is_leaving() -> None:
    first = decide(a_snapshot(running(a_run().deleted()), a_child(), now=at(60)))
    leaving = a_run().deleted().with_status(first.status)
    then = decide(a_snapshot(leaving, a_child(stopping=True), now=at(70)))
    assert (then.reason, then.actions) == (Reason.RUN_DELETED, ())
    assert then.status.attempts[0].is_live


def test_a_deleted_run_is_not_let_go_while_something_lives_that_no_record_knows() -> None:
    decision = decide(a_snapshot(a_run().deleted(), a_child(7)))
    assert decision.reason == Reason.UNRECORDED_CHILD
    assert stop_of(decision).attempt == 7


def test_checkpoints_are_deleted_with_the_run_only_when_asked_for() -> None:
    run = a_run().with_spec(checkpoints={"whenDeleted": "Delete"}).deleted()
    assert decide(a_snapshot(run)).actions == (LetGo(),)


def test_a_finished_run_is_deleted_when_its_time_to_live_is_over() -> None:
    done = TrainingRunStatus(
        phase=Phase.SUCCEEDED, reason="Completed", completion_time=NOON, observed_generation=1
    )
    run = a_run().with_spec(ttlSecondsAfterFinished=60).with_status(done)
    before = decide(a_snapshot(run, now=at(59)))
    assert (before.actions, before.look_again_at) == ((), at(60))
    assert decide(a_snapshot(run, now=at(60))).actions == (DeleteRun(),)


def test_a_finished_run_is_never_looked_at_again_and_never_written_again() -> None:
    first = decide(a_snapshot(running(), an_exited_child(), now=at(60)))
    run = a_run().with_status(first.status)
    again = decide(a_snapshot(run, an_exited_child(), now=at(90_000)))
    assert again.status == first.status
    assert again.look_again_at is None


def test_a_failed_run_is_tried_again_when_its_spec_is_changed() -> None:
    failed = decide(a_snapshot(running(), an_exited_child(code=11), now=at(60)))
    run = a_run().with_status(failed.status)
    assert decide(a_snapshot(run, now=at(70))).actions == ()
    changed = decide(a_snapshot(run.with_metadata(generation=2), now=at(70)))
    assert changed.status.phase == Phase.STARTING
    assert condition(changed, ConditionType.FAILED) == ("False", Reason.SPEC_CHANGED)


def test_a_changed_spec_has_all_its_restarts_before_it() -> None:
    run = running(a_run().with_spec(failurePolicy={"maxRestarts": 0}))
    failed = decide(a_snapshot(run, an_exited_child(code=1), now=at(60)))
    assert failed.status.restarts_count_towards_max == 1
    again = run.with_status(failed.status).with_metadata(generation=2)
    assert decide(a_snapshot(again, now=at(70))).status.restarts_count_towards_max == 0


def test_a_program_that_its_place_killed_at_the_deadline_ran_out_of_time_not_of_memory() -> None:
    run = running(a_run().foreign().limited_to("0.05"), price="2.00", deadline_seconds=58)
    child = a_child(state=ChildState.EXITED, signal=9, end_time=at(88))
    attempt = decide(a_snapshot(run, child, now=at(88))).status.attempts[0]
    assert (attempt.reason, attempt.counts) == (Reason.TIME_OVER, False)


def test_a_living_child_that_no_record_knows_is_stopped() -> None:
    decision = decide(a_snapshot(a_run(), a_child(7)))
    assert decision.reason == Reason.UNRECORDED_CHILD
    assert stop_of(decision).attempt == 7
    assert decision.status.attempts == ()


def test_a_child_that_no_record_knows_is_asked_to_leave_once() -> None:
    decision = decide(a_snapshot(a_run(), a_child(7, stopping=True)))
    assert (decision.reason, decision.actions) == (Reason.UNRECORDED_CHILD, ())


def test_a_refused_spec_starts_nothing_and_heals() -> None:
    faults = ("claim `data` does not exist",)
    refused = decide(a_snapshot(a_run(), faults=faults))
    assert refused.actions == ()
    assert condition(refused, ConditionType.ACCEPTED) == ("False", Reason.SPEC_REFUSED)
    healed = decide(a_snapshot(a_run().with_status(refused.status), now=at(60)))
    assert condition(healed, ConditionType.ACCEPTED) == ("True", Reason.SPEC_ACCEPTED)
    assert isinstance(healed.actions[-1], StartAttempt)


def test_a_spec_that_is_refused_while_an_attempt_runs_leaves_the_attempt_alone() -> None:
    decision = decide(a_snapshot(running(), a_child(), now=at(60), faults=("no such claim",)))
    assert decision.actions == ()
    assert decision.status.phase == Phase.RUNNING
    assert condition(decision, ConditionType.ACCEPTED) == ("False", Reason.SPEC_REFUSED)


def test_a_deadline_is_renewed_when_the_cap_is_raised() -> None:
    run = running(a_run().limited_to("2.00"), price="2.00", deadline_seconds=58)
    decision = decide(a_snapshot(run, a_child(deadline_seconds=58), now=at(30)))
    renewed = decision.status.attempts[0].deadline_seconds
    assert renewed == 3568
    assert decision.actions == (RenewDeadline(attempt=1, deadline_seconds=3568),)


def test_a_place_that_keeps_no_deadline_is_not_asked_to_change_it() -> None:
    run = running(a_run().limited_to("2.00"), price="2.00", deadline_seconds=58)
    child = a_child(keeps_deadlines=False)
    assert decide(a_snapshot(run, child, now=at(30))).actions == ()


def test_an_attempt_at_its_deadline_is_stopped_even_if_its_place_did_not() -> None:
    run = running(a_run().limited_to("0.05"), price="2.00", deadline_seconds=58)
    child = a_child(deadline_seconds=58)
    assert decide(a_snapshot(run, child, now=at(57))).actions == ()
    decision = decide(a_snapshot(run, child, now=at(58)))
    assert decision.reason == Reason.BUDGET_EXHAUSTED
    assert stop_of(decision).grace_seconds == 30
    assert condition(decision, ConditionType.BUDGET_EXHAUSTED)[0] == "True"


def test_the_next_look_is_exactly_at_the_deadline_when_it_is_near() -> None:
    run = running(a_run().limited_to("0.05"), price="2.00", deadline_seconds=58)
    assert decide(a_snapshot(run, a_child(), now=at(30))).look_again_at == at(58)


def test_a_new_price_opens_a_new_segment() -> None:
    run = running(price="2.00")
    offer = an_offer("3.00", any_placement=True)
    decision = decide(a_snapshot(run, a_child(), now=at(60), offers=(offer,)))
    assert decision.status.attempts[0].charges == (
        Charge(start_time=NOON, end_time=at(60), rate_per_hour_usd=2_000_000),
        Charge(start_time=at(60), rate_per_hour_usd=3_000_000),
    )


POOLS = (
    an_offer("1.00", place=a_place("L40S", "EU-FRA1")),
    an_offer("2.00", place=a_place("A100-80GB", "US-ORD1")),
    an_offer(
        "1.50",
        place=a_place("A100-40GB", "US-ORD1"),
        unavailable=Reason.NO_CAPACITY,
        message="0 of 8 GPUs are free",
    ),
)


def candidates(run: RunBuilder, snapshot_parts: tuple[object, ...] = POOLS) -> dict[str, str]:
    decision = decide(a_snapshot(run, offers=snapshot_parts))
    return {each.place.gpu_type: each.reason for each in decision.status.placement.candidates}


def test_the_user_s_order_of_gpu_types_goes_before_price() -> None:
    run = a_run().with_spec(placement={"gpuTypes": ["A100-40GB", "A100-80GB", "L40S"]})
    assert candidates(run) == {
        "A100-40GB": Reason.NO_CAPACITY,
        "A100-80GB": Reason.CHOSEN,
        "L40S": Reason.NOT_PREFERRED,
    }


def test_every_place_is_passed_over_for_a_reason() -> None:
    run = a_run().with_spec(
        placement={"gpuTypes": ["A100-40GB", "A100-80GB"], "maxHourlyPriceUSD": "1.75"}
    )
    assert candidates(run) == {
        "A100-40GB": Reason.NO_CAPACITY,
        "A100-80GB": Reason.PRICE_TOO_HIGH,
        "L40S": Reason.GPU_TYPE_NOT_ALLOWED,
    }


def test_a_place_at_exactly_the_highest_price_is_not_too_dear() -> None:
    run = a_run().with_spec(placement={"gpuTypes": ["L40S"], "maxHourlyPriceUSD": "1.00"})
    assert candidates(run)["L40S"] == Reason.CHOSEN


def test_the_order_of_offers_does_not_matter() -> None:
    run = a_run()
    assert candidates(run, POOLS) == candidates(run, POOLS[::-1])


def test_placement_lists_do_not_apply_to_this_machine() -> None:
    run = a_run().with_spec(placement={"gpuTypes": ["A100-40GB"], "regions": ["EU-FRA1"]})
    assert isinstance(decide(a_snapshot(run)).actions[-1], StartAttempt)


def test_a_run_without_a_place_waits_until_the_next_round_and_its_message_stands_still() -> None:
    waiting = decide(a_snapshot(a_run(), offers=POOLS[2:]))
    assert waiting.reason == Reason.WAITING_FOR_PLACE
    later = decide(a_snapshot(a_run().with_status(waiting.status), offers=POOLS[2:], now=at(300)))
    assert later.status == waiting.status
    round_two = decide(
        a_snapshot(a_run().with_status(waiting.status), offers=POOLS[2:], now=at(600))
    )
    assert round_two.status.placement.round_time == at(600)


def test_a_run_that_found_no_place_in_time_fails_and_says_what_was_tried() -> None:
    waiting = decide(a_snapshot(a_run(), offers=POOLS[2:]))
    decision = decide(
        a_snapshot(a_run().with_status(waiting.status), offers=POOLS[2:], now=at(3600))
    )
    assert (decision.status.phase, decision.reason) == (
        Phase.FAILED,
        Reason.PRE_RUNNING_DEADLINE_EXCEEDED,
    )
    assert "1 NoCapacity" in decision.message


def test_a_place_that_became_free_is_taken_before_the_next_round() -> None:
    waiting = decide(a_snapshot(a_run(), offers=POOLS[2:]))
    decision = decide(a_snapshot(a_run().with_status(waiting.status), offers=POOLS, now=at(60)))
    assert isinstance(decision.actions[-1], StartAttempt)


def test_a_dearer_place_that_the_rest_of_the_budget_cannot_pay_for_is_passed_over() -> None:
    run = a_run().limited_to("0.02")
    dear = an_offer("9.00", place=a_place("A100-40GB"))
    cheap = an_offer("1.00", place=a_place("L40S"))
    assert candidates(run, (dear, cheap)) == {
        "A100-40GB": Reason.BUDGET_TOO_SMALL,
        "L40S": Reason.CHOSEN,
    }


def test_a_cap_that_pays_for_nothing_useful_is_exhausted_before_anything_starts() -> None:
    decision = decide(
        a_snapshot(a_run().limited_to("0.01"), offers=(an_offer("9.00", any_placement=True),))
    )
    assert decision.status.phase == Phase.BUDGET_EXHAUSTED
    assert decision.actions == ()
    assert "raise budget.limitUSD" in decision.message


def test_active_time_counts_over_all_attempts_and_not_the_time_between() -> None:
    run = a_run().with_spec(activeDeadlineSeconds=100)
    first = an_ended_attempt(1, seconds=60)
    attempt = a_running_attempt(
        2, start_time=at(5000), charges=(Charge(start_time=at(5000), rate_per_hour_usd=0),)
    )
    child = a_child(2, start_time=at(5000), deadline_seconds=40)
    run = run.with_attempts(first, attempt)
    assert decide(a_snapshot(run, child, now=at(5039))).actions == ()
    assert decide(a_snapshot(run, child, now=at(5040))).reason == Reason.DEADLINE_EXCEEDED


def results(*, met: bool) -> Results:
    return Results(
        reason="MaxStepsReached",
        message="done",
        exit_code=0,
        attempt=1,
        steps=100,
        max_steps=100,
        epochs=1,
        tokens=1,
        parameters=1,
        started_time=NOON,
        finished_time=at(60),
        training_seconds=60,
        tokens_per_second=1,
        target=TargetVerdict(
            metric="ValidationLoss",
            unit="NatsPerCharacter",
            at_most=1.55,
            reached=1.5 if met else 1.71,
            met=met,
        ),
    )


@pytest.mark.parametrize(
    ("met", "status", "reason"),
    [(True, "True", Reason.TARGET_MET), (False, "False", Reason.TARGET_NOT_MET)],
)
def test_a_run_succeeds_whether_its_target_is_met_or_not_and_says_which(
    met: bool, status: str, reason: Reason
) -> None:
    target = {"unit": "NatsPerCharacter", "atMost": 1.55}
    run = a_run()
    run = running(run.with_spec(training=run.spec["training"] | {"target": target}))
    decision = decide(a_snapshot(run, an_exited_child(), now=at(60), results=results(met=met)))
    assert decision.status.phase == Phase.SUCCEEDED
    assert decision.reason == reason
    assert condition(decision, ConditionType.TARGET_MET) == (status, reason)
    assert decision.status.results is not None
    assert decision.status.results.target_met is met


def test_a_transition_time_moves_only_when_the_answer_changes() -> None:
    first = decide(a_snapshot(running(), a_child(), now=at(60)))
    second = decide(
        a_snapshot(a_run().with_status(first.status).suspended(), a_child(), now=at(90))
    )
    times = {each.type: each.last_transition_time for each in second.status.conditions}
    assert times[ConditionType.RUNNING] == at(60)
    gone = decide(
        a_snapshot(
            a_run().with_status(second.status).suspended(),
            an_exited_child(code=13, seconds=95),
            now=at(100),
        )
    )
    times = {each.type: each.last_transition_time for each in gone.status.conditions}
    assert times[ConditionType.RUNNING] == at(100)


def test_cost_alone_is_written_only_at_the_poll() -> None:
    run = a_run().limited_to("20.00", pollIntervalSeconds=300)
    first = decide(a_snapshot(running(run, price="2.00"), a_child(), now=at(10)))
    run = run.with_status(first.status)
    early = decide(a_snapshot(run, a_child(), now=at(309)))
    assert early.status == first.status
    due = decide(a_snapshot(run, a_child(), now=at(310)))
    assert due.status.cost.spent_usd > first.status.cost.spent_usd


def test_a_clock_that_goes_back_takes_nothing_off_the_bill() -> None:
    run = a_run().limited_to("20.00")
    first = decide(a_snapshot(running(run, price="2.00"), a_child(), now=at(600)))
    back = decide(a_snapshot(run.with_status(first.status).suspended(), a_child(), now=at(100)))
    assert back.status.cost.spent_usd == first.status.cost.spent_usd
    gone = decide(
        a_snapshot(run.with_status(back.status).suspended(), now=at(100) - timedelta(hours=1))
    )
    assert gone.status.cost.spent_usd >= first.status.cost.spent_usd


def test_a_status_by_a_newer_version_stops_nothing() -> None:
    strange = revised(
        TrainingRunStatus(), phase=Phase.SUCCEEDED, reason="WarpCoreBreach", observed_generation=1
    )
    assert decide(a_snapshot(a_run().with_status(strange))).status.phase == Phase.SUCCEEDED


def test_each_check_says_what_it_is_about_and_the_last_one_always_speaks() -> None:
    assert all(check.__doc__ for check in CHECKS)
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    snapshot = Snapshot(run=a_run().build(), now=NOON)
    assert decide(snapshot).reason == Reason.WAITING_FOR_PLACE
