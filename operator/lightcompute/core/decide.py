"""THE file to read first: what should happen to a run, as an ordered list of small checks. The first that speaks decides.

`decide(snapshot)` establishes the facts (`facts`: the status brought up to date with what is seen), walks CHECKS from the top,
adds to the first verdict what is done about checkpoints beside it (`upkeep`), and makes a whole decision of both (`conclude`: conditions,
cost, events). The order is the meaning: what protects
money and the one-live-attempt rule stands above what a person wants, and that above what the run would do by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from lightcompute.core import checks_begin, checks_end, checks_live, checks_start
from lightcompute.core.conclude import conclude
from lightcompute.core.decision import Decision
from lightcompute.core.facts import Facts, establish
from lightcompute.core.snapshot import Snapshot
from lightcompute.core.upkeep import seen_to
from lightcompute.core.verdict import Verdict

Check = Callable[[Facts], Verdict | None]

RESYNC = timedelta(seconds=60)
"""Every run that can still change by itself is looked at again at least so often, whatever was missed."""

CHECKS: tuple[Check, ...] = (
    # What nobody recorded must not run.
    checks_end.an_unrecorded_child_is_stopped,
    # What is being deleted, or over.
    checks_end.a_deleted_run_is_stopped_then_let_go,
    checks_end.a_finished_run_stays_as_it_is,
    # What the newest attempt's end means.
    checks_end.a_final_checkpoint_is_verified,
    checks_end.final_checkpoints_that_break_fail_the_run,
    checks_end.a_completed_attempt_ends_the_run,
    checks_end.the_users_fault_fails_the_run,
    checks_end.too_many_failures_fail_the_run,
    checks_end.attempts_without_progress_fail_the_run,
    # A live attempt: first why it must leave, then that it goes on.
    checks_live.a_stopping_attempt_is_waited_for,
    checks_live.a_person_stops_the_run,
    checks_live.a_suspended_run_holds,
    checks_live.the_active_deadline_ends_the_run,
    checks_live.the_budget_stops_the_attempt,
    checks_live.an_attempt_that_is_taken_back_is_stopped,
    checks_live.a_hung_attempt_is_stopped,
    checks_begin.an_attempt_that_cannot_begin_is_given_up,
    checks_begin.an_attempt_that_finds_no_place_is_given_up,
    checks_begin.an_attempt_that_is_not_admitted_is_given_up,
    checks_begin.a_recorded_attempt_is_started,
    checks_live.a_live_attempt_goes_on,
    # No live attempt: why none may start, then where the next one goes.
    checks_start.a_refused_spec_starts_nothing,
    checks_start.a_back_off_is_waited_out,
    checks_start.an_exhausted_budget_starts_nothing,
    checks_start.a_training_budget_is_waited_for,
    checks_start.a_free_place_is_reserved,
    checks_start.the_search_for_a_place_has_an_end,
    checks_start.a_place_is_waited_for,
)


def decide(snapshot: Snapshot) -> Decision:
    """What should happen, from `snapshot` alone: the same snapshot always gives the same decision."""
    facts = establish(snapshot)
    verdict = next(spoken for check in CHECKS if (spoken := check(facts)) is not None)
    return conclude(facts, seen_to(facts, verdict), resync=RESYNC)
