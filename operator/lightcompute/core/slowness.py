"""Whether saves keep up with the time between them: judged over several, so that one that was slow, or one in between, says nothing.

One that is late by the whole time between two, and still under way, is told of by the trainer and enough by itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from runcontract.progress import Saved, Warned

SAVES_IN_A_ROW = 2
"""So many late ones begin it, and so many that are in time end it."""
LATE_SHARE = 0.1
LEAST_LATE_SECONDS = 2.0
"""A save is late when it began later than due by this share of the time between two, and by so much at least."""


@dataclass(frozen=True, kw_only=True)
class Slowness:
    """What the planned saves of one attempt say of their pace. `since_step` is None while they keep up."""

    since_step: int | None = None
    told: str = ""
    late: int = 0
    """Late saves in a row, up to the newest."""
    timely: int = 0

    @property
    def keeps_up(self) -> bool:
        """Whether that is known; else and without `since_step` nothing is."""
        return self.since_step is None and self.timely >= SAVES_IN_A_ROW

    def with_save(self, saved: Saved) -> Slowness:
        """This and one more save; one that was not planned, or is the first, changes nothing."""
        if saved.interval_seconds is None:
            return self
        if not _is_late(saved):
            timely = self.timely + 1
            ended = timely >= SAVES_IN_A_ROW
            return Slowness(
                since_step=None if ended else self.since_step,
                told="" if ended else self.told,
                timely=timely,
            )
        late = self.late + 1
        since = self.since_step
        if since is None and late >= SAVES_IN_A_ROW:
            since = saved.step
        return Slowness(since_step=since, told="" if since is None else _numbers(saved), late=late)

    def with_warning(self, warned: Warned) -> Slowness:
        """This and the word that a save under way makes the next one late by the whole time between two."""
        since = warned.step if self.since_step is None else self.since_step
        return Slowness(since_step=since, told=" ".join(warned.message.split()), late=self.late)


NOTHING_TOLD = Slowness()


def _is_late(saved: Saved) -> bool:
    interval = saved.interval_seconds or 0.0
    return saved.late_seconds >= max(LATE_SHARE * interval, LEAST_LATE_SECONDS)


def _numbers(saved: Saved) -> str:
    stood = ""
    if saved.waited_seconds is not None:
        waited = math.ceil(saved.waited_seconds)
        went_on = "training went on meanwhile"
        stood = f", and {f'training stood still for {waited} s' if waited else went_on}"
    return (
        f"the newest took {saved.save_seconds:.0f} s and was due {saved.interval_seconds or 0.0:.0f} s after the one before it; "
        f"it began {saved.late_seconds:.0f} s late{stood}"
    )
