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
    upkeep = status.upkeep
    if upkeep is None or not is_about(upkeep, newest) or upkeep.state != "Done":
        return FinalCheckpoint.AWAITED
    return FinalCheckpoint.BROKEN if is_final_broken(status, upkeep) else FinalCheckpoint.SOUND


def is_about(upkeep: Upkeep, attempt: Attempt) -> bool:
    """Whether `upkeep` verifies what `attempt` left at its end."""
    return upkeep.task is UpkeepTask.VERIFY and upkeep.request == final_request(attempt)


def is_final_broken(status: TrainingRunStatus, upkeep: Upkeep) -> bool:
    """Whether the newest checkpoint, of those on record and those that `upkeep` found, is one that it found broken."""
    steps = {each.step for each in status.checkpoints} | set(upkeep.broken_steps)
    return bool(steps) and max(steps) in upkeep.broken_steps
