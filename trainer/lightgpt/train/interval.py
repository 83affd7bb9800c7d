"""Time between checkpoints, for an order that counts it in seconds.

The clock decides when a checkpoint is saved and nothing else: a save reads the training and changes nothing of it, so losses and
weights are those of a run that saves at other times.
"""

from __future__ import annotations

import math
from collections.abc import Callable


class SaveInterval:
    """Wall time since a save began; before the first one, since the attempt did. With `every_s` None it is never over."""

    def __init__(self, every_s: int | None, *, clock: Callable[[], float]) -> None:
        self._every_s = every_s
        self._clock = clock
        self._began_s = clock()

    def begin(self) -> None:
        """Counts from now: a save begins."""
        self._began_s = self._clock()

    def is_over(self) -> bool:
        """Whether so much time has passed that a checkpoint is due."""
        return self._every_s is not None and self.overdue_seconds() >= 0

    def overdue_seconds(self) -> float:
        """Time since a checkpoint was due; negative before that, and always without a time between them."""
        if self._every_s is None:
            return -math.inf
        return self._clock() - self._began_s - self._every_s
