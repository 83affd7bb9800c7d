"""Progress reports: one JSON line each, on standard output and in `progress.jsonl`, as the run goes on.

A closed set, told apart by `event`. Readers bound and type what they read (`parse_report` gives None for a line that is no
report): a trainer that lies or breaks can spoil its own report and nothing else.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from runcontract.base import ReportModel
from runcontract.losses import Loss

MAX_LINE_BYTES = 16_384

Count = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, le=1e10)]


class _Report(ReportModel):
    time: datetime = Field(description="When the trainer wrote the report, with its time zone.")
    attempt: int = Field(ge=1, le=1_000_000, description="Number of the attempt.")
    step: Count = Field(description="Optimizer steps done.")


class Started(_Report):
    """The trainer has read its order and is about to take (or resume) its first step."""

    event: Literal["started"] = "started"
    max_steps: Count = Field(description="Steps of the whole run.")
    parameters: Count = Field(description="Trained parameters.")
    training_tokens: Count = Field(description="Tokens of the training part.")
    resumed_from_step: Count | None = Field(
        default=None, description="Step of the checkpoint that was loaded."
    )
    device: str = Field(max_length=200, description="What it trains on.")


class Stepped(_Report):
    """Steps were done; written at a steady pace, not for each step."""

    event: Literal["step"] = "step"
    max_steps: Count = Field(description="Steps of the whole run.")
    epoch: float = Field(ge=0, le=1e9, description="Passes over the training part, with fractions.")
    tokens: Count = Field(description="Training tokens read so far.")
    training_loss: float = Field(
        ge=0, le=1e6, description="Loss of the newest step in nats per token."
    )
    learning_rate: float = Field(ge=0, le=1e3, description="Learning rate of the newest step.")
    gradient_norm: float = Field(
        ge=0, le=1e12, description="Global gradient norm of the newest step, before clipping."
    )
    tokens_per_second: float = Field(
        ge=0, le=1e12, description="Training tokens a second since the report before."
    )
    remaining_seconds: Seconds | None = Field(
        default=None, description="Estimated time to the end."
    )


class Evaluated(_Report):
    """The validation part was scored."""

    event: Literal["evaluation"] = "evaluation"
    validation: Loss = Field(description="Loss over the whole validation part.")
    best: bool = Field(description="Whether it is the lowest so far.")
    training_loss: float = Field(
        ge=0,
        le=1e6,
        description="Mean training loss since the evaluation before, in nats per token.",
    )
    sample: str | None = Field(
        default=None, max_length=4000, description="Text that the model wrote, shortened."
    )


class Saved(_Report):
    """A checkpoint was committed, read back and found whole."""

    event: Literal["checkpoint"] = "checkpoint"
    name: str = Field(max_length=64, description="Folder of the checkpoint below `checkpoints/`.")
    size_bytes: Count = Field(description="Size of all its files.")
    digest: str = Field(max_length=80, description="SHA-256 of the manifest, as hex.")
    validation: Loss | None = Field(
        default=None, description="Validation loss at this step, where it was scored."
    )
    save_seconds: Seconds = Field(description="From the copy in memory to the verified files.")
    kept: tuple[str, ...] = Field(
        default=(), max_length=2000, description="Checkpoints that are kept after retention."
    )


class Warned(_Report):
    """Something is wrong that training goes on in spite of."""

    event: Literal["warning"] = "warning"
    reason: str = Field(
        max_length=64, pattern=r"^[A-Z][A-Za-z]+$", description="CamelCase word for the situation."
    )
    message: str = Field(max_length=1024, description="What happened, with numbers.")


class Finished(_Report):
    """The trainer leaves; the exit code tells how."""

    event: Literal["finished"] = "finished"
    exit_code: int = Field(ge=0, le=255, description="The exit code that follows.")
    reason: str = Field(max_length=64, description="CamelCase word for why it ended.")
    message: str = Field(max_length=1024, description="What happened, with numbers.")


Report = Annotated[
    Started | Stepped | Evaluated | Saved | Warned | Finished,
    Field(discriminator="event"),
]
_ADAPTER: TypeAdapter[Report] = TypeAdapter(Report)


def report_line(report: Report) -> str:
    """The report as one line of JSON, without the newline."""
    return json.dumps(report.document(), ensure_ascii=False, separators=(",", ":"))


def parse_report(line: str | bytes) -> Report | None:
    """The report in `line`, or None when the line is no report."""
    raw = line.encode() if isinstance(line, str) else line
    if len(raw) > MAX_LINE_BYTES or not raw.lstrip().startswith(b"{"):
        return None
    try:
        return _ADAPTER.validate_json(raw)
    except ValidationError:
        return None
