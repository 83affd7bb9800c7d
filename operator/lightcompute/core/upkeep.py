"""What is done about a run's checkpoints while nothing trains: verified on request, pruned by the rule, deleted with the run.

It stands beside the checks and changes none of them: a decision that is made gets the upkeep added (`seen_to`). As with attempts, what is
to be done is recorded before it is begun, so a death in between begins it again under the same number.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from lightcompute.api import labels
from lightcompute.api.status import TrainingRunStatus, Upkeep
from lightcompute.api.training_run import TrainingRun
from lightcompute.api.words import Phase
from lightcompute.core.decision import Action, ReleaseUpkeep, StartUpkeep, TellAttempt
from lightcompute.core.facts import Facts
from lightcompute.core.final import final_request
from lightcompute.core.keeping import outlives_attempts, pins_of, retention_of
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import ChildState, UpkeepState
from lightcompute.core.verdict import SOON_SECONDS, Verdict
from runcontract.requests import MAX_REQUEST_BYTES
from runcontract.upkeep import UpkeepTask

BACK_OFF_SECONDS = 30
MOST_BACK_OFF_SECONDS = 600
"""A deletion that failed is tried again, later each time, and so is what a success waits for; what a person asked for, or a rule, is
not: another request is."""
AT_REST = frozenset(
    {Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED, Phase.SUSPENDED, Phase.BUDGET_EXHAUSTED}
)
"""Phases in which nothing trains, and nothing will by itself."""


def owes_deletion(facts: Facts) -> bool:
    """Whether the run's checkpoints are still to be deleted before it is let go."""
    upkeep = facts.status.upkeep
    if facts.snapshot.upkeep is None or not _has_kept(facts.run, facts.status):
        return False
    if facts.run.spec.checkpoints.when_deleted != "Delete":
        return False
    return upkeep is None or upkeep.task is not UpkeepTask.DELETE or upkeep.state != "Done"


def seen_to(facts: Facts, verdict: Verdict) -> Verdict:
    """`verdict` with what goes on beside it."""
    verdict = _telling(facts, verdict)
    seen, upkeep = facts.snapshot.upkeep, verdict.status.upkeep
    if seen is None:
        return verdict
    if upkeep is not None and upkeep.state == "Requested":
        if why := _gives_way(facts, verdict, upkeep):
            return _given_up(facts, verdict, upkeep, why)
        return _with(facts, verdict, upkeep, StartUpkeep(number=upkeep.number, task=upkeep.task))
    if upkeep is not None and seen.number == upkeep.number and seen.state is not UpkeepState.ABSENT:
        # Its end is on record: what is left of it goes.
        release = ReleaseUpkeep(number=upkeep.number)
        verdict = _with(facts, verdict, upkeep, release, soon=False)
    wish = _wish(facts, verdict)
    if wish is None:
        return verdict
    task, request = wish
    is_final = verdict.phase is Phase.VERIFYING
    failures = 0
    if upkeep is not None and (upkeep.task, upkeep.request) == wish:
        if upkeep.state == "Done" or not (task is UpkeepTask.DELETE or is_final):
            return verdict
        failures = upkeep.failures
        wait = min(BACK_OFF_SECONDS * 2 ** (failures - 1), MOST_BACK_OFF_SECONDS)
        due = (upkeep.end_time or facts.now) + timedelta(seconds=wait)
        if facts.now < due:
            return _looking_at(verdict, due - facts.now, facts)
    if upkeep is not None and upkeep != facts.run.status.upkeep:
        return _looking_at(verdict, timedelta(), facts)  # its end is told before another begins
    verified = upkeep.verified_request if upkeep is not None else ""
    wanted = Upkeep(
        number=upkeep.number + 1 if upkeep is not None else 1,
        task=task,
        request=request,
        verified_request=request if task is UpkeepTask.VERIFY and not is_final else verified,
        state="Requested",
        requested_time=facts.now,
        failures=failures,
    )
    return _with(facts, verdict, wanted, StartUpkeep(number=wanted.number, task=task))


