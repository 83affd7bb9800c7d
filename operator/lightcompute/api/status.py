"""`status` of a TrainingRun: what is, why, what it costs. The operator and the local executor write the same document.

It is also the only memory: whatever must survive a crash stands here before it is done. Reading is lenient (an older program
may read a newer status); every list and text is bounded.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from lightcompute.api.came_out import MAX_MESSAGE, Environment, RunResults, TensorBoardStatus
from lightcompute.api.foresight_of_target import TargetForecast, ValidationCurve
from lightcompute.api.money import USD
from lightcompute.api.words import ConditionType, Phase
from runcontract.base import ReportModel
from runcontract.results import KeptCheckpoint
from runcontract.upkeep import MOST_TOLD, UpkeepTask

MAX_ATTEMPTS = 20
MAX_CHARGES = 16
MAX_BUDGETS = 16
MAX_CANDIDATES = 64
MAX_CHECKPOINTS = 32
MAX_METRICS = 32


class Condition(ReportModel):
    """One question answered, as `metav1.Condition`."""

    type: ConditionType = Field(description="The question.")
    status: Literal["True", "False", "Unknown"] = Field(description="The answer.")
    reason: str = Field(max_length=64, description="CamelCase word for why.")
    message: str = Field(default="", max_length=MAX_MESSAGE, description="Why, with numbers.")
    observed_generation: int = Field(default=0, description="Generation of the spec it is about.")
    last_transition_time: datetime = Field(description="When the answer last changed.")


class Place(ReportModel):
    """Where an attempt is: cluster, region, pool and type of GPU."""

    cluster: str = Field(max_length=63, description="Cluster, or `local`.")
    region: str = Field(default="", max_length=63, description="Region of the cluster.")
    pool: str = Field(default="", max_length=63, description="Pool of nodes in the cluster.")
    gpu_type: str = Field(default="", max_length=63, description="Type of GPU, or of processor.")

    def __str__(self) -> str:
        parts = (self.cluster, self.region, self.pool, self.gpu_type)
        return "/".join(part for part in parts if part)


class Whereabouts(ReportModel):
    """Where the children of an attempt are, whatever the name of its place leads to later."""

    cluster_uid: str = Field(
        default="",
        max_length=64,
        description="UID of the cluster, which is that of its namespace kube-system. Empty for children beside their run.",
    )
    namespace: str = Field(
        default="",
        max_length=63,
        description="Namespace there. Empty for children beside their run.",
    )

    def __str__(self) -> str:
        if not self.cluster_uid:
            return "beside the run"
        return f"in namespace {self.namespace} of the cluster {self.cluster_uid}"


class Candidate(ReportModel):
    """A place of the last round, and what became of it."""

    place: Place = Field(description="The place.")
    rate_per_hour_usd: USD = Field(description="Price of the run there for one hour.")
    reason: str = Field(max_length=64, description="Chosen, or why not.")
    message: str = Field(default="", max_length=256, description="The same with numbers.")


class Placement(ReportModel):
    """Where the run is, or where it was looked for."""

    place: Place | None = Field(default=None, description="Where the newest attempt is or was.")
    waiting_since: datetime | None = Field(
        default=None, description="When the search began; preRunningDeadlineSeconds counts from it."
    )
    round_time: datetime | None = Field(default=None, description="Time of the last round.")
    candidates: tuple[Candidate, ...] = Field(
        default=(), max_length=MAX_CANDIDATES, description="Every place of the last round."
    )
    line_position: int | None = Field(
        default=None,
        ge=1,
        description="Where it stood in the line of waiting runs at the last round, 1 for the first. None where it stood in none.",
    )
    line_length: int | None = Field(
        default=None, ge=1, description="How many runs stood in the line then."
    )


class AttemptState(StrEnum):
    """Life of an attempt. It is live, and there is no other, until it is Ended."""

    RESERVED = "Reserved"
    RUNNING = "Running"
    STOPPING = "Stopping"
    ENDED = "Ended"


class Charge(ReportModel):
    """A segment of the ledger: time at one price. Open while it has no end. Never changed once closed."""

    start_time: datetime = Field(description="From when the place was held.")
    end_time: datetime | None = Field(default=None, description="Until when.")
    rate_per_hour_usd: USD = Field(description="Price for one hour.")


class FoldedCharges(ReportModel):
    """Segments that are no longer listed, as sums."""

    count: int = Field(default=0, ge=0, description="Segments.")
    cost_usd: USD = Field(default=0, description="What they cost together.")
    held_microseconds: int = Field(default=0, ge=0, description="How long they were together.")


class Attempt(ReportModel):
    """One try: recorded before anything of it exists, and kept after everything of it is gone."""

    number: int = Field(ge=1, description="1, 2, 3, ... over the life of the run.")
    state: AttemptState = Field(description="Where it is in its life.")
    generation: int = Field(default=0, description="Generation of the spec that it carries out.")
    place: Place = Field(description="Where.")
    whereabouts: Whereabouts | None = Field(
        default=None,
        description="Where its children are. None for one of a version that did not record it: they are where its place leads to.",
    )
    rate_per_hour_usd: USD = Field(
        description="Price when reserved, and until its start the price of then."
    )
    reserved_time: datetime = Field(description="When it was recorded.")
    requested_time: datetime | None = Field(
        default=None,
        description="When its place was asked for it anew, where nothing came of the request that followed its record.",
    )
    deadline_seconds: int | None = Field(
        default=None,
        ge=0,
        description="Seconds from its start after which the place itself ends it. None without cap and deadline.",
    )
    stop_after_seconds: int | None = Field(
        default=None, ge=0, description="What the trainer was told: leave after so many seconds."
    )
    reserved_usd: USD | None = Field(
        default=None,
        description="What it reserved in the TrainingBudgets that it draws from; none where it draws from none.",
    )
    budgets: tuple[Annotated[str, StringConstraints(max_length=63)], ...] = Field(
        default=(), max_length=MAX_BUDGETS, description="TrainingBudgets that it was reserved in."
    )
    grace_seconds: int | None = Field(
        default=None,
        ge=0,
        description="Seconds from asking it to leave until it is killed, for all of its life. None for one of a version that did not record it: the operator's setting.",
    )
    queue_name: str | None = Field(
        default=None,
        max_length=63,
        description="Queue of Kueue that lets it begin; none where none does.",
    )
    start_time: datetime | None = Field(default=None, description="From when it held the place.")
    stop_time: datetime | None = Field(default=None, description="When it was asked to leave.")
    stop_reason: str | None = Field(default=None, max_length=64, description="Why it was.")
    end_time: datetime | None = Field(default=None, description="When it was confirmed gone.")
    exit_code: int | None = Field(default=None, description="Exit code of the trainer.")
    signal: int | None = Field(default=None, description="Signal that ended it.")
    reason: str | None = Field(default=None, max_length=64, description="Why it ended.")
    message: str = Field(default="", max_length=MAX_MESSAGE, description="The same with numbers.")
    counts: bool = Field(default=False, description="Whether it counts towards maxRestarts.")
    fruitful: bool = Field(default=False, description="Whether it brought the run forward.")
    first_step: int | None = Field(default=None, ge=0, description="Step that it began from.")
    last_step: int | None = Field(default=None, ge=0, description="Step that it reached.")
    lost_steps: int | None = Field(
        default=None,
        ge=0,
        description="Steps that the attempt before it did and that it does again, since no checkpoint has them. None where that is not known.",
    )
    final_checkpoint: Literal["Whole", "Broken"] | None = Field(
        default=None,
        description="What a verification after its end found of the newest checkpoint. None where it did not come to the end, or that is not known.",
    )
    tokens_per_second: float | None = Field(default=None, ge=0, description="Measured speed.")
    charges: tuple[Charge, ...] = Field(
        default=(), max_length=MAX_CHARGES, description="The ledger of this attempt."
    )
    folded: FoldedCharges = Field(
        default=FoldedCharges(), description="Older segments of its ledger, as sums."
    )

    @property
    def is_live(self) -> bool:
        """Whether it is not yet confirmed gone."""
        return self.state is not AttemptState.ENDED


class EarlierAttempts(ReportModel):
    """Attempts that are no longer listed, as sums."""

    count: int = Field(default=0, ge=0, description="Attempts.")
    charges: FoldedCharges = Field(
        default=FoldedCharges(), description="All segments of their ledgers."
    )


class Metric(ReportModel):
    """A number that the trainer reported, as text."""

    name: str = Field(max_length=64, description="Name, with its unit.")
    value: str = Field(max_length=64, description="Value.")


class TrainerStatus(ReportModel):
    """How far the trainer is, in the form of Kubeflow's Trainer."""

    progress_percentage: int | None = Field(default=None, ge=0, le=100, description="Share done.")
    estimated_remaining_seconds: int | None = Field(
        default=None, ge=0, description="Time to the end, as the trainer estimates it."
    )
    metrics: tuple[Metric, ...] = Field(
        default=(), max_length=MAX_METRICS, description="Newest numbers."
    )
    validation_curve: ValidationCurve | None = Field(
        default=None,
        description="What the target is judged by, over all attempts; none where the run has no target or nothing was scored.",
    )
    last_updated_time: datetime | None = Field(default=None, description="Time of this update.")


