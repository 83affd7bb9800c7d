"""Checks about a live attempt: why it must leave, and if nothing says so, that it goes on.

What a person or a clock can call for without one (stop, suspension, active deadline) stands here too.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from lightcompute.api import labels
from lightcompute.api.money import show_usd
from lightcompute.api.reasons import Reason, known_reason
from lightcompute.api.status import Attempt, AttemptState
from lightcompute.api.words import Phase
from lightcompute.core.budget import limit_of, rate_of, renewed_deadline, useful_seconds
from lightcompute.core.checks_begin import begin_due, renewal
from lightcompute.core.decision import Action, ServeCurves
from lightcompute.core.facts import Facts
from lightcompute.core.ledger import total_cost, total_held
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import Child, ChildState
from lightcompute.core.text import clock, cut, span
from lightcompute.core.verdict import SOON_SECONDS, Verdict, await_stop, stop
from lightcompute.core.waiting import waiting


def a_stopping_attempt_is_waited_for(facts: Facts) -> Verdict | None:
    """Nothing else is done until it is confirmed gone: until then it costs money and may write checkpoints."""
    live = facts.live
    if live is None or live.state is not AttemptState.STOPPING:
        return None
    reason = known_reason(live.stop_reason, Reason.ATTEMPT_STOPPING)
    return await_stop(facts, live, reason, live.message or f"stopping because of {reason}")


def a_person_stops_the_run(facts: Facts) -> Verdict | None:
    """For good."""
    if labels.STOP not in facts.run.metadata.annotations:
        return None
    if facts.live is not None:
        return stop(facts, facts.live, Reason.STOPPED_BY_USER, "a person asked for the end")
    ended = facts.newest.end_time if facts.newest is not None else None
    return Verdict(
        phase=Phase.STOPPED,
        reason=Reason.STOPPED_BY_USER,
        message=f"a person asked for the end; {_so_far(facts)}",
        status=revised(facts.status, completion_time=ended or facts.now, next_attempt_time=None),
        look_again_at=facts.now if facts.run.spec.ttl_seconds_after_finished is not None else None,
    )


def a_suspended_run_holds(facts: Facts) -> Verdict | None:
    """Until spec.suspend is false."""
    if not facts.run.spec.suspend:
        return None
    if facts.live is not None:
        return stop(facts, facts.live, Reason.RUN_SUSPENDED, "spec.suspend is true")
    placement = revised(facts.status.placement, waiting_since=None)
    return Verdict(
        phase=Phase.SUSPENDED,
        reason=Reason.RUN_SUSPENDED,
        message=f"spec.suspend is true; {_so_far(facts)}",
        status=revised(facts.status, next_attempt_time=None, placement=placement),
    )


def the_active_deadline_ends_the_run(facts: Facts) -> Verdict | None:
    """All attempts together have had their time; waiting and suspension are no part of it."""
    bound = facts.run.spec.active_deadline_seconds
    if bound is None:
        return None
    left = bound - total_held(facts.status, facts.now).total_seconds()
    enough = 0 if facts.live is not None or facts.newest is None else useful_seconds(facts.newest)
    if left > 0 and left >= enough:
        return None
    told = f"all attempts together had {span(bound)} (activeDeadlineSeconds {bound})"
    if facts.live is not None:
        return stop(facts, facts.live, Reason.DEADLINE_EXCEEDED, told)
    ended = facts.newest.end_time if facts.newest is not None else None
    return Verdict(
        phase=Phase.FAILED,
        reason=Reason.DEADLINE_EXCEEDED,
        message=f"{told}; {_so_far(facts)}",
        status=revised(facts.status, completion_time=ended or facts.now, next_attempt_time=None),
    )


def the_budget_stops_the_attempt(facts: Facts) -> Verdict | None:
    """At its deadline, if it is still there: the trainer should have left before, and the place ends it at the same time."""
    live, limit = facts.live, limit_of(facts.run)
    if live is None or (limit is None and not facts.snapshot.allowances):
        return None
    end = facts.end_time
    unstarted = live.start_time is None and facts.deadline_seconds == 0
    if not unstarted and (end is None or facts.now < end):
        return None
    spent = show_usd(total_cost(facts.status, facts.now))
    reserve = show_usd(facts.terms.of(live).reserve(rate_of(live)))
    own = renewed_deadline(facts.run, facts.status, live, facts.terms)
    if limit is None or own is None or own > (facts.deadline_seconds or 0):
        names = ", ".join(each.name for each in facts.snapshot.allowances)
        told = f"TrainingBudget {names} lets the attempt go on no longer; the run has spent {spent}"
        return stop(facts, live, Reason.TRAINING_BUDGET_EXHAUSTED, told)
    told = f"{spent} of {show_usd(limit)} are spent and {reserve} are held back for the stop"
    return stop(facts, live, Reason.BUDGET_EXHAUSTED, told)


def an_attempt_that_is_taken_back_is_stopped(facts: Facts) -> Verdict | None:
    """A queue that admitted it asks its processes to leave. It could let them in again, under a deadline that begins anew."""
    live, child = facts.live, facts.child
    if live is None or child is None or child.interruption is None:
        return None
    if child.state not in {ChildState.PENDING, ChildState.RUNNING}:
        return None
    return stop(facts, live, child.interruption, child.waiting or f"{live.place} took it back")


def a_hung_attempt_is_stopped(facts: Facts) -> Verdict | None:
    """Silence for progressDeadlineSeconds, from a trainer that would report and was listened to."""
    due = _hang_time(facts)
    if facts.live is None or due is None or facts.now < due or not _was_heard(facts, due):
        return None
    seconds = facts.run.spec.progress_deadline_seconds
    silent_since = clock(due - timedelta(seconds=seconds))
    return stop(
        facts,
        facts.live,
        Reason.HANG,
        f"no report since {silent_since}, progressDeadlineSeconds is {seconds}",
    )


def a_live_attempt_goes_on(facts: Facts) -> Verdict | None:
    """With its deadline as limit and price have it now."""
    live, child = facts.live, facts.child
    if live is None:
        return None
    waits = waiting(facts)
    times = (
        facts.end_time,
        _next_listening(facts),
        begin_due(facts, live) if waits else None,
    )
    return Verdict(
        phase=Phase.STARTING if waits is not None else Phase.RUNNING,
        reason=waits.reason if waits is not None else _why_unseen(child),
        message=waits.message if waits is not None else _running(facts, live, child),
        status=facts.status,
        actions=(*renewal(facts, live), *_serving(facts, live)),
        look_again_at=min((time for time in times if time and time > facts.now), default=None),
    )


def _serving(facts: Facts, live: Attempt) -> tuple[Action, ...]:
    """Once it runs, and not before: until then there is nothing to see."""
    child = facts.child
    if child is None or child.state is not ChildState.RUNNING or child.curves_served is not False:
        return ()
    return (ServeCurves(attempt=live.number),)


def _why_unseen(child: Child | None) -> Reason:
    unseen = child is not None and child.state is ChildState.UNKNOWN
    return (child.waiting_reason if unseen and child else None) or Reason.ATTEMPT_RUNNING


def _running(facts: Facts, live: Attempt, child: Child | None) -> str:
    since = clock(live.start_time) if live.start_time is not None else "now"
    text = f"attempt {live.number} runs on {live.place} since {since}"
    rate, end = rate_of(live), facts.end_time
    if rate:
        text += f" at {show_usd(rate)} an hour"
    if end is not None:
        text += f", until {clock(end)} at most"
    if live.first_step:
        text += f"; it went on from step {live.first_step}"
        text += f", and does {live.lost_steps} steps again" if live.lost_steps else ""
    if child is not None and child.deadline_fault and renewal(facts, live):
        why = cut(" ".join(child.deadline_fault.split()), 400)
        text += f"; its deadline could not be moved and is tried again: {why}"
    if child is None or child.state is not ChildState.UNKNOWN:
        return text
    why = cut(" ".join(child.waiting.split()), 400)
    return f"{text}; it cannot be seen now, and is charged on{why and ': '}{why}"


def _hang_time(facts: Facts) -> datetime | None:
    """When silence becomes a hang. A trainer's clock that runs ahead makes no report newer than now."""
    live, child, spec = facts.live, facts.child, facts.run.spec
    if live is None or live.start_time is None or child is None or not spec.speaks_contract:
        return None
    if spec.progress_deadline_seconds == 0 or child.state is not ChildState.RUNNING:
        return None
    told = child.progress.newest_time if child.progress is not None else None
    began = max(live.start_time, child.began_time or live.start_time)
    newest = began if told is None else max(began, min(told, facts.now))
    return newest + timedelta(seconds=spec.progress_deadline_seconds)


def _was_heard(facts: Facts, due: datetime) -> bool:
    """Whether the log is known to be read up to `due`: whoever has only just come, or cannot read it, knows of no silence."""
    heard = facts.child.heard_until if facts.child is not None else None
    return heard is not None and heard >= due


def _next_listening(facts: Facts) -> datetime | None:
    """When silence becomes a hang; where that time is over and the log is read only up to before it: soon."""
    due = _hang_time(facts)
    if due is None or due > facts.now:
        return due
    read = facts.child is not None and facts.child.heard_until is not None
    return facts.now + timedelta(seconds=SOON_SECONDS) if read else None


def _so_far(facts: Facts) -> str:
    kept = [checkpoint for checkpoint in facts.status.checkpoints if checkpoint.verified]
    spent = show_usd(total_cost(facts.status, facts.now))
    saved = f"the last checkpoint is {kept[-1].name}" if kept else "no checkpoint was saved"
    return f"{saved}; cost so far {spent}"
