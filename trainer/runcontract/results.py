"""What a run leaves behind when it ends: results, the audit trail, and the short message for whoever supervised it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from runcontract.base import ReportModel
from runcontract.losses import Loss, LossUnit

MAX_TERMINATION_BYTES = 4096


class TargetVerdict(ReportModel):
    """The target, judged."""

    metric: str = Field(max_length=64, description="What was judged: ValidationLoss or TestLoss.")
    unit: LossUnit = Field(description="Unit of both numbers.")
    at_most: float = Field(description="The loss that was to be reached.")
    reached: float | None = Field(
        default=None, description="The loss that was reached; none when nothing was scored."
    )
    met: bool = Field(description="Whether it is at most the target.")


class TokenizerFacts(ReportModel):
    """What a loss per character depends on."""

    type: str = Field(max_length=32, description="BPE, Unigram, Byte or Character.")
    vocab_size: int = Field(ge=1, description="Entries of the vocabulary.")
    sha256: str = Field(max_length=64, description="Hash of the tokenizer file.")
    lossless: bool = Field(
        description="Whether encoding and decoding gave back every character of the whole text."
    )
    trained_on_training_part_only: bool | None = Field(
        default=None,
        description="False when it saw validation text; none for a file from elsewhere, of which that is not known.",
    )


class KeptCheckpoint(ReportModel):
    """A checkpoint in the run's folder when it ended."""

    name: str = Field(max_length=64, description="Folder below `checkpoints/`.")
    step: int = Field(ge=0, description="Optimizer steps done.")
    size_bytes: int = Field(ge=0, description="Size of its files.")
    digest: str = Field(max_length=64, description="SHA-256 of its manifest.")
    epoch: float | None = Field(default=None, ge=0, description="Passes over the training part.")
    saved_time: datetime | None = Field(default=None, description="When it was saved.")
    verified: bool = Field(description="Whether its files were read back and matched.")
    verdict: Literal["Valid", "ValidWithWarnings", "Invalid", "Unreadable"] | None = Field(
        default=None,
        description="What a verification of its tensors said last; none where nobody asked for one.",
    )
    validation: Loss | None = Field(
        default=None, description="Validation loss at this step, where it was scored."
    )
    kept_because: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        default=(), max_length=8, description="Reasons of the retention rule."
    )


EndReason = Literal[
    "MaxStepsReached", "EarlyStopped", "TargetMet", "BudgetReached", "Preempted", "Diverged",
    "ConfigurationFault", "DataFault", "BrokenCheckpoint", "StorageFault", "InternalError",
]  # fmt: skip


class Results(ReportModel):
    """`results.json`: what came out, judged against what was wanted."""

    schema_version: Literal[1] = Field(default=1, description="Version of this form.")
    reason: EndReason = Field(description="Why the run ended.")
    message: str = Field(max_length=1024, description="The same as a sentence with numbers.")
    exit_code: int = Field(ge=0, le=255, description="Exit code of the trainer.")
    attempt: int = Field(ge=1, description="Attempt that wrote this.")
    steps: int = Field(ge=0, description="Optimizer steps done, over all attempts.")
    max_steps: int = Field(ge=0, description="Steps that were ordered.")
    epochs: float = Field(ge=0, description="Passes over the training part.")
    tokens: int = Field(ge=0, description="Training tokens read.")
    parameters: int = Field(ge=0, description="Trained parameters.")
    started_time: datetime = Field(description="Start of this attempt.")
    finished_time: datetime = Field(description="End of this attempt.")
    training_seconds: float = Field(ge=0, description="Time in optimizer steps, this attempt.")
    tokens_per_second: float = Field(
        ge=0, description="Training tokens a second in steps, this attempt."
    )
    final_training_loss: float | None = Field(
        default=None, description="Mean of the last steps' losses, nats per token."
    )
    final_validation: Loss | None = Field(
        default=None, description="Validation loss of the final weights."
    )
    best_validation: Loss | None = Field(default=None, description="Lowest validation loss.")
    best_step: int | None = Field(
        default=None, ge=0, description="Step of the lowest validation loss."
    )
    test: Loss | None = Field(
        default=None,
        description="Loss of the test part, scored once at the end with the best weights that are kept.",
    )
    target: TargetVerdict | None = Field(
        default=None, description="The target, judged; none when the order names no target."
    )
    tokenizer: TokenizerFacts | None = Field(
        default=None, description="The tokenizer behind the losses."
    )
    sample: str | None = Field(
        default=None, max_length=8000, description="Text that the final model wrote."
    )
    checkpoints: tuple[KeptCheckpoint, ...] = Field(
        default=(), max_length=2000, description="Checkpoints that were kept."
    )
    peak_memory_bytes: int | None = Field(
        default=None,
        ge=0,
        description="Largest resident memory of the process, or on a GPU of its allocator.",
    )


class TerminationMessage(ReportModel):
    """The last word to the supervisor, small enough for a container's termination message."""

    exit_code: int = Field(ge=0, le=255, description="Exit code of the trainer.")
    reason: str = Field(max_length=64, description="Why it ended, as in results.")
    message: str = Field(max_length=1024, description="The same as a sentence with numbers.")
    step: int = Field(default=0, ge=0, description="Optimizer steps done.")
    final_validation: Loss | None = Field(
        default=None, description="Validation loss of the final weights."
    )
    best_validation: Loss | None = Field(default=None, description="Lowest validation loss.")
    target: TargetVerdict | None = Field(default=None, description="The target, judged.")

    def text(self) -> str:
        """One JSON document of at most 4096 bytes; the message is cut where it would not fit."""
        document = self.document()
        text = json.dumps(document, ensure_ascii=False)
        while len(text.encode()) > MAX_TERMINATION_BYTES:
            document["message"] = document["message"][: len(document["message"]) // 2]
            text = json.dumps(document, ensure_ascii=False)
        return text