class Cost(ReportModel):
    """What the run cost and may still cost. Computed from the ledger; never falls."""

    spent_usd: USD = Field(default=0, description="Charged so far.")
    reserved_usd: USD = Field(
        default=0,
        description="What the live attempt may still cost, its time of grace included.",
    )
    rate_per_hour_usd: USD = Field(default=0, description="Price now.")
    forecast_usd: USD | None = Field(
        default=None, description="Cost at the end, at this speed and price."
    )
    limit_usd: USD | None = Field(default=None, description="The cap.")
    cap_reached_time: datetime | None = Field(
        default=None,
        description="When the live attempt is stopped for the cap; none while the run is expected to end before.",
    )
    cap_reached_step: int | None = Field(
        default=None, ge=0, description="Step that it will be at by then, at this speed."
    )
    target: TargetForecast | None = Field(
        default=None,
        description="Whether the target is likely to be met by then, or by the end; none where nothing is alive or the run has no target.",
    )
    overshoot_bound_usd: USD = Field(
        default=0,
        description="Price of grace, clock skew and rounding: held back from the cap, so that it holds.",
    )
    last_updated_time: datetime | None = Field(default=None, description="Charged up to here.")


class Saves(ReportModel):
    """How saving goes, as the trainers of all attempts told it."""

    longest_save_seconds: int = Field(
        default=0,
        ge=0,
        description="Time that the longest save took, rounded up to seconds. Attempts from now on have a grace of at least twice as long.",
    )
    longest_step_seconds: int = Field(
        default=0,
        ge=0,
        description="Time of a step, the longest that was told when a checkpoint was saved, rounded up to seconds.",
    )
    failing_since_step: int | None = Field(
        default=None,
        ge=0,
        description="Step at which the first save failed since the newest that did not; none while saves succeed.",
    )
    failure: str = Field(
        default="",
        max_length=MAX_MESSAGE,
        description="What the trainer says of the newest save, where it failed.",
    )
    slow_since_step: int | None = Field(
        default=None,
        ge=0,
        description="Step since which saves take longer than the time between them; none while they keep up with it.",
    )
    slowness: str = Field(
        default="",
        max_length=MAX_MESSAGE,
        description="How long the newest took, how late it began, and whether training stood still for it, where they are slow.",
    )

    @property
    def are_failing(self) -> bool:
        """Whether the newest save failed."""
        return self.failing_since_step is not None


