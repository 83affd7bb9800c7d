"""What a run came to, as its trainer told it and as it is judged: results, and what they depend on."""

from __future__ import annotations

from pydantic import Field

from runcontract.base import ReportModel
from runcontract.losses import Loss
from runcontract.results import TargetVerdict

MAX_MESSAGE = 1024


class RunResults(ReportModel):
    """What came out, judged against what was wanted."""

    attempt: int | None = Field(default=None, ge=1, description="Attempt that told it.")
    reason: str = Field(max_length=64, description="Why the training ended, as the trainer says.")
    message: str = Field(max_length=MAX_MESSAGE, description="The same with numbers.")
    target_met: bool | None = Field(default=None, description="None when there is no target.")
    target: TargetVerdict | None = Field(default=None, description="The target, judged.")
    final_validation: Loss | None = Field(default=None, description="Loss of the final weights.")
    best_validation: Loss | None = Field(default=None, description="Lowest validation loss.")
    best_step: int | None = Field(default=None, ge=0, description="Step of the lowest loss.")
    test: Loss | None = Field(default=None, description="Loss of the test part.")
    steps: int = Field(ge=0, description="Steps done.")
    epochs: float | None = Field(default=None, ge=0, description="Passes over the training part.")
    tokens: int | None = Field(default=None, ge=0, description="Training tokens read.")
    parameters: int | None = Field(default=None, ge=0, description="Trained parameters.")
    training_seconds: float | None = Field(
        default=None, ge=0, description="Time in steps, last attempt."
    )
    tokens_per_second: float | None = Field(default=None, ge=0, description="Speed, last attempt.")
    sample: str | None = Field(default=None, max_length=2000, description="Text it wrote.")


class Environment(ReportModel):
    """What the result depends on, from the audit trail."""

    python: str = Field(default="", max_length=200, description="Version of Python.")
    torch: str = Field(default="", max_length=64, description="Version of PyTorch.")
    hardware: str = Field(default="", max_length=300, description="Processor and devices.")
    git_commit: str | None = Field(default=None, max_length=64, description="Source.")
    image_digest: str | None = Field(default=None, max_length=200, description="Image.")
    seeds: dict[str, int] = Field(default={}, max_length=16, description="Seeds in force.")
    configuration_hash: str = Field(default="", max_length=64, description="What decides numbers.")
    data_sha256: str = Field(default="", max_length=64, description="Hash of the text.")
    tokenizer_sha256: str = Field(default="", max_length=64, description="Hash of the tokenizer.")


class TensorBoardStatus(ReportModel):
    """Where TensorBoard is."""

    url: str = Field(max_length=500, description="Address, or the command that opens it.")
