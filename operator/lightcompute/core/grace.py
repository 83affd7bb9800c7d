"""The time of grace: from asking an attempt to leave until it is killed. Long enough for what its run's saves were measured to take.

    grace = max(setting, min(2 x longest save + longest step, LONGEST_GRACE_SECONDS))

It is fixed when an attempt is recorded and holds for its life: what its pods are made with, what a stop gives them, and what is held back of
the cap are one number. Saves that take longer meanwhile count for the next attempt: pods that exist can't be given more.
"""

from __future__ import annotations

from lightcompute.api.status import Saves

LONGEST_GRACE_SECONDS = 3600
"""No measurement gives more: a trainer that hangs, or says what is not true, costs its run so much at each stop and no more."""
SAVES_IN_GRACE = 2
"""One save may be under way when an attempt is asked to leave, and what came after it is saved behind it."""


def next_grace_seconds(setting_seconds: int, saves: Saves | None) -> int:
    """What an attempt that is recorded now has; never less than the place's `setting_seconds`."""
    if saves is None:
        return setting_seconds
    needed = SAVES_IN_GRACE * saves.longest_save_seconds + saves.longest_step_seconds
    return max(setting_seconds, min(needed, LONGEST_GRACE_SECONDS))