class Upkeep(ReportModel):
    """What is, or was last, done about the checkpoints while nothing trains; recorded before it is begun."""

    number: int = Field(ge=1, description="1, 2, 3, ... over the life of the run.")
    task: UpkeepTask = Field(description="Verify, Prune or Delete.")
    request: str = Field(
        default="", max_length=128, description="What asked for it: it is not done twice for that."
    )
    verified_request: str = Field(
        default="", max_length=128, description="The newest request to verify that was taken up."
    )
    state: Literal["Requested", "Done", "Failed"] = Field(description="How far it is.")
    failures: int = Field(default=0, ge=0, description="How often it failed in a row.")
    broken_steps: tuple[int, ...] = Field(
        default=(),
        max_length=MOST_TOLD,
        description="Steps of checkpoints that it found broken, or missed.",
    )
    requested_time: datetime = Field(description="When it was recorded.")
    end_time: datetime | None = Field(default=None, description="When it was seen to be over.")
    message: str = Field(default="", max_length=MAX_MESSAGE, description="What came of it.")


class TrainingRunStatus(ReportModel):
    """What is."""

    observed_generation: int = Field(default=0, description="Generation of the spec it is about.")
    phase: Phase = Field(default=Phase.PENDING, description="Where the run is, in one word.")
    reason: str = Field(default="", max_length=64, description="Why, in one word.")
    message: str = Field(default="", max_length=MAX_MESSAGE, description="Why, with numbers.")
    start_time: datetime | None = Field(default=None, description="First start of an attempt.")
    completion_time: datetime | None = Field(default=None, description="When the run was over.")
    next_attempt_time: datetime | None = Field(
        default=None, description="The next attempt starts no earlier."
    )
    restarts: int = Field(default=0, ge=0, description="Attempts after the first.")
    restarts_count_towards_max: int = Field(
        default=0,
        ge=0,
        description="Failures that count towards failurePolicy.maxRestarts; all other restarts are free.",
    )
    conditions: tuple[Condition, ...] = Field(
        default=(), max_length=16, description="Questions answered."
    )
    placement: Placement = Field(default=Placement(), description="Where the run is.")
    attempts: tuple[Attempt, ...] = Field(
        default=(), max_length=MAX_ATTEMPTS, description="Newest attempts, oldest first."
    )
    earlier_attempts: EarlierAttempts = Field(
        default=EarlierAttempts(), description="Attempts no longer listed."
    )
    trainer_status: TrainerStatus | None = Field(default=None, description="How far it is.")
    cost: Cost = Field(default=Cost(), description="What it costs.")
    checkpoints: tuple[KeptCheckpoint, ...] = Field(
        default=(), max_length=MAX_CHECKPOINTS, description="Checkpoints, oldest first."
    )
    saves: Saves | None = Field(
        default=None, description="How saving goes; none before anything was told of a save."
    )
    upkeep: Upkeep | None = Field(
        default=None, description="What is, or was last, done about the checkpoints at rest."
    )
    results: RunResults | None = Field(default=None, description="What came out.")
    environment: Environment | None = Field(default=None, description="What the result depends on.")
    tensorboard: TensorBoardStatus | None = Field(default=None, description="Where it is.")
