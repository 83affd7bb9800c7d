"""What is done to a run's checkpoints while nothing trains, and how it is told: the last word of an upkeep pod.

Small enough for a container's termination message, so whoever started it needs no log and no file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from runcontract.base import ReportModel
from runcontract.results import MAX_TERMINATION_BYTES

MOST_TOLD = 24
"""Checkpoints that a report tells of, the newest."""


class UpkeepTask(StrEnum):
    """What is to be done."""

    VERIFY = "Verify"
    PRUNE = "Prune"
    DELETE = "Delete"


CheckpointVerdict = Literal["Valid", "ValidWithWarnings", "Invalid", "Unreadable"]


class TendedCheckpoint(ReportModel):
    """What was found of one checkpoint, and what became of it."""

    step: int = Field(ge=0, description="Optimizer steps done.")
    verdict: CheckpointVerdict | None = Field(
        default=None, description="What the verification says; none where it was not asked for."
    )
    deleted: bool = Field(default=False, description="Whether it was deleted.")
    found: Annotated[str, Field(max_length=120)] = Field(
        default="", description="The first thing that is wrong with it."
    )


class UpkeepReport(ReportModel):
    """The outcome."""

    task: UpkeepTask = Field(description="What was done.")
    done: bool = Field(description="Whether it was done to its end.")
    message: str = Field(max_length=1024, description="The same as a sentence with numbers.")
    checkpoints: tuple[TendedCheckpoint, ...] = Field(
        default=(), max_length=MOST_TOLD, description="The newest checkpoints, oldest first."
    )

    def text(self) -> str:
        """One JSON document of at most 4096 bytes; the oldest checkpoints are left out where it would not fit."""
        report = self
        while (
            len((text := report.model_dump_json(by_alias=True, exclude_defaults=True)).encode())
            > MAX_TERMINATION_BYTES
        ):
            if report.checkpoints:
                report = report.model_copy(update={"checkpoints": report.checkpoints[1:]})
            else:
                report = report.model_copy(
                    update={"message": report.message[: len(report.message) // 2]}
                )
        return text


def read_upkeep_report(text: str) -> UpkeepReport | None:
    """The report in a termination message; None when it is none."""
    try:
        return UpkeepReport.model_validate_json(text)
    except ValueError:
        return None
