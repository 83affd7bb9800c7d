"""Checks about ends: what must not run, deletion, what is over, and what the end of the newest attempt means for the run."""

from __future__ import annotations

from datetime import timedelta

from lightcompute.api import labels
from lightcompute.api.money import show_usd
from lightcompute.api.reasons import Reason, known_reason
from lightcompute.api.status import Attempt
from lightcompute.api.words import Phase
from lightcompute.core.decision import Action, DeleteRun, LetGo, ReleaseAttempt, StopAttempt
from lightcompute.core.facts import Facts, is_finished
from lightcompute.core.final import FinalCheckpoint, final_checkpoint, is_about
from lightcompute.core.ledger import total_cost
from lightcompute.core.report import final_results
from lightcompute.core.retry import FINAL_REASONS, MAX_FRUITLESS, free_and_fruitless
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import ChildState, UpkeepState
from lightcompute.core.text import clock
from lightcompute.core.upkeep import owes_deletion
from lightcompute.core.verdict import SOON_SECONDS, Verdict, await_stop, stop
from runcontract.upkeep import UpkeepTask

OWED_AFTER_SECONDS = 600
"""So long a deleted run waits for the end of an attempt in a cluster that cannot be reached."""
_GONE = frozenset({ChildState.EXITED, ChildState.VANISHED})
_ALIVE = frozenset({ChildState.PENDING, ChildState.RUNNING})


def an_unrecorded_child_is_stopped(facts: Facts) -> Verdict | None:
    """Alive, and not the live attempt: its cost stands in no ledger, so it goes at once."""
    live = facts.live.number if facts.live is not None else None
    newest = facts.newest.number if facts.newest is not None else 0
    # That an attempt which was confirmed gone cannot be seen says nothing new about it.
    strangers = [
        child
        for child in facts.snapshot.children
        if child.attempt != live
        and (
            child.state in _ALIVE or (child.state is ChildState.UNKNOWN and child.attempt > newest)
        )
    ]
    if not strangers:
        return None
    numbers = ", ".join(str(child.attempt) for child in strangers)
    # What cannot be seen is not asked again and again; it is looked at when it can be seen.
    visible = [child for child in strangers if child.state is not ChildState.UNKNOWN]
    return Verdict(
        phase=facts.status.phase if is_finished(facts) else Phase.STOPPING,
        reason=Reason.UNRECORDED_CHILD,
        message=f"attempt {numbers} runs but is not recorded as live; it is stopped before anything else is done",
        status=facts.status,
        actions=tuple(
            StopAttempt(attempt=child.attempt, grace_seconds=_grace_of(facts, child.attempt))
            for child in visible
            if not child.stopping
        ),
        look_again_at=facts.now + timedelta(seconds=SOON_SECONDS),
    )


def _grace_of(facts: Facts, number: int) -> int:
    """Of an attempt that is on record or not; where it is not, the setting of its place."""
    recorded = (each for each in facts.status.attempts if each.number == number)
    terms = next((facts.terms.of(each) for each in recorded), facts.terms)
    return terms.grace_seconds


def a_deleted_run_is_stopped_then_let_go(facts: Facts) -> Verdict | None:
    """Stop, confirm, charge, release: in that order, however often it is begun anew."""
    if facts.run.metadata.deletion_timestamp is None:
        return None
    live = facts.live
    if live is not None:
        return _owed(facts, live) or _leaving(facts, live, Reason.RUN_DELETED, _why_deleted(facts))
    spent = show_usd(total_cost(facts.status, facts.now))
    deleted = facts.status.upkeep is not None and facts.status.upkeep.task is UpkeepTask.DELETE
    if owes_deletion(facts):
        return _deleting_checkpoints(facts, spent)
    return Verdict(
        phase=facts.status.phase if is_finished(facts) else Phase.STOPPED,
        reason=Reason.RUN_DELETED,
        message=f"nothing of it runs any more; it cost {spent}; checkpoints are {'deleted' if deleted else 'kept where its storage is'}",
        status=facts.status,
        actions=(*releases(facts), LetGo()),
    )


def _why_deleted(facts: Facts) -> str:
    """Why a live attempt is to leave, and what holds up the end of the run where it cannot be seen to."""
    child = facts.child
    if child is None or child.state is not ChildState.UNKNOWN or not owes_deletion(facts):
        return "the run is being deleted"
    seen = f" ({child.waiting_reason}: {child.waiting})" if child.waiting_reason else ""
    return f"the run is being deleted, and its checkpoints once its attempt can be seen to have ended{seen}; {_letting_go(facts)}"


