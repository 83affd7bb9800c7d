"""How saving goes: what trainers told of their saves, kept in status until a later save says otherwise.

A save that failed is told once and then never again until the next one, while logs are cut off, operators die and attempts end. So what is
remembered stands in status, and only what a trainer says of a newer save changes it.
"""

from __future__ import annotations

import math

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Saves
from lightcompute.core.decision import Event
from lightcompute.core.progress import Progress
from lightcompute.core.revise import revised
from lightcompute.core.text import cut


def saves_told(known: Saves | None, progress: Progress | None) -> Saves | None:
    """`known` with what the newest attempt tells; a trainer that told of no save changes nothing."""
    if progress is None:
        return known
    first, last = progress.first_failed_save, progress.last_failed_save
    if progress.saved is not None:
        known = _measured(known or Saves(), progress)
    if first is None or last is None:
        return known
    since = known.failing_since_step if known is not None else None
    failure = cut(" ".join(last.message.split()))
    return revised(
        known or Saves(),
        failing_since_step=first.step if since is None else since,
        failure=failure,
    )


def _measured(known: Saves, progress: Progress) -> Saves:
    """A save succeeded; the longest of all attempts stay on record, in whole seconds so that they seldom change."""
    return Saves(
        longest_save_seconds=max(
            known.longest_save_seconds, math.ceil(progress.longest_save_seconds)
        ),
        longest_step_seconds=max(
            known.longest_step_seconds, math.ceil(progress.longest_step_seconds)
        ),
    )


def failing(saves: Saves | None) -> str:
    """What is wrong with saving, as a part of a sentence; empty while nothing is."""
    if saves is None or not saves.are_failing:
        return ""
    said = f": {saves.failure}" if saves.failure else ""
    return f"saves fail since step {saves.failing_since_step}{said}"


def saves_events(before: Saves | None, after: Saves | None) -> tuple[Event, ...]:
    """That saves began to fail, or succeed again; each told once."""
    told, wrong = failing(before), failing(after)
    if wrong and not told:
        return (Event(type="Warning", reason=Reason.CHECKPOINTS_FAILING, message=wrong),)
    if told and not wrong:
        again = "saves succeed again"
        return (Event(type="Normal", reason=Reason.CHECKPOINT_VERIFIED, message=again),)
    return ()
