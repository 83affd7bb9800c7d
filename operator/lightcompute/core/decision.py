"""What a decision can be: a closed union of actions, the status to record, and when to look again.

Actions are orders, not code: a backend performs them, and each may be performed any number of times with the effect of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Place, TrainingRunStatus
from runcontract.upkeep import UpkeepTask


@dataclass(frozen=True, kw_only=True)
class StartAttempt:
    """Create the processes of an attempt that is already recorded; where they exist (same run UID and attempt), adopt them."""

    attempt: int
    place: Place
    deadline_seconds: int | None
    """The place ends it so many seconds after its start, whoever is dead by then. None for no deadline."""
    stop_after_seconds: int | None
    """What the trainer is told (`runcontract.environment.STOP_AFTER_SECONDS`): a little less, so that it saves and leaves first."""
    grace_seconds: int
    """From SIGTERM to SIGKILL."""
    queue_name: str | None = None
    """The queue before the place, which lets the processes be made; None where none does."""


@dataclass(frozen=True, kw_only=True)
class StopAttempt:
    """Ask an attempt to save and leave (SIGTERM), and kill it after the grace. With a grace of 0: kill it now.

    Where nothing of it exists, nothing happens, and nothing of it may come to exist later.
    """

    attempt: int
    grace_seconds: int


@dataclass(frozen=True, kw_only=True)
class RenewDeadline:
    """Change the deadline of a live attempt: seconds from its start, or None for no deadline any more."""

    attempt: int
    deadline_seconds: int | None


@dataclass(frozen=True, kw_only=True)
class TellAttempt:
    """Pass on to a live attempt what people want of its trainer as it runs (`runcontract.requests`), each as text."""

    attempt: int
    checkpoint_now: str
    pins: str


@dataclass(frozen=True, kw_only=True)
class ServeCurves:
    """Give the TensorBoard of a live attempt the address that it has in its place (a Service)."""

    attempt: int


@dataclass(frozen=True, kw_only=True)
class ReleaseAttempt:
    """Remove what is left of an attempt that is confirmed gone and recorded as ended (Job, ConfigMap, Service); not its folder."""

    attempt: int


@dataclass(frozen=True, kw_only=True)
class DeleteRun:
    """Delete the run itself, as its time to live is over."""


@dataclass(frozen=True, kw_only=True)
class LetGo:
    """Remove our finalizer: nothing of a deleted run is left."""

    owed_attempt: int | None = None
    """An attempt in a cluster that cannot be reached: its place notes the debt first, and removes it when it can."""


@dataclass(frozen=True, kw_only=True)
class StartUpkeep:
    """Have the checkpoints verified, pruned or deleted, where the newest attempt was; what exists of this number is adopted."""

    number: int
    task: UpkeepTask


@dataclass(frozen=True, kw_only=True)
class ReleaseUpkeep:
    """Remove what is left of an upkeep, or end it."""

    number: int


AttemptAction = (
    StartAttempt | StopAttempt | RenewDeadline | TellAttempt | ServeCurves | ReleaseAttempt
)
Action = AttemptAction | StartUpkeep | ReleaseUpkeep | DeleteRun | LetGo


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something worth telling once: a Kubernetes Event, or a line on the terminal."""

    type: Literal["Normal", "Warning"]
    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The outcome of one look. The status is recorded first, then the actions are performed in order."""

    status: TrainingRunStatus
    reason: Reason
    message: str
    actions: tuple[Action, ...] = ()
    look_again_at: datetime | None = None
    """Time of the next look, if nothing happens before; None when only a change of the run can matter."""
    events: tuple[Event, ...] = ()
