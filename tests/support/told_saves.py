"""What is decided of a run by what its trainer tells of its saves."""

from __future__ import annotations

from lightcompute.api.status import Condition, TrainingRunStatus
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision
from lightcompute.core.progress import Progress
from lightcompute.testing.builders import (
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_ended_attempt,
    at,
)
from runcontract.progress import CHECKPOINT_FAILED, Report, Warned

FULL = "save 1 of at most 3 that may fail in a row:\n/runs: found No space left on device"


def failed(step: int, message: str = FULL, *, attempt: int = 1) -> Warned:
    """A save that failed."""
    return Warned(
        time=at(step), attempt=attempt, step=step, reason=CHECKPOINT_FAILED, message=message
    )


def look(
    *reports: Report, before: TrainingRunStatus | None = None, attempt: int = 1, now: float = 500
) -> Decision:
    """What is decided of a run whose newest attempt has said `reports`, and nothing before `before`."""
    progress = Progress(attempt=attempt)
    for report in reports:
        progress = progress.with_report(report)
    earlier = [an_ended_attempt(number) for number in range(1, attempt)]
    run = a_run()
    if before is not None:
        run = run.with_status(before)
    run = run.with_attempts(*earlier, a_running_attempt(attempt))
    child = a_child(attempt, progress=progress if reports else None)
    return decide(a_snapshot(run, child, now=at(now)))


def ready(decision: Decision) -> Condition:
    """Its condition CheckpointReady."""
    [found] = [each for each in decision.status.conditions if each.type == "CheckpointReady"]
    return found
