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
from lightcompute.core.slowness import Slowness
from lightcompute.core.text import cut


def saves_told(known: Saves | None, progress: Progress | None) -> Saves | None:
    """`known` with what the newest attempt tells; a trainer that told of no save changes nothing."""
    if progress is None:
        return known
    return _with_failures(_with_slowness(known, progress.slowness), progress)


def _with_slowness(known: Saves | None, told: Slowness) -> Saves | None:
    if told.since_step is None:
        if known is None or not told.keeps_up:
            return known
        return revised(known, slow_since_step=None, slowness="")
    since = known.slow_since_step if known is not None else None
    return revised(
        known or Saves(),
        slow_since_step=told.since_step if since is None else since,
        slowness=cut(told.told),
    )


def _with_failures(known: Saves | None, progress: Progress) -> Saves | None:
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
    return revised(
        known,
        failing_since_step=None,
        failure="",
        longest_save_seconds=max(
            known.longest_save_seconds, math.ceil(progress.longest_save_seconds)
        ),
        longest_step_seconds=max(
            known.longest_step_seconds, math.ceil(progress.longest_step_seconds)
        ),
    )


def wrong(saves: Saves | None, *, is_live: bool) -> tuple[Reason, str] | None:
    """What is wrong with saving and the words for it; that it is slow matters while something saves."""
    if said := failing(saves):
        return Reason.CHECKPOINTS_FAILING, said
    if is_live and (said := slow(saves)):
        return Reason.CHECKPOINTS_SLOW, said
    return None


def slow(saves: Saves | None) -> str:
    """That saves do not keep up with the time between them, as a part of a sentence; empty while they do."""
    if saves is None or saves.slow_since_step is None:
        return ""
    return f"saves are slow since step {saves.slow_since_step}: {saves.slowness}"


def failing(saves: Saves | None) -> str:
    """What is wrong with saving, as a part of a sentence; empty while nothing is."""
    if saves is None or not saves.are_failing:
        return ""
    said = f": {saves.failure}" if saves.failure else ""
    return f"saves fail since step {saves.failing_since_step}{said}"


def saves_events(before: Saves | None, after: Saves | None) -> tuple[Event, ...]:
    """That saves began to fail or to be slow, or are well again; each told once."""
    turns = (
        (failing, Reason.CHECKPOINTS_FAILING, "saves succeed again"),
        (slow, Reason.CHECKPOINTS_SLOW, "saves keep up with the time between them again"),
    )
    events: list[Event] = []
    for said, reason, again in turns:
        told, now = said(before), said(after)
        if now and not told:
            events.append(Event(type="Warning", reason=reason, message=now))
        if told and not now:
            events.append(Event(type="Normal", reason=Reason.CHECKPOINT_VERIFIED, message=again))
    return tuple(events)