def _deleting_checkpoints(facts: Facts, spent: str) -> Verdict:
    """The run stays until they are gone: nobody else would know where they are. A person takes the wish back in its spec."""
    upkeep = facts.status.upkeep
    said = upkeep.message if upkeep is not None and upkeep.task is UpkeepTask.DELETE else ""
    return Verdict(
        phase=facts.status.phase if is_finished(facts) else Phase.STOPPED,
        reason=Reason.DELETING_CHECKPOINTS,
        message=f"nothing of it runs any more; it cost {spent}; its checkpoints are being deleted"
        f"{f' ({said})' if said else ''}; {_letting_go(facts)}",
        status=facts.status,
        actions=releases(facts),
    )


def _letting_go(facts: Facts) -> str:
    """What to type to have the run go without its checkpoints being deleted."""
    metadata = facts.run.metadata
    patch = '{"spec":{"checkpoints":{"whenDeleted":"Retain"}}}'
    return f"to let it go without: kubectl -n {metadata.namespace} patch trainingrun {metadata.name} --type merge -p '{patch}'"


def _owed(facts: Facts, live: Attempt) -> Verdict | None:
    """A cluster that stays away never holds a deletion for ever: what may be left there is noted as owed."""
    asked, child = facts.run.metadata.deletion_timestamp, facts.child
    if asked is None or child is None or child.state is not ChildState.UNKNOWN:
        return None
    if live.stop_time is None or facts.now < asked + timedelta(seconds=OWED_AFTER_SECONDS):
        return None
    if owes_deletion(facts):
        return (
            None  # who else would know what to delete there? `_why_deleted` says how it is let go.
        )
    spent = show_usd(total_cost(facts.status, facts.now))
    return Verdict(
        phase=facts.status.phase,
        reason=Reason.RUN_DELETED,
        message=f"attempt {live.number} could not be seen to leave {live.place} within {OWED_AFTER_SECONDS} s; it cost {spent} so far, "
        "and is removed from there when the cluster can be reached",
        status=facts.status,
        actions=(LetGo(owed_attempt=live.number),),
    )


def a_finished_run_stays_as_it_is(facts: Facts) -> Verdict | None:
    """Nothing happens to it but that its time to live runs out."""
    if not is_finished(facts):
        return None
    status = facts.status
    ttl = facts.run.spec.ttl_seconds_after_finished
    due = None
    if ttl is not None and status.completion_time is not None:
        due = status.completion_time + timedelta(seconds=ttl)
    actions: tuple[Action, ...] = ()
    if due is not None and facts.now >= due:
        due, actions = None, (DeleteRun(),)
    return Verdict(
        phase=status.phase,
        reason=known_reason(status.reason, Reason.COMPLETED),
        message=status.message,
        status=status,
        actions=actions,
        look_again_at=due,
    )


def a_final_checkpoint_is_verified(facts: Facts) -> Verdict | None:
    """Before a run is called a success, what it is a success for is read once more by somebody else. Nothing is charged meanwhile."""
    newest = _ended(facts)
    if newest is None or _final(facts) is not FinalCheckpoint.AWAITED:
        return None
    if labels.STOP in facts.run.metadata.annotations:
        return None  # a person does not want to wait for what may never come
    upkeep = facts.status.upkeep
    said = upkeep.message if upkeep is not None and is_about(upkeep, newest) else ""
    return Verdict(
        phase=Phase.VERIFYING,
        reason=Reason.VERIFYING_CHECKPOINTS,
        message=f"attempt {newest.number} came to the end; its checkpoints are verified where they lie{f': {said}' if said else ''}{_not_waiting(facts)}",
        status=facts.status,
    )


def _not_waiting(facts: Facts) -> str:
    """What to type where a verification cannot be done: nobody else ends the wait."""
    seen, upkeep = facts.snapshot.upkeep, facts.status.upkeep
    is_away = seen is not None and seen.state is UpkeepState.UNREACHABLE
    if not is_away and (upkeep is None or not upkeep.failures):
        return ""
    metadata = facts.run.metadata
    return f"; to end it as Stopped without: lightcompute stop {metadata.name} -n {metadata.namespace} --for-good"


def final_checkpoints_that_break_fail_the_run(facts: Facts) -> Verdict | None:
    """A broken one is made again from the newest whole one, as often as failures are borne."""
    newest = _ended(facts)
    if newest is None or _final(facts) is not FinalCheckpoint.BROKEN:
        return None
    failures = facts.status.restarts_count_towards_max
    most = facts.run.spec.failure_policy.max_restarts
    if failures <= most:
        return None
    upkeep = facts.status.upkeep
    said = f": {upkeep.message}" if upkeep is not None and is_about(upkeep, newest) else ""
    told = f"{failures} failures, maxRestarts is {most}; the last one: the newest checkpoint of attempt {newest.number}, which came to the end, is broken{said}"
    return _over(facts, newest, Phase.FAILED, Reason.FINAL_CHECKPOINT_BROKEN, told)


