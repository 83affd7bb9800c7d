"""How often a run saves and what it keeps."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from runcontract.base import ContractModel, FieldFault, refuse


class Checkpoints(ContractModel):
    """Saving and retention. A checkpoint is also saved at the end, on SIGTERM and when the budget is reached."""

    every_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Steps between checkpoints; at each evaluation when neither key is given.",
    )
    every_epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Epochs between checkpoints."
    )
    keep_latest: int = Field(
        default=3, ge=1, le=1000, description="Newest checkpoints that are kept."
    )
    keep_best: bool = Field(
        default=True, description="Keep also the one with the lowest validation loss."
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
            else None
        )
        return self
