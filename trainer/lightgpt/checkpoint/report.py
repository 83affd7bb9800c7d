"""What a verification found, as a value: the JSON of `lightgpt checkpoint verify --json`, and its text for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from runcontract.base import ReportModel
from runcontract.exit_codes import ExitCode
from runcontract.losses import Loss

MAX_LINES_PER_SEVERITY = 20


class Verdict(StrEnum):
    """The one word that counts."""

    VALID = "VALID"
    VALID_WITH_WARNINGS = "VALID WITH WARNINGS"
    INVALID = "INVALID"


class Severity(StrEnum):
    """Whether a finding makes a checkpoint unfit for use."""

    WARNING = "Warning"
    ERROR = "Error"


class Finding(ReportModel):
    """Something that a person should know of."""

    severity: Severity = Field(description="An error makes the verdict INVALID.")
    where: str = Field(description="File, tensor or field.")
    found: str = Field(description="What was found.")
    expected: str = Field(default="", description="What would be right.")


class TensorReport(ReportModel):
    """One tensor."""

    file: str = Field(description="File that holds it.")
    name: str = Field(description="Its name there.")
    dtype: str = Field(description="Type as safetensors names it.")
    shape: tuple[int, ...] = Field(description="Its shape.")
    nan: int = Field(description="Values that are not a number.")
    infinite: int = Field(description="Values that are infinite.")
    minimum: float | None = Field(default=None, description="Lowest finite value.")
    maximum: float | None = Field(default=None, description="Highest finite value.")
    all_zero: bool = Field(description="Whether every value is zero.")


class Contents(ReportModel):
    """What a training needs to go on, and whether it is there; None where a bare file cannot tell."""

    model: bool = Field(description="Weights.")
    optimizer: bool | None = Field(default=None, description="State of the optimizer.")
    scheduler: bool | None = Field(default=None, description="Place in the learning rate schedule.")
    history: bool | None = Field(default=None, description="Losses up to this step.")


class Origin(ReportModel):
    """What the manifest says of the run and the moment."""

    run_uid: str = Field(description="Run that wrote it.")
    attempt: int = Field(description="Attempt that wrote it.")
    step: int = Field(description="Optimizer steps done.")
    epoch: float = Field(description="Passes over the training part.")
    created_time: datetime = Field(description="When it was saved.")
    validation: Loss | None = Field(default=None, description="Validation loss at this step.")
    best_validation: Loss | None = Field(default=None, description="Lowest loss up to it.")


class VerificationReport(ReportModel):
    """Everything that was found about one checkpoint."""

    schema_version: Literal[1] = Field(default=1, description="Version of this form.")
    path: str = Field(description="What was verified.")
    kind: Literal["Checkpoint", "TensorFile", "ShardedModel"] = Field(description="Its layout.")
    verdict: Verdict = Field(description="VALID, VALID WITH WARNINGS or INVALID.")
    findings: tuple[Finding, ...] = Field(description="Errors first.")
    origin: Origin | None = Field(default=None, description="From the manifest, if there is one.")
    contents: Contents = Field(description="What is there.")
    hashes: Literal["Matched", "Broken", "NotRecorded"] = Field(
        description="Whether files match their recorded hashes."
    )
    shapes: Literal["AsExpected", "Different", "NotKnown"] = Field(
        description="Names and shapes of the model's tensors against its configuration."
    )
    parameters: int = Field(description="Values in the model's tensors.")
    tensors: tuple[TensorReport, ...] = Field(description="Every tensor of every file.")
    nan: int = Field(description="Values that are not a number, over all tensors.")
    infinite: int = Field(description="Infinite values, over all tensors.")
    size_bytes: int = Field(description="Bytes read.")
    seconds: float = Field(description="Time it took.")

    @property
    def exit_code(self) -> ExitCode:
        """The exit status by verdict."""
        return ExitCode.BROKEN_CHECKPOINT if self.verdict is Verdict.INVALID else ExitCode.DONE

    def text(self) -> str:
        """The report for a person, the verdict last."""
        return "\n".join(_lines(self))


def verdict_of(findings: tuple[Finding, ...]) -> Verdict:
    """The verdict that follows from what was found."""
    if any(finding.severity is Severity.ERROR for finding in findings):
        return Verdict.INVALID
    return Verdict.VALID_WITH_WARNINGS if findings else Verdict.VALID


def _lines(report: VerificationReport) -> Iterator[str]:
    yield report.path
    if report.origin:
        yield from _origin_lines(report.origin)
    broken = sum(1 for tensor in report.tensors if tensor.nan or tensor.infinite)
    yield f"  tensors      {len(report.tensors):,}, {report.parameters:,} parameters in the model"
    yield f"  shapes       {_SHAPES[report.shapes]}"
    yield f"  NaN, Inf     {report.nan:,} and {report.infinite:,} values, in {broken} of {len(report.tensors)} tensors"
    if lowest := min((t.minimum for t in report.tensors if t.minimum is not None), default=None):
        highest = max(t.maximum for t in report.tensors if t.maximum is not None)
        yield f"  values       {lowest:.4g} to {highest:.4g}"
    yield f"  hashes       {_HASHES[report.hashes]}"
    yield f"  contents     {_contents(report.contents)}"
    speed = report.size_bytes / 1e6 / max(report.seconds, 1e-6)
    yield f"  read         {report.size_bytes / 1e6:,.1f} MB in {report.seconds:.2f} s ({speed:,.0f} MB/s)"
    for severity in (Severity.ERROR, Severity.WARNING):
        found = [finding for finding in report.findings if finding.severity is severity]
        yield from (_line(finding) for finding in found[:MAX_LINES_PER_SEVERITY])
        if len(found) > MAX_LINES_PER_SEVERITY:
            yield f"  ... and {len(found) - MAX_LINES_PER_SEVERITY} more of these (--json has all)"
    yield f"{report.verdict}"


_SHAPES = {
    "AsExpected": "names and shapes are those of the configuration",
    "Different": "not those of the configuration",
    "NotKnown": "no configuration to compare with",
}
_HASHES = {
    "Matched": "every file matches its manifest",
    "Broken": "do not match the manifest",
    "NotRecorded": "none recorded",
}


def _origin_lines(origin: Origin) -> Iterator[str]:
    yield (
        f"  step         {origin.step:,} (epoch {origin.epoch:.2f}), attempt {origin.attempt} of run "
        f"{origin.run_uid or 'without id'}, saved {origin.created_time:%Y-%m-%d %H:%M:%S %Z}"
    )
    yield f"  validation   {_loss(origin.validation)}"
    yield f"  best so far  {_loss(origin.best_validation)}"


def _loss(loss: Loss | None) -> str:
    if loss is None:
        return "not scored"
    return (
        f"{loss.nats_per_token:.4f} nats/token, {loss.nats_per_character:.4f} nats/character, "
        f"{loss.bits_per_byte:.4f} bits/byte"
    )


def _contents(contents: Contents) -> str:
    known = [(name, there) for name, there in contents if there is not None]
    return ", ".join(f"{name} {'present' if there else 'MISSING'}" for name, there in known)


def _line(finding: Finding) -> str:
    expected = f"; expected {finding.expected}" if finding.expected else ""
    return f"  {finding.severity.upper()}: {finding.where}: found {finding.found}{expected}"