def a_completed_attempt_ends_the_run(facts: Facts) -> Verdict | None:
    """Success, whether the target was met or not: that is told beside it."""
    newest = _ended(facts)
    if newest is None or newest.reason != Reason.COMPLETED:
        return None
    if _final(facts) in {FinalCheckpoint.AWAITED, FinalCheckpoint.BROKEN}:
        return None
    results = final_results(facts.status)
    verdict = results.target if results is not None else None
    told = f"attempt {newest.number} came to the end"
    if results is not None:
        told += f" after {results.steps} steps"
    reason = Reason.COMPLETED
    if verdict is not None:
        reached = "none was scored" if verdict.reached is None else f"{verdict.reached:.4g}"
        told += f"; {verdict.metric} {reached} {verdict.unit}, target at most {verdict.at_most:.4g}"
        reason = Reason.TARGET_MET if verdict.met else Reason.TARGET_NOT_MET
    return _over(facts, newest, Phase.SUCCEEDED, reason, told)


def the_users_fault_fails_the_run(facts: Facts) -> Verdict | None:
    """The same spec would end the same way again; a changed one is tried."""
    newest = _ended(facts)
    if newest is None or newest.reason not in FINAL_REASONS:
        return None
    if newest.generation != facts.run.metadata.generation:
        return None
    told = f"attempt {newest.number} ended with {newest.message}"
    return _over(
        facts, newest, Phase.FAILED, known_reason(newest.reason, Reason.INTERNAL_ERROR), told
    )


def too_many_failures_fail_the_run(facts: Facts) -> Verdict | None:
    """Failures that count are counted; the rest is not."""
    newest = _ended(facts)
    failures = facts.status.restarts_count_towards_max
    most = facts.run.spec.failure_policy.max_restarts
    if newest is None or not newest.counts or failures <= most:
        return None
    told = f"{failures} attempts failed, maxRestarts is {most}; the last one: {newest.reason}, {newest.message}"
    return _over(facts, newest, Phase.FAILED, Reason.MAX_RESTARTS_EXCEEDED, told)


def attempts_without_progress_fail_the_run(facts: Facts) -> Verdict | None:
    """Ends that nobody owns up to are free, but not for ever."""
    newest = _ended(facts)
    if newest is None:
        return None
    in_a_row = free_and_fruitless(facts.status.attempts, facts.run.metadata.generation)
    if in_a_row < MAX_FRUITLESS:
        return None
    told = f"{in_a_row} attempts in a row ended without a step saved; the last one: {newest.reason}, {newest.message}"
    return _over(facts, newest, Phase.FAILED, Reason.NO_PROGRESS, told)


def releases(facts: Facts) -> tuple[ReleaseAttempt, ...]:
    """Releases of what is left of attempts that are gone, and of the last that ended, of which nothing may be seen any more."""
    seen = {child.attempt for child in facts.snapshot.children if child.state in _GONE}
    ended = [attempt.number for attempt in facts.status.attempts if not attempt.is_live]
    return tuple(ReleaseAttempt(attempt=number) for number in sorted(seen | set(ended[-1:])))


def _ended(facts: Facts) -> Attempt | None:
    return facts.newest if facts.newest is not None and not facts.newest.is_live else None


def _final(facts: Facts) -> FinalCheckpoint:
    is_tended = facts.snapshot.upkeep is not None
    return final_checkpoint(facts.run, facts.status, is_tended=is_tended)


def _leaving(facts: Facts, live: Attempt, reason: Reason, why: str) -> Verdict:
    if live.stop_time is None:
        return stop(facts, live, reason, why)
    return await_stop(facts, live, reason, why)


def _over(facts: Facts, newest: Attempt, phase: Phase, reason: Reason, told: str) -> Verdict:
    spent = show_usd(total_cost(facts.status, facts.now))
    status = revised(
        facts.status,
        completion_time=newest.end_time or facts.now,
        next_attempt_time=None,
    )
    ttl = facts.run.spec.ttl_seconds_after_finished
    return Verdict(
        phase=phase,
        reason=reason,
        message=f"{told}; cost {spent} ({clock(newest.end_time or facts.now)})",
        status=status,
        look_again_at=None if ttl is None else facts.now,
    )
