"""How large anything in a report may be: what a supervisor stores of it has bounds, whoever wrote the report."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from runcontract.base import ReportModel

MAX_LINE_BYTES = 16_384
"""Size of a report as a line of JSON."""
MAX_COUNT = 2**53
"""Whole numbers up to here are exact in every reader of JSON."""
MAX_SECONDS = 1e10

Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]


class ReportLine(ReportModel):
    """What every report says of itself."""

    time: datetime = Field(description="When the trainer wrote the report, with its time zone.")
    attempt: int = Field(ge=1, le=1_000_000, description="Number of the attempt.")
    step: Count = Field(description="Optimizer steps done.")
