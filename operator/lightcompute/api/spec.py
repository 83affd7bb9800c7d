"""`spec` of a TrainingRun: what is wanted. One document for a laptop and a cluster.

What only a cluster has (image, placement, storage) is read and kept on a laptop but does nothing there; what both have means
the same in both.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from lightcompute.api.money import MAX_AMOUNT, USD
from lightcompute.api.storage import Storage
from lightcompute.api.trainer import Trainer
from runcontract.base import ContractModel, FieldFault, refuse
from runcontract.order import Checkpoints, Training

DEFAULT_PROGRESS_DEADLINE_SECONDS = 1800

Name = Annotated[str, StringConstraints(min_length=1, max_length=63)]
QueueName = Annotated[
    str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]


class Placement(ContractModel):
    """Where the run may go, in the order in which places are tried. A laptop is the only place it has, and takes the run."""

    gpu_types: tuple[Name, ...] = Field(
        default=(),
        max_length=32,
        description="GPU types in the order of preference, such as A100-40GB. Any when empty.",
    )
    regions: tuple[Name, ...] = Field(
        default=(),
        max_length=64,
        description="Regions in the order of preference, such as US-ORD1. Any when empty.",
    )
    clusters: tuple[Name, ...] = Field(
        default=(), max_length=64, description="Clusters that may be used. Any when empty."
    )
    preference: Literal["GPUOrder", "LowestPrice", "LowestExpectedCost"] = Field(
        default="GPUOrder",
        description="Which of the places that are allowed comes first: by the order of gpuTypes and regions, by price, or by what a token is expected to cost there, from measured speed or else a rough model of the GPU.",
    )
    max_hourly_price_usd: USD | None = Field(
        default=None,
        description='Highest price of the whole run for one hour, such as "4.00"; dearer places are passed over.',
    )
    retry_interval_seconds: int = Field(
        default=600, ge=1, le=86_400, description="Time between two rounds over all places."
    )
    pre_running_deadline_seconds: int = Field(
        default=3600,
        ge=1,
        le=2_592_000,
        description="Time that the run waits for a place before it fails; begins anew when it is resumed.",
    )
    priority: int = Field(
        default=0, ge=-1000, le=1000, description="Runs with more priority are placed first."
    )
    queue_name: QueueName | None = Field(
        default=None,
        description="LocalQueue of Kueue, in the namespace that the run's Jobs go to, which admits them. Counted by Kueue alone: neither free GPUs nor priority are looked at here.",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        lists = {"gpuTypes": self.gpu_types, "regions": self.regions, "clusters": self.clusters}
        refuse(
            *(
                FieldFault(field=field, found=list(names), expected="each name once")
                for field, names in lists.items()
                if len(set(names)) != len(names)
            )
        )
        return self


class Budget(ContractModel):
    """The cap on what the run may cost over all its attempts. It is never passed: an attempt that would pass it is stopped before."""

    limit_usd: USD = Field(
        gt=0,
        le=MAX_AMOUNT,
        description='Most that the run may cost in US dollars, as text such as "20.00"; at most six decimals.',
    )
    poll_interval_seconds: int = Field(
        default=300,
        ge=10,
        le=3600,
        description="Time between two updates of the cost in the status. The cap does not depend on it.",
    )


class Backoff(ContractModel):
    """Waiting before an attempt that follows a failed one; doubled at each failure in a row."""

    base_seconds: int = Field(default=10, ge=0, le=3600, description="First wait.")
    max_seconds: int = Field(default=600, ge=0, le=86_400, description="Longest wait.")


class FailurePolicy(ContractModel):
    """What is tried again. The user's own faults never are; preemption and lost machines don't count."""

    max_restarts: int = Field(
        default=3, ge=0, le=1000, description="Restarts after failures before the run fails."
    )
    backoff: Backoff = Field(default=Backoff(), description="Waiting between attempts.")


class TensorBoard(ContractModel):
    """TensorBoard beside the trainer."""

    enabled: bool = Field(default=True, description="Serve TensorBoard while the run trains.")


class TrainingRunSpec(ContractModel):
    """What is wanted of a run."""

    suspend: bool = Field(
        default=False,
        description="Save, stop and hold the run; false goes on from the last checkpoint.",
    )
    trainer: Trainer = Field(default=Trainer(), description="The program that trains.")
    training: Training | None = Field(
        default=None,
        description="The configuration of our trainer. Required unless trainer.image or trainer.command names another.",
    )
    placement: Placement = Field(default=Placement(), description="Where the run may go.")
    budget: Budget | None = Field(
        default=None, description="The cap on the cost. No cap when not given."
    )
    checkpoints: Checkpoints = Field(default=Checkpoints(), description="Saving and retention.")
    storage: Storage = Field(default=Storage(), description="Where checkpoints and results go.")
    failure_policy: FailurePolicy = Field(
        default=FailurePolicy(), description="What is tried again, and how often."
    )
    tensorboard: TensorBoard = Field(
        default=TensorBoard(), description="Whether TensorBoard is served, beside the trainer."
    )
    active_deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        le=31_536_000,
        description="Time that all attempts together may take; waiting and suspension don't count. No bound when not given.",
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=31_536_000,
        description="Delete the run this long after it succeeded, failed or was stopped. Kept when not given.",
    )
    progress_deadline_seconds: int = Field(
        default=DEFAULT_PROGRESS_DEADLINE_SECONDS,
        ge=0,
        le=86_400,
        description="An attempt of our trainer that reports nothing for so long counts as hung and is started again. 0 for never.",
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        trainer = self.trainer
        refuse(
            FieldFault(
                field="training",
                found=None,
                expected="the configuration of our trainer",
                action="Give spec.training, or spec.trainer.image or command of another program.",
            )
            if self.training is None and trainer.image is None and not trainer.command
            else None,
            FieldFault(
                field="failurePolicy.backoff.maxSeconds",
                found=self.failure_policy.backoff.max_seconds,
                expected=f"at least baseSeconds {self.failure_policy.backoff.base_seconds}",
            )
            if self.failure_policy.backoff.max_seconds < self.failure_policy.backoff.base_seconds
            else None,
            FieldFault(
                field="progressDeadlineSeconds",
                found=self.progress_deadline_seconds,
                expected="nothing (or 0) without training: another program reports nothing",
            )
            # The default is let through: a document that was written back has it.
            if self.training is None
            and self.progress_deadline_seconds not in {0, DEFAULT_PROGRESS_DEADLINE_SECONDS}
            else None,
            self._fault_of_pattern(),
        )
        return self

    def _fault_of_pattern(self) -> FieldFault | None:
        pattern = self.checkpoints.pattern
        if pattern is None:
            return None
        if self.training is not None and not self.trainer.command:
            return FieldFault(
                field="checkpoints.pattern",
                found=pattern,
                expected="nothing for our own trainer: it keeps its checkpoints by their manifests",
            )
        if self.storage.s3 is not None:
            return FieldFault(
                field="checkpoints.pattern",
                found=pattern,
                expected="nothing beside storage.s3: only checkpoints with a manifest are kept in a bucket",
            )
        return None

    @property
    def speaks_contract(self) -> bool:
        """Whether the program is a trainer that reports and uses our exit codes."""
        return self.training is not None
