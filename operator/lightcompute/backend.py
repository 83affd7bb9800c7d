"""The protocol between the loop and a world: a cluster, this machine, or a simulation. Three verbs and a voice.

A backend observes and carries out; it decides nothing. Its faults are of two kinds only: those that pass by themselves and
those that don't. Whatever it cannot tell for sure it says so (`ChildState.UNKNOWN`), since money hangs on it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from lightcompute.api.reasons import Reason
from lightcompute.api.status import TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.decision import Action, Event
from lightcompute.core.snapshot import Snapshot


class TemporaryFault(Exception):
    """The world did not answer, or not now: tried again after a while. What was asked may or may not have happened."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.look_again_at: datetime | None = None
        """When there is to be a look in any case, where that was decided before it happened."""


class Conflict(TemporaryFault):
    """The run was changed since it was observed; nothing was written. Look again."""


class PermanentFault(Exception):
    """The world refused for good, and nothing happened: the same request would be refused again until something is changed."""

    def __init__(self, message: str, *, reason: Reason = Reason.START_REFUSED) -> None:
        super().__init__(message)
        self.reason = reason


class Backend(Protocol):
    """A world that runs can be carried out in. `key` is what the backend calls a run (its UID, or its folder's name)."""

    async def observe(self, key: str) -> Snapshot | None:
        """The run and what is seen of it now; None when there is no such run any more.

        Children are found by the run's UID, never by name alone. Raises TemporaryFault when the run itself cannot be read.
        """

    async def record(self, run: TrainingRun, status: TrainingRunStatus) -> TrainingRun:
        """Writes `status` if the run is still the one that was observed (`metadata.resource_version`), durably.

        Returns the run with its new version. Raises Conflict when it was changed, TemporaryFault when that is not known.
        """

    async def perform(self, run: TrainingRun, action: Action) -> None:
        """Carries `action` out; twice is the same as once. Returns when it is asked for, not when it is done.

        `run` is as recorded: the attempt of a StartAttempt stands in its status. Raises PermanentFault only when
        nothing of the action happened or will happen.
        """

    async def announce(self, run: TrainingRun, events: tuple[Event, ...]) -> None:
        """Tells people; after the write, best effort, never raises."""
