"""How far the money goes: when the cap will stop the live attempt, and at about which step, if the run does not end before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lightcompute.api.status import TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.budget import Terms, left_of, paid_seconds
from lightcompute.core.ledger import open_charge


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """When the cap is reached; nothing where it is not, or cannot be told."""

    time: datetime | None = None
    step: int | None = None


def outlook_of(run: TrainingRun, status: TrainingRunStatus, terms: Terms) -> Outlook:
    """What is to be expected at the speed that was reported last. Without a report of it, that the cap will be reached."""
    live = status.attempts[-1] if status.attempts and status.attempts[-1].is_live else None
    segment = None if live is None else open_charge(live)
    if live is None or segment is None:
        return Outlook()
    left = left_of(run, status, segment.start_time)
    seconds = paid_seconds(left, segment.rate_per_hour_usd, terms)
    if seconds is None:
        return Outlook()
    reached = segment.start_time + timedelta(seconds=seconds)
    trainer = status.trainer_status
    if trainer is None or trainer.estimated_remaining_seconds is None:
        return Outlook(time=reached)
    remaining = min(trainer.estimated_remaining_seconds, 10**9)
    told = trainer.last_updated_time or segment.start_time
    if told + timedelta(seconds=remaining) <= reached:
        return Outlook()
    return Outlook(time=reached, step=_step_at(status, max(reached, told) - told, remaining))


def _step_at(status: TrainingRunStatus, ahead: timedelta, remaining: int) -> int | None:
    """The step that is reached `ahead` of the last report, which said that the last step is `remaining` seconds away."""
    step, last = number_of(status, "step"), number_of(status, "maxSteps")
    if step is None or last is None:
        return None
    return step + int(max(last - step, 0) * ahead.total_seconds() / max(remaining, 1))


def number_of(status: TrainingRunStatus, name: str) -> int | None:
    """A whole number that the trainer told last, by its name among the metrics."""
    trainer = status.trainer_status
    found = {each.name: each.value for each in trainer.metrics} if trainer is not None else {}
    value = found.get(name, "")
    return int(value) if value.isdecimal() else None
