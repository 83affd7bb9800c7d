"""Progress reports: one JSON line each, on standard output and in `progress.jsonl`, as the run goes on.

A closed set, told apart by `event`. Readers bound and type what they read (`parse_report` gives None for a line that is no
report): a trainer that lies or breaks can spoil its own report and nothing else.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from runcontract.bounds import MAX_LINE_BYTES, Count, ReportLine, Seconds
from runcontract.losses import Loss
from runcontract.summaries import Concluded, Described

__all__ = [
    "CHECKPOINT_FAILED",
    "CHECKPOINT_SLOW",
    "MAX_LINE_BYTES",
    "Concluded",
    "Described",
    "Evaluated",
    "Finished",
    "Report",
    "Saved",
    "Started",
    "Stepped",
    "Warned",
    "parse_report",
    "report_line",
]


CHECKPOINT_FAILED = "CheckpointFailed"
"""Reason of a `Warned` report by which a supervisor knows that a save failed; the next `Saved` says that saves succeed again."""
CHECKPOINT_SLOW = "CheckpointSlow"
"""Reason of a `Warned` report: a save has been under way for so long that the next one is late by the whole time between two."""


class Started(ReportLine):
    """The trainer has read its order and is about to take (or resume) its first step."""

    event: Literal["started"] = "started"
    max_steps: Count = Field(description="Steps of the whole run.")
    parameters: Count = Field(description="Trained parameters.")
    training_tokens: Count = Field(description="Tokens of the training part.")
    resumed_from_step: Count | None = Field(
        default=None, description="Step of the checkpoint that was loaded."
    )
    device: str = Field(max_length=200, description="What it trains on.")


class Stepped(ReportLine):
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


class Evaluated(ReportLine):
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


class Saved(ReportLine):
    """A checkpoint was committed, read back and found whole."""

    event: Literal["checkpoint"] = "checkpoint"
    name: str = Field(max_length=64, description="Folder of the checkpoint below `checkpoints/`.")
    size_bytes: Count = Field(description="Size of all its files.")
    digest: str = Field(max_length=80, description="SHA-256 of the manifest, as hex.")
    validation: Loss | None = Field(
        default=None, description="Validation loss at this step, where it was scored."
    )
    epoch: float | None = Field(
        default=None, ge=0, le=1e9, description="Passes over the training part by then."
    )
    save_seconds: Seconds = Field(description="From the copy in memory to the verified files.")
    interval_seconds: Seconds | None = Field(
        default=None,
        description="From the beginning of the planned save before it to when it was due; none for the first, and for one that was not planned.",
    )
    late_seconds: Seconds = Field(
        default=0,
        description="How much later than due it began, because the one before it was under way.",
    )
    waited_seconds: Seconds | None = Field(
        default=None,
        description="Time that training stood still for the one before it; none where that is not known.",
    )
    kept: tuple[str, ...] = Field(
        default=(), max_length=2000, description="Checkpoints that are kept after retention."
    )


class Warned(ReportLine):
    """Something is wrong that training goes on in spite of."""

    event: Literal["warning"] = "warning"
    reason: str = Field(
        max_length=64, pattern=r"^[A-Z][A-Za-z]+$", description="CamelCase word for the situation."
    )
    message: str = Field(max_length=1024, description="What happened, with numbers.")


class Finished(ReportLine):
    """The trainer leaves; the exit code tells how."""

    event: Literal["finished"] = "finished"
    exit_code: int = Field(ge=0, le=255, description="The exit code that follows.")
    reason: str = Field(max_length=64, description="CamelCase word for why it ended.")
    message: str = Field(max_length=1024, description="What happened, with numbers.")


Report = Annotated[
    Started | Described | Stepped | Evaluated | Saved | Warned | Concluded | Finished,
    Field(discriminator="event"),
]
_ADAPTER: TypeAdapter[Report] = TypeAdapter(Report)
_CUTTABLE = frozenset({"sample", "message", "kept"})
"""Fields that may be long in spite of their bounds: a control character takes six bytes, and checkpoints may be many."""


def report_line(report: Report) -> str:
    """The report as one line of JSON, without the newline; what is long in it is cut where no reader would take the line."""
    document = report.document()
    line = _line(document)
    while len(line.encode()) > MAX_LINE_BYTES:
        long = max(_CUTTABLE & document.keys(), key=lambda key: len(_line(document[key])))
        half = len(document[long]) // 2
        # Of a text the beginning tells most; of checkpoints the newest, which come last.
        document[long] = document[long][-half:] if long == "kept" else document[long][:half]
        line = _line(document)
    return line


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse_report(line: str | bytes) -> Report | None:
    """The report in `line`, or None when the line is no report."""
    raw = line.encode() if isinstance(line, str) else line
    if len(raw) > MAX_LINE_BYTES or not raw.lstrip().startswith(b"{"):
        return None
    try:
        return _ADAPTER.validate_json(raw)
    except ValidationError:
        return None
