"""Whether a run that was trained to its end has left a whole checkpoint: verified once more where it lies, by an upkeep.

The trainer has read back what it wrote, through the caches of the machine that wrote it. What a run is called a success for is what
another machine reads.
"""

from __future__ import annotations

from enum import Enum, auto

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, TrainingRunStatus, Upkeep
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.keeping import outlives_attempts
from lightcompute.core.revise import revised
from runcontract.upkeep import UpkeepTask


class FinalCheckpoint(Enum):
    """What is known of the newest checkpoint of a run whose newest attempt came to the end."""

    NOT_ASKED = auto()
    """It did not come to the end, or what the trainer read back itself is all that can be had."""
    AWAITED = auto()
    SOUND = auto()
    BROKEN = auto()


def final_request(attempt: Attempt) -> str:
    """What the upkeep that verifies after the end of `attempt` is asked for by."""
    return f"the end of attempt {attempt.number}"


def final_checkpoint(
    run: TrainingRun, status: TrainingRunStatus, *, is_tended: bool
) -> FinalCheckpoint:
    """What is known of it; `is_tended`: whether anybody sees to checkpoints where this run is."""
    newest = status.attempts[-1] if status.attempts else None
    if newest is None or newest.is_live or newest.reason != Reason.COMPLETED or not is_tended:
        return FinalCheckpoint.NOT_ASKED
    if not outlives_attempts(run) or run.spec.checkpoints.pattern is not None:
        return FinalCheckpoint.NOT_ASKED
    if run.spec.training is None and not status.checkpoints:
        return FinalCheckpoint.NOT_ASKED
    match newest.final_checkpoint:
        case None:
            return FinalCheckpoint.AWAITED
        case "Whole":
            return FinalCheckpoint.SOUND
        case "Broken":
            return FinalCheckpoint.BROKEN


def is_about(upkeep: Upkeep, attempt: Attempt) -> bool:
    """Whether `upkeep` verifies what `attempt` left at its end."""
    return upkeep.task is UpkeepTask.VERIFY and upkeep.request == final_request(attempt)


def with_final_checkpoint(status: TrainingRunStatus, upkeep: Upkeep) -> TrainingRunStatus:
    """`status` after `upkeep` was done: where it was about the end of the newest attempt, what it found is kept with that.

    The newest checkpoint is that of all which are on record and which it found broken. A broken one counts as a failure, once.
    """
    newest = status.attempts[-1] if status.attempts else None
    if newest is None or newest.is_live or not is_about(upkeep, newest):
        return status
    steps = {each.step for each in status.checkpoints} | set(upkeep.broken_steps)
    is_broken = bool(steps) and max(steps) in upkeep.broken_steps
    judged = revised(newest, final_checkpoint="Broken" if is_broken else "Whole")
    return revised(
        status,
        attempts=(*status.attempts[:-1], judged),
        restarts_count_towards_max=status.restarts_count_towards_max + int(is_broken),
    )
