"""Conditions by Kubernetes' rules: one of a type, and `lastTransitionTime` moves only when the answer changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, Condition
from lightcompute.api.words import ConditionType, Phase
from lightcompute.core.budget import limit_of
from lightcompute.core.facts import Facts
from lightcompute.core.keeping import outlives_attempts
from lightcompute.core.report import final_results
from lightcompute.core.saves import wrong
from lightcompute.core.text import cut
from lightcompute.core.verdict import Verdict
from lightcompute.core.waiting import waiting


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One question answered; `holds` is None for Unknown."""

    type: ConditionType
    holds: bool | None
    reason: Reason
    message: str = ""

    @property
    def status(self) -> str:
        """The answer as Kubernetes writes it."""
        return "Unknown" if self.holds is None else str(self.holds)


def with_answers(
    known: Iterable[Condition], answers: Iterable[Answer], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """`known` with `answers` laid over it, in the order of ConditionType; what is not answered stays."""
    conditions = {condition.type: condition for condition in known}
    for answer in answers:
        before = conditions.get(answer.type)
        same = before is not None and before.status == answer.status
        conditions[answer.type] = Condition.model_validate(
            {
                "type": answer.type,
                "status": answer.status,
                "reason": answer.reason.value,
                "message": cut(answer.message),
                "observed_generation": generation,
                "last_transition_time": before.last_transition_time
                if same and before is not None
                else now.replace(microsecond=0),
            }
        )
    return tuple(conditions[type_] for type_ in ConditionType if type_ in conditions)


def answers(facts: Facts, verdict: Verdict) -> tuple[Answer, ...]:
    """Every question that can be answered now."""
    known = {condition.type for condition in facts.run.status.conditions}
    always = (
        _accepted(facts, verdict),
        _scheduled(facts, verdict),
        _running(facts, verdict),
        _checkpoint_ready(facts, verdict),
        _budget_exhausted(facts, verdict),
    )
    # These are asked only once there was something to answer.
    ends = tuple(
        answer
        for answer in (_suspended(verdict), _succeeded(verdict), _failed(verdict))
        if answer.holds or answer.type in known
    )
    target = _target_met(facts, verdict)
    return (*always, *ends, *((target,) if target is not None else ()))


def _accepted(facts: Facts, verdict: Verdict) -> Answer:
    type_ = ConditionType.ACCEPTED
    if verdict.refusal is not None:
        return Answer(type=type_, holds=False, reason=verdict.refusal, message=verdict.message)
    if facts.snapshot.faults:  # what runs goes on with the spec that it was started with
        message = " ".join(facts.snapshot.faults)
        return Answer(type=type_, holds=False, reason=Reason.SPEC_REFUSED, message=message)
    return Answer(
        type=type_, holds=True, reason=Reason.SPEC_ACCEPTED, message="the spec can be carried out"
    )


def _scheduled(facts: Facts, verdict: Verdict) -> Answer:
    newest = verdict.status.attempts[-1] if verdict.status.attempts else None
    type_ = ConditionType.SCHEDULED
    if newest is None or not newest.is_live:
        return Answer(type=type_, holds=False, reason=verdict.reason, message=verdict.message)
    if newest.start_time is None:
        return _not_begun(facts, type_, newest)
    return Answer(
        type=type_,
        holds=True,
        reason=Reason.CHOSEN,
        message=f"attempt {newest.number} holds {newest.place}",
    )


def _running(facts: Facts, verdict: Verdict) -> Answer:
    newest = verdict.status.attempts[-1] if verdict.status.attempts else None
    type_ = ConditionType.RUNNING
    if newest is None or not newest.is_live:
        return Answer(
            type=type_, holds=False, reason=Reason.NO_ATTEMPT, message="nothing of it is alive"
        )
    if newest.start_time is None or waiting(facts) is not None:
        return _not_begun(facts, type_, newest)
    reason = Reason.ATTEMPT_RUNNING
    if verdict.phase == Phase.STOPPING:
        reason = Reason.ATTEMPT_STOPPING
    return Answer(type=type_, holds=True, reason=reason, message=verdict.message)


def _not_begun(facts: Facts, type_: ConditionType, newest: Attempt) -> Answer:
    waits = waiting(facts)
    return Answer(
        type=type_,
        holds=False,
        reason=waits.reason if waits is not None else Reason.ATTEMPT_STARTING,
        message=waits.message
        if waits is not None
        else f"attempt {newest.number} is not seen to run on {newest.place} yet",
    )


def _checkpoint_ready(facts: Facts, verdict: Verdict) -> Answer:
    verified = [kept for kept in verdict.status.checkpoints if kept.verified]
    if not verified and facts.run.spec.checkpoints.pattern is not None:
        return Answer(
            type=ConditionType.CHECKPOINT_READY,
            holds=None,
            reason=Reason.CHECKPOINTS_BY_NAME,
            message="what spec.checkpoints.pattern names is kept by the numbers in its names; nothing verifies it, so nobody "
            f"knows whether the next attempt can go on from it{_until_when(facts)}",
        )
    reason, told = Reason.NO_CHECKPOINT, "none is verified yet"
    if verified:
        reason = Reason.CHECKPOINT_VERIFIED
        told = f"{verified[-1].name} at step {verified[-1].step} is verified"
    # What is verified can be gone on from, whatever became of later saves: they change why, not whether.
    is_live = bool(verdict.status.attempts) and verdict.status.attempts[-1].is_live
    trouble = wrong(verdict.status.saves, is_live=is_live)
    if trouble is not None:
        reason, told = trouble[0], f"{told}; {trouble[1]}"
    return Answer(
        type=ConditionType.CHECKPOINT_READY,
        holds=bool(verified),
        reason=reason,
        message=f"{told}{_until_when(facts)}",
    )


def _until_when(facts: Facts) -> str:
    """What a person should know of a place where nothing outlives an attempt; a laptop keeps its runs."""
    if outlives_attempts(facts.run) or facts.snapshot.upkeep is None:
        return ""
    return "; spec.storage names nothing that outlives an attempt: the next one begins at step 0"


def _budget_exhausted(facts: Facts, verdict: Verdict) -> Answer:
    type_ = ConditionType.BUDGET_EXHAUSTED
    if limit_of(facts.run) is None:
        return Answer(
            type=type_, holds=False, reason=Reason.NO_BUDGET, message="the run has no cap"
        )
    # The reason of the stop counts too: money was out before the attempt was gone.
    if verdict.reason is Reason.BUDGET_EXHAUSTED:
        return Answer(
            type=type_, holds=True, reason=Reason.BUDGET_EXHAUSTED, message=verdict.message
        )
    return Answer(
        type=type_, holds=False, reason=Reason.WITHIN_BUDGET, message="the cap is not reached"
    )


def _suspended(verdict: Verdict) -> Answer:
    holds = verdict.phase == Phase.SUSPENDED
    return Answer(
        type=ConditionType.SUSPENDED,
        holds=holds,
        reason=Reason.RUN_SUSPENDED if holds else Reason.RUN_RESUMED,
        message=verdict.message if holds else "the run is not held",
    )


def _succeeded(verdict: Verdict) -> Answer:
    return Answer(
        type=ConditionType.SUCCEEDED,
        holds=verdict.phase == Phase.SUCCEEDED,
        reason=verdict.reason,
        message=verdict.message,
    )


def _failed(verdict: Verdict) -> Answer:
    holds = verdict.phase == Phase.FAILED
    return Answer(
        type=ConditionType.FAILED,
        holds=holds,
        reason=verdict.reason if holds else Reason.SPEC_CHANGED,
        message=verdict.message if holds else "the spec was changed, so the run is tried again",
    )


def _target_met(facts: Facts, verdict: Verdict) -> Answer | None:
    """Judged by numbers that the trainer wrote down, and as not met only once the run is at its end."""
    training = facts.run.spec.training
    if training is None or training.target is None:
        return None
    results = verdict.status.results
    target = results.target if results is not None else None
    over = verdict.phase == Phase.SUCCEEDED and final_results(verdict.status) is not None
    if target is None or not (target.met or over):
        return Answer(
            type=ConditionType.TARGET_MET,
            holds=None,
            reason=Reason.TARGET_NOT_JUDGED,
            message="the target is judged when the run is at its end",
        )
    reached = "nothing was scored" if target.reached is None else f"{target.reached:.6g}"
    return Answer(
        type=ConditionType.TARGET_MET,
        holds=target.met,
        reason=Reason.TARGET_MET if target.met else Reason.TARGET_NOT_MET,
        message=f"{target.metric} {reached} {target.unit}, target at most {target.at_most:.6g}",
    )
