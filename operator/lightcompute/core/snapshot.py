"""All that a decision is made from: one frozen value, gathered by a backend at one moment.

Times are aware; `now` is the only clock. Nothing here is remembered between two looks: what must be remembered is in
`run.status`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lightcompute.api.money import MicroUSD
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Place, Whereabouts
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.period import Calendar
from lightcompute.core.progress import Progress
from runcontract.audit import Audit
from runcontract.results import KeptCheckpoint, Results, TerminationMessage
from runcontract.upkeep import UpkeepReport


class ChildState(StrEnum):
    """What is seen of an attempt's processes."""

    PENDING = "Pending"
    """They exist but hold no place yet (a pod that is not scheduled): nothing is charged."""
    RUNNING = "Running"
    """They hold their place, from `start_time`: it is charged."""
    EXITED = "Exited"
    """They are confirmed gone and said how: `exit_code` or `signal`, and `end_time`."""
    VANISHED = "Vanished"
    """They are confirmed gone and nothing tells how, as after the loss of a machine."""
    UNKNOWN = "Unknown"
    """They cannot be seen now and may be alive (a cluster that cannot be reached): they are charged, and nothing replaces them."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """What is seen of one attempt of this run (found by the run's UID). An attempt of which nothing is seen has no Child."""

    attempt: int
    state: ChildState
    start_time: datetime | None = None
    """From when it held its place."""
    end_time: datetime | None = None
    """When it was gone (Exited), or is known to be gone by (Vanished); `now` of the look when not given."""
    exit_code: int | None = None
    signal: int | None = None
    stopping: bool = False
    """Whether it was asked to leave already."""
    stopping_time: datetime | None = None
    """When the last of its processes was asked; None where that is not known."""
    interruption: Reason | None = None
    """Who took its machine away, or of one that is alive wants it back: PREEMPTED, EVICTED or NODE_LOST; None where nobody did."""
    out_of_memory: bool | None = None
    """Whether memory ran out, as its place says; None where that cannot be told: then SIGKILL means memory."""
    cause: str = ""
    """What the place says about the end, as a sentence."""
    waiting_reason: Reason | None = None
    """Why its processes do not run yet though they were asked for (NO_CAPACITY, NOT_ADMITTED, IMAGE_UNAVAILABLE, POD_REFUSED); None where
    nothing is wrong, or that is not known."""
    waiting: str = ""
    """The same in the place's own words, the same ones from look to look while nothing changes; empty once they run."""
    asked_time: datetime | None = None
    """When its place heard that its processes are wanted, or the queue before it let them be made; None where that is not known."""
    held_until: datetime | None = None
    """Of one that is not gone: by when it held its place no more, as its queue took it back; None while it may hold one."""
    began_time: datetime | None = None
    """From when its processes ran, where that is later than `start_time` (an image had to be fetched): silence counts from there."""
    heard_until: datetime | None = None
    """Up to when its log is known to be read; None where it was not read: what was not listened to is not called silent."""
    deadline_seconds: int | None = None
    """Seconds from its start after which the place ends it by itself, as the place has it now; None where it has none."""
    requests: tuple[str, str] | None = None
    """What it was told that people want of it: checkpoint-now and pins; None where that is not told in this way."""
    curves_served: bool | None = None
    """Whether its TensorBoard has its address; None where it needs none, or none can be given."""
    keeps_deadlines: bool = True
    """Whether the place ends attempts at a deadline, and can be told of another."""
    deadline_fault: str = ""
    """Why its place could not be told of another deadline when that was tried last; empty where it could, or was not tried."""
    progress: Progress | None = None
    termination: TerminationMessage | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A place that the run could take, and what the whole run costs there for an hour."""

    place: Place
    rate_per_hour: MicroUSD
    unavailable: Reason | None = None
    """Why it cannot be had now (such as NO_CAPACITY); None when it can."""
    message: str = ""
    any_placement: bool = False
    """Whether `placement.gpuTypes`, `regions` and `clusters` don't apply: this machine, which is the only place there is."""
    whereabouts: Whereabouts | None = None
    """Where the children of an attempt would be; None where that does not matter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A place in the line."""

    position: int
    """1 for the first."""
    length: int


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """A TrainingBudget that a run draws from, as it stands for this run."""

    name: str
    limit: MicroUSD
    reservation: MicroUSD | None = None
    """What an attempt reserves at most; None for all that its run's own limit leaves."""
    calendar: Calendar = field(default_factory=Calendar)
    taken: Mapping[datetime, MicroUSD] = field(default_factory=dict)
    """Amounts of others that come before this run, by the start of their period."""
    endless: str = ""
    """A run that comes before this one and has no end: it takes all that is left."""
    fault: str = ""
    """Why the budget cannot be kept as written: then nothing starts."""


class UpkeepState(StrEnum):
    """What is seen of an upkeep of checkpoints."""

    ABSENT = "Absent"
    """Nothing."""
    RUNNING = "Running"
    """It is there and not over."""
    DONE = "Done"
    FAILED = "Failed"
    UNREACHABLE = "Unreachable"
    """Where it is, or would be, cannot be reached now."""


@dataclass(frozen=True, kw_only=True)
class SeenUpkeep:
    """The upkeep that is on record, as it is seen."""

    number: int
    state: UpkeepState
    message: str = ""
    report: UpkeepReport | None = None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The run and the world, at `now`."""

    run: TrainingRun
    now: datetime
    children: tuple[Child, ...] = ()
    offers: tuple[Offer, ...] = ()
    line: Standing | None = None
    """How it stands in the line of waiting runs; None where it stands in none."""
    allowances: tuple[Allowance, ...] = ()
    """TrainingBudgets that the run draws from."""
    checkpoints: tuple[KeptCheckpoint, ...] = ()
    """Inventory of the run's folder; empty when it is not known: then the last reports stand for it."""
    upkeep: SeenUpkeep | None = None
    """What is seen of the upkeep of its checkpoints; None in a place where checkpoints are seen to in another way."""
    results: Results | None = None
    audit: Audit | None = None
    tensorboard_url: str | None = None
    faults: tuple[str, ...] = ()
    """What this place finds wrong with the spec (a missing claim, an unknown cluster), each a sentence. Nothing starts."""
    grace_seconds: int = 30
    """Shortest time from asking an attempt to leave until it is killed; each has its own on record."""
    clock_skew_seconds: int = 0
    """Largest difference between the clocks of `now`, of children and of places."""

    def child(self, attempt: int) -> Child | None:
        """What is seen of `attempt`, or None."""
        return next((child for child in self.children if child.attempt == attempt), None)
