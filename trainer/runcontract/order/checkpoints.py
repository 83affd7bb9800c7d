"""How often a run saves and what it keeps."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from runcontract.base import ContractModel, FieldFault, refuse
from runcontract.named import MAX_PATTERN_CHARACTERS, PATTERN_FORM


class Checkpoints(ContractModel):
    """Saving and retention. A checkpoint is also saved at the end, on SIGTERM and when the budget is reached."""

    every_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Steps between checkpoints; at each evaluation when none of the three intervals is given.",
    )
    every_epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Epochs between checkpoints."
    )
    every_seconds: int | None = Field(
        default=None,
        ge=1,
        le=31_536_000,
        description="Wall time between checkpoints, from the begin of one to the begin of the next.",
    )
    keep_latest: int = Field(
        default=3, ge=1, le=1000, description="Newest checkpoints that are kept."
    )
    keep_best: bool = Field(
        default=True, description="Keep also the one with the lowest validation loss."
    )
    pattern: str | None = Field(
        default=None,
        max_length=MAX_PATTERN_CHARACTERS,
        pattern=PATTERN_FORM,
        description="Names below the run's folder, such as `checkpoint-*` or `ckpt/*.pt`, that are the checkpoints of a trainer that follows no manifest. They are kept by the last whole number in their names, and nothing verifies them.",
    )
    when_deleted: Literal["Retain", "Delete"] = Field(
        default="Retain", description="What becomes of the checkpoints when the run is deleted."
    )

    @model_validator(mode="after")
    def _one_interval(self) -> Checkpoints:
        refuse(
            FieldFault(
                field="everyEpochs",
                found=self.every_epochs,
                expected="nothing beside everySteps",
                action="Keep one of the two.",
            )
            if self.every_steps is not None and self.every_epochs is not None
            else None,
            FieldFault(
                field="everySeconds",
                found=self.every_seconds,
                expected="nothing beside everySteps and everyEpochs",
                action="Keep one of them.",
            )
            if self.every_seconds is not None
            and (self.every_steps is not None or self.every_epochs is not None)
            else None,
        )
        return self
