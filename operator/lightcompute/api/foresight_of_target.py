"""Parts of a status about the target of a run: the losses that were reported, and whether they are likely to come down to it in time."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runcontract.base import ReportModel
from runcontract.losses import LossUnit

MAX_POINTS = 32

TargetLikelihood = Literal["Met", "Likely", "Unclear", "Unlikely", "TooEarly"]


class ValidationPoint(ReportModel):
    """The validation loss at a step."""

    step: int = Field(ge=0, description="Optimizer steps done.")
    loss: float = Field(ge=0, description="Loss in the unit of the curve.")


class ValidationCurve(ReportModel):
    """Validation losses of the run, thinned out: the first, the lowest, the newest, and others evenly between."""

    unit: LossUnit = Field(description="Unit of its losses: that of the target.")
    attempt: int = Field(ge=1, description="Attempt that told the newest of them.")
    points: tuple[ValidationPoint, ...] = Field(
        default=(), max_length=MAX_POINTS, description="Losses, by rising steps."
    )


class TargetForecast(ReportModel):
    """Whether the loss that spec.training.target names is likely to be reached before the run ends or the cap ends it. Extrapolated."""

    likelihood: TargetLikelihood = Field(
        description="Met already; Likely, where the whole range meets the target; Unlikely, where nothing of it does; Unclear between; TooEarly while nothing can be said."
    )
    unit: LossUnit = Field(description="Unit of the losses: that of the target.")
    step: int | None = Field(
        default=None, ge=0, description="Step of the last evaluation that there will be time for."
    )
    lowest_loss: float | None = Field(
        default=None, ge=0, description="The best validation loss by then, if all goes well."
    )
    highest_loss: float | None = Field(
        default=None, ge=0, description="The best validation loss by then, if little more comes."
    )
    message: str = Field(default="", max_length=512, description="The same in words.")
