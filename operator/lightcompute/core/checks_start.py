"""Checks for a run without a live attempt: why none may start, and where the next one goes.

`a_free_place_is_reserved` is the only place where an attempt comes to be: as a record first, in the same decision as its start.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from lightcompute.api.money import show_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.status import MAX_BUDGETS, Attempt, AttemptState, TrainingRunStatus
from lightcompute.api.words import Phase
from lightcompute.core.allowance import next_period
from lightcompute.core.budget import left_of, limit_of
from lightcompute.core.checks_end import releases
from lightcompute.core.decision import StartAttempt
from lightcompute.core.facts import Facts, stop_after
from lightcompute.core.ledger import folded_attempts, total_cost
from lightcompute.core.placement import (
    PASSING,
    Round,
    look_for_place,
    queue_at,
    reservation_at,
)
from lightcompute.core.revise import revised
from lightcompute.core.search import (
    has_other_places,
    next_round,
    round_is_due,
    search_end,
)
from lightcompute.core.snapshot import Offer
from lightcompute.core.text import clock, cut
from lightcompute.core.verdict import SOON_SECONDS, Verdict, with_attempt


def a_refused_spec_starts_nothing(facts: Facts) -> Verdict | None:
    """Until it is changed, or what it lacks appears."""
    faults = facts.snapshot.faults
    if faults:
        return _refused(facts, Reason.SPEC_REFUSED, " ".join(faults))
    status = facts.status
    refused = status.reason == Reason.START_REFUSED and not has_other_places(facts.snapshot)
    if refused and status.observed_generation == facts.run.metadata.generation:
        return _refused(facts, Reason.START_REFUSED, status.message)
    return None


def a_back_off_is_waited_out(facts: Facts) -> Verdict | None:
    """After an end that was too early; the wait doubles while nothing gets better."""
    due, newest = facts.status.next_attempt_time, facts.newest
    if due is None or newest is None or facts.now >= due:
        return None
    failures = facts.status.restarts_count_towards_max
    most = facts.run.spec.failure_policy.max_restarts
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.BACKING_OFF,
        message=f"attempt {newest.number} ended: {newest.reason}, {newest.message}; the next one starts at {clock(due)} "
        f"({failures} of {most} restarts that count are used)",
        status=facts.status,
        look_again_at=due,
    )


def an_exhausted_budget_starts_nothing(facts: Facts) -> Verdict | None:
    """Nothing that is left pays for an attempt of use anywhere. A higher limit goes on from here."""
    limit, left = limit_of(facts.run), left_of(facts.run, facts.status, facts.now)
    if limit is None or left is None:
        return None
    found = look_for_place(facts)
    if left > 0 and not found.only_money_is_missing:
        return None
    why = next(
        (each.message for each in found.candidates if each.reason == Reason.BUDGET_TOO_SMALL),
        "nothing is left",
    )
    kept = [checkpoint for checkpoint in facts.status.checkpoints if checkpoint.verified]
    saved = f"the last checkpoint is {kept[-1].name}" if kept else "no checkpoint was saved"
    spent = show_usd(total_cost(facts.status, facts.now))
    placement = revised(facts.status.placement, waiting_since=None, candidates=found.candidates)
    return Verdict(
        phase=Phase.BUDGET_EXHAUSTED,
        reason=Reason.BUDGET_EXHAUSTED,
        message=f"{spent} of {show_usd(limit)} are spent: {why}; {saved}; raise budget.limitUSD to go on",
        status=revised(facts.status, placement=placement),
    )


def a_training_budget_is_waited_for(facts: Facts) -> Verdict | None:
    """The TrainingBudgets of its namespace have no room for what it reserves: it waits for money, and its search has not begun."""
    if not facts.snapshot.allowances:
        return None
    found = look_for_place(facts)
    if found.chosen is not None or not found.reasons[Reason.WAITING_FOR_BUDGET]:
        return None
    told = next(
        (each.message for each in found.candidates if each.reason == Reason.WAITING_FOR_BUDGET),
        Reason.WAITING_FOR_BUDGET.sentence,
    )
    placement = revised(facts.status.placement, waiting_since=None, candidates=found.candidates)
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.WAITING_FOR_BUDGET,
        message=told,
        status=revised(facts.status, placement=placement, next_attempt_time=None),
        look_again_at=next_period(facts.snapshot.allowances, facts.now),
    )


def a_free_place_is_reserved(facts: Facts) -> Verdict | None:
    """The intention is recorded (number, place, price, deadline); only then is anything started."""
    found = look_for_place(facts)
    if found.chosen is None:
        return None
    attempt = _new_attempt(facts, found.chosen)
    placement = revised(_searched(facts, found).placement, place=found.chosen.place)
    status = revised(
        facts.status,
        placement=placement,
        next_attempt_time=None,
        restarts=facts.status.restarts + (facts.newest is not None),
    )
    start = StartAttempt(
        attempt=attempt.number,
        place=attempt.place,
        deadline_seconds=attempt.deadline_seconds,
        stop_after_seconds=attempt.stop_after_seconds,
        grace_seconds=facts.terms.of(attempt).grace_seconds,
        queue_name=attempt.queue_name,
    )
    return Verdict(
        phase=Phase.STARTING,
        reason=Reason.ATTEMPT_STARTING,
        message=f"attempt {attempt.number} is being started on {attempt.place}",
        status=folded_attempts(with_attempt(status, attempt)),
        actions=(*releases(facts), start),
        look_again_at=facts.now + timedelta(seconds=SOON_SECONDS),
    )


def the_search_for_a_place_has_an_end(facts: Facts) -> Verdict | None:
    """Time is up, preRunningDeadlineSeconds after the search began."""
    due = search_end(facts)
    if facts.now < due:
        return None
    found = look_for_place(facts)
    placement = revised(_searched(facts, found).placement, candidates=found.candidates)
    over = due if facts.newest is None else max(due, facts.newest.end_time or due)
    seconds = facts.run.spec.placement.pre_running_deadline_seconds
    return Verdict(
        phase=Phase.FAILED,
        reason=Reason.PRE_RUNNING_DEADLINE_EXCEEDED,
        message=cut(
            f"no place in {seconds} s (preRunningDeadlineSeconds): {_what_was_tried(found)}"
        ),
        status=revised(
            facts.status, placement=placement, completion_time=over, next_attempt_time=None
        ),
        look_again_at=facts.now if facts.run.spec.ttl_seconds_after_finished is not None else None,
    )


def a_place_is_waited_for(facts: Facts) -> Verdict:
    """The next round comes after placement.retryIntervalSeconds, or earlier if a place is seen to be free."""
    status = _searched(facts, look_for_place(facts))
    following = next_round(replace(facts, status=status))
    due = search_end(facts)
    # Told as of the last round, so that the message doesn't change between rounds.
    tried = _what_was_tried(Round(candidates=status.placement.candidates, chosen=None))
    return Verdict(
        phase=Phase.PENDING,
        reason=Reason.WAITING_FOR_PLACE,
        message=cut(f"{tried}; next round at {clock(following)}, given up at {clock(due)}"),
        status=revised(status, next_attempt_time=None),
        look_again_at=min(following, due),
    )


def _new_attempt(facts: Facts, offer: Offer) -> Attempt:
    reserved = reservation_at(facts, offer)
    last = facts.newest.number if facts.newest is not None else facts.status.earlier_attempts.count
    return Attempt(
        number=last + 1,
        state=AttemptState.RESERVED,
        generation=facts.run.metadata.generation,
        place=offer.place,
        whereabouts=offer.whereabouts,
        rate_per_hour_usd=offer.rate_per_hour,
        reserved_time=facts.now,
        deadline_seconds=reserved.seconds,
        stop_after_seconds=stop_after(reserved.seconds),
        reserved_usd=reserved.amount,
        grace_seconds=facts.next_terms.grace_seconds,
        budgets=tuple(allowance.name for allowance in facts.snapshot.allowances)[:MAX_BUDGETS],
        queue_name=queue_at(facts, offer),
    )


def _searched(facts: Facts, found: Round) -> TrainingRunStatus:
    """The status with the search begun or gone on; the table of places changes with each round, and where it tells what is over."""
    known = facts.status.placement
    new_round = round_is_due(facts)
    changes: dict[str, object] = {"waiting_since": known.waiting_since or facts.now}
    if new_round:
        changes["round_time"] = facts.now
    if new_round or found.chosen is not None or _is_outdated(facts):
        line = facts.snapshot.line if found.chosen is None else None
        changes |= {
            "candidates": found.candidates,
            # With its own round only: others come and go, and no status is written for that.
            "line_position": None if line is None else line.position,
            "line_length": None if line is None else line.length,
        }
    return revised(facts.status, placement=revised(known, **changes))


def _is_outdated(facts: Facts) -> bool:
    """Whether the table is of another spec, or names a place as chosen that came to nothing."""
    status = facts.status
    other = status.observed_generation != facts.run.metadata.generation
    return other or any(each.reason == Reason.CHOSEN for each in status.placement.candidates)


def _what_was_tried(found: Round) -> str:
    if not found.candidates:
        return "there is no place at all"
    reasons = sorted({candidate.reason for candidate in found.candidates})
    counts = ", ".join(
        f"{sum(each.reason == reason for each in found.candidates)} {reason}" for reason in reasons
    )
    full = (each for each in found.candidates if each.reason in PASSING and each.message)
    first = next((f"; {each.place}: {each.message}" for each in full), "")
    return f"{len(found.candidates)} places looked at: {counts}{first}"


def _refused(facts: Facts, reason: Reason, message: str) -> Verdict:
    placement = revised(facts.status.placement, waiting_since=None)
    return Verdict(
        phase=Phase.PENDING,
        reason=reason,
        message=cut(message),
        status=revised(facts.status, placement=placement),
        refusal=reason,
    )
