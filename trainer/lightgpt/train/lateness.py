"""Whether saves keep to their interval: how much later than due one began, because the one before it was still under way.

One save is under way at a time. Where the step decides, training waits for it at the next one; where the clock decides, the next one is put off
and training goes on. Either is measured here and told; whether it is too much is for whoever reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

LEAST_TOLD_SECONDS = 2.0
"""A save under way is told of when the next one is late by the whole interval, and by so much at least."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When one save began, against when it was due.

    `interval_seconds` is from the beginning of the planned save before it to when it was due; None for the first, and for one that was not planned.
    It began `late_seconds` after that, and training stood still for `waited_seconds`.
    """

    interval_seconds: float | None = None
    late_seconds: float = 0.0
    waited_seconds: float = 0.0


class Lateness:
    """Of the planned saves of one attempt. All times are those of `clock`, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._planned_s: float | None = None
        self._free_s = clock()
        self._is_told = False

    def note_end(self, ended_s: float) -> None:
        """A save ended: the next one could begin."""
        self._free_s = ended_s

    def begin(self, *, due_s: float, planned: bool, waited: bool) -> Timing:
        """A save that was due at `due_s` begins now."""
        now_s = self._clock()
        if waited:
            self._free_s = now_s
        last_s, self._is_told = self._planned_s, False
        waited_s = now_s - due_s if waited else 0.0
        if planned:
            self._planned_s = now_s
        if not planned or last_s is None:
            return Timing(waited_seconds=max(waited_s, 0.0))
        return Timing(
            interval_seconds=max(due_s - last_s, 0.0),
            late_seconds=max(self._free_s - due_s, 0.0),
            waited_seconds=max(waited_s, 0.0),
        )

    def complaint(self, *, step: int, began_s: float, due_s: float, waits: bool) -> str:
        """What is to be told, once, of the save of `step` that is under way while another was due at `due_s`; mostly nothing."""
        now_s = self._clock()
        if self._is_told or self._planned_s is None:
            return ""
        interval_s = max(due_s - self._planned_s, 0.0)
        if now_s - due_s < max(interval_s, LEAST_TOLD_SECONDS):
            return ""
        self._is_told = True
        meanwhile = "training waits for it" if waits else "training goes on"
        return (
            f"the checkpoint of step {step} has been under way for {now_s - began_s:.0f} s, and the next one was due "
            f"{interval_s:.0f} s after the one before it: {meanwhile}"
        )