def requests_of(run: TrainingRun) -> tuple[str, str]:
    """What people want of the run's trainer, by annotation: checkpoint-now and pins, of which no more than a trainer reads."""
    notes = run.metadata.annotations
    now = notes.get(labels.CHECKPOINT_NOW, "").strip()[:MAX_REQUEST_BYTES]
    return now, ",".join(map(str, sorted(pins_of(run))))


def _telling(facts: Facts, verdict: Verdict) -> Verdict:
    """What people want of a live attempt is passed on to it once it may hear."""
    child, live = facts.child, facts.live
    if child is None or live is None or child.requests is None:
        return verdict
    if child.state is not ChildState.RUNNING or child.requests == requests_of(facts.run):
        return verdict
    now, pins = requests_of(facts.run)
    tell = TellAttempt(attempt=live.number, checkpoint_now=now, pins=pins)
    return replace(verdict, actions=(*verdict.actions, tell))


def _wish(facts: Facts, verdict: Verdict) -> tuple[UpkeepTask, str] | None:
    """What is to be done, and the word for why, by which it is known whether that was done already."""
    if facts.live is not None or not _has_kept(facts.run, facts.status):
        return None
    if facts.run.metadata.deletion_timestamp is not None:
        return (UpkeepTask.DELETE, "") if owes_deletion(facts) else None
    if verdict.phase is Phase.VERIFYING:
        return UpkeepTask.VERIFY, final_request(verdict.status.attempts[-1])
    if verdict.phase not in AT_REST or verdict.status.attempts[-1].is_live:
        return None
    request = facts.run.metadata.annotations.get(labels.VERIFY_CHECKPOINTS, "").strip()[:128]
    upkeep = verdict.status.upkeep
    if request and (upkeep is None or upkeep.verified_request != request):
        return UpkeepTask.VERIFY, request
    settings = facts.run.spec.checkpoints
    if settings.pattern is not None:
        # What there is stands in no status: it is looked for once after each attempt, and where the rule or a pin has changed.
        ended = verdict.status.attempts[-1].number
        pins = ",".join(map(str, sorted(pins_of(facts.run))))
        return UpkeepTask.PRUNE, f"{ended} {settings.keep_latest} {settings.pattern} {pins}"[:128]
    surplus = retention_of(facts.status.checkpoints, facts.run).deleted
    if surplus:
        steps = ",".join(map(str, surplus))
        return UpkeepTask.PRUNE, f"{settings.keep_latest} {settings.keep_best} {steps}"[:128]
    return None


def _has_kept(run: TrainingRun, status: TrainingRunStatus) -> bool:
    """Whether anything may be kept where it outlives an attempt."""
    return outlives_attempts(run) and bool(status.attempts)


def _gives_way(facts: Facts, verdict: Verdict, upkeep: Upkeep) -> str:
    """What it gives way to: a claim may be had by one node at a time, and an attempt comes first; so does the end of the run."""
    attempts = verdict.status.attempts
    if upkeep.task is UpkeepTask.DELETE or not attempts:
        return ""
    if facts.run.metadata.deletion_timestamp is not None:
        return "the deletion of the run"
    if attempts[-1].is_live:
        return f"attempt {attempts[-1].number}; ask for it again when nothing trains"
    return ""


def _given_up(facts: Facts, verdict: Verdict, upkeep: Upkeep, why: str) -> Verdict:
    over = revised(upkeep, state="Failed", end_time=facts.now, message=f"it gave way to {why}")
    released = _with(facts, verdict, over, ReleaseUpkeep(number=upkeep.number), soon=False)
    # What is wanted instead is wanted now.
    return _looking_at(released, timedelta(), facts)


def _with(
    facts: Facts, verdict: Verdict, upkeep: Upkeep, action: Action, *, soon: bool = True
) -> Verdict:
    added = replace(
        verdict,
        status=revised(verdict.status, upkeep=upkeep),
        # Before what would let the run go.
        actions=(action, *verdict.actions),
    )
    return _looking_at(added, timedelta(seconds=SOON_SECONDS), facts) if soon else added


def _looking_at(verdict: Verdict, after: timedelta, facts: Facts) -> Verdict:
    times = [time for time in (verdict.look_again_at, facts.now + after) if time is not None]
    return replace(verdict, look_again_at=min(times))
