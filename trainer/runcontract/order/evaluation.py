"""When a run looks at itself, when it stops early, and what it is to reach."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from runcontract.base import ContractModel, FieldFault, refuse
from runcontract.losses import LossUnit


class Evaluation(ContractModel):
    """Scoring of the whole validation part, every so many steps or epochs and once at the end."""

    every_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Steps between evaluations; maxSteps / 10 when neither key is given.",
    )
    every_epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Epochs between evaluations."
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Sequences scored at once. As training.batchSize when not given.",
    )

    @model_validator(mode="after")
    def _one_interval(self) -> Evaluation:
        refuse(
            FieldFault(
                field="everyEpochs",
                found=self.every_epochs,
                expected="nothing beside everySteps",
                action="Keep one of the two.",
            )
            if self.every_steps is not None and self.every_epochs is not None
            else None
        )
        return self


class EarlyStopping(ContractModel):
    """The end of a run whose validation loss no longer falls."""

    patience: int = Field(
        default=50,
        ge=1,
        le=1_000_000,
        description="Evaluations in a row without improvement after which the run ends.",
    )
    min_delta: float = Field(
        default=0.0, ge=0, le=100, description="Improvement in nats per token that counts as one."
    )


class Target(ContractModel):
    """What the run is to reach; judged by the system and recorded as met or not met."""

    metric: Literal["ValidationLoss", "TestLoss"] = Field(
        default="ValidationLoss",
        description="The best validation loss, or the test loss of the final weights.",
    )
    unit: LossUnit = Field(
        description="The unit of `atMost`. Nats per token cannot be compared across tokenizers."
    )
    at_most: float = Field(gt=0, le=100, description="The loss that meets the target.")
    stop_when_met: bool = Field(
        default=False, description="End the run at the first evaluation that meets the target."
    )


class Samples(ContractModel):
    """Text that the model writes at each evaluation and at the end, for people and for TensorBoard."""

    prompt: str = Field(
        default="\n", min_length=1, max_length=4096, description="Text to go on from."
    )
    tokens: int = Field(
        default=160, ge=0, le=4096, description="Tokens to write; 0 for no samples."
    )
    temperature: float = Field(
        default=0.8, ge=0, le=10, description="0 takes the likeliest token always."
    )
    top_k: int | None = Field(
        default=None, ge=1, le=262_144, description="Choose among the k likeliest tokens only."
    )
    top_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Choose among the likeliest tokens that hold this share together.",
    )
