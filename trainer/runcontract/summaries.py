"""The audit trail and the results in a form that fits a line of the log.

A supervisor that cannot see the run's folder gets from here what it shows of both. The files say more: where they can be read,
they win. What is too long or too large for a line is cut, never refused, since it was our own side that wrote it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints

from runcontract.audit import Audit
from runcontract.bounds import MAX_COUNT, MAX_SECONDS, Count, ReportLine, Seconds
from runcontract.losses import Loss
from runcontract.results import Results, TargetVerdict

MAX_SAMPLE_CHARACTERS = 2000
MAX_DEVICES = 8
MAX_SEEDS = 16
_MAX_ATTEMPT = 1_000_000
_MAX_EPOCHS = 1e9
_MAX_RATE = 1e12
_DEVICE_CHARACTERS = 64

_DeviceName = Annotated[str, StringConstraints(max_length=_DEVICE_CHARACTERS)]
_SeedName = Annotated[str, StringConstraints(max_length=64)]
_Seed = Annotated[int, Field(ge=-MAX_COUNT, le=MAX_COUNT)]


class Described(ReportLine):
    """What the result depends on: the part of the audit trail that is shown beside a run."""

    event: Literal["environment"] = "environment"
    python: str = Field(max_length=200, description="Version of Python.")
    torch: str = Field(default="", max_length=64, description="Version of PyTorch.")
    cpu: str = Field(default="", max_length=200, description="Name of the processor.")
    cpu_count: Count = Field(default=0, description="Processors that the process may use.")
    devices: tuple[_DeviceName, ...] = Field(
        default=(), max_length=MAX_DEVICES, description="Names of the first accelerators."
    )
    git_commit: str | None = Field(default=None, max_length=64, description="Source.")
    image_digest: str | None = Field(default=None, max_length=200, description="Image.")
    seeds: dict[_SeedName, _Seed] = Field(
        default={}, max_length=MAX_SEEDS, description="Seeds in force."
    )
    configuration_hash: str = Field(max_length=64, description="Hash of what decides the numbers.")
    data_sha256: str = Field(max_length=64, description="Hash of the text.")
    tokenizer_sha256: str = Field(max_length=64, description="Hash of the tokenizer file.")

    @classmethod
    def of(cls, audit: Audit, *, time: datetime, step: int) -> Self:
        """The same as `audit`, as far as it fits."""
        seeds = {name[:64]: value for name, value in sorted(audit.seeds.items())}
        exact = {name: value for name, value in seeds.items() if abs(value) <= MAX_COUNT}
        return cls(
            time=time,
            attempt=min(audit.attempt, _MAX_ATTEMPT),
            step=min(step, MAX_COUNT),
            python=audit.python,
            torch=audit.packages.get("torch", "")[:64],
            cpu=audit.hardware.cpu,
            cpu_count=min(audit.hardware.cpu_count, MAX_COUNT),
            devices=tuple(
                name[:_DEVICE_CHARACTERS] for name in audit.hardware.devices[:MAX_DEVICES]
            ),
            git_commit=audit.git_commit,
            image_digest=audit.image_digest,
            seeds=dict(list(exact.items())[:MAX_SEEDS]),
            configuration_hash=audit.configuration_hash,
            data_sha256=audit.data_sha256,
            tokenizer_sha256=audit.tokenizer_sha256,
        )


class Concluded(ReportLine):
    """What came out, judged against what was wanted: `results.json` without its list of checkpoints. `step` is its `steps`."""

    event: Literal["results"] = "results"
    reason: str = Field(max_length=64, description="Why the run ended.")
    message: str = Field(max_length=1024, description="The same as a sentence with numbers.")
    exit_code: int = Field(ge=0, le=255, description="Exit code of the trainer.")
    max_steps: Count = Field(description="Steps that were ordered.")
    epochs: float = Field(ge=0, le=_MAX_EPOCHS, description="Passes over the training part.")
    tokens: Count = Field(description="Training tokens read.")
    parameters: Count = Field(description="Trained parameters.")
    training_seconds: Seconds = Field(description="Time in optimizer steps, this attempt.")
    tokens_per_second: float = Field(
        ge=0, le=_MAX_RATE, description="Training tokens a second in steps, this attempt."
    )
    final_validation: Loss | None = Field(
        default=None, description="Validation loss of the final weights."
    )
    best_validation: Loss | None = Field(default=None, description="Lowest validation loss.")
    best_step: Count | None = Field(default=None, description="Step of the lowest validation loss.")
    test: Loss | None = Field(default=None, description="Loss of the test part.")
    target: TargetVerdict | None = Field(default=None, description="The target, judged.")
    sample: str | None = Field(
        default=None,
        max_length=MAX_SAMPLE_CHARACTERS,
        description="Text that the final model wrote, shortened.",
    )

    @classmethod
    def of(cls, results: Results, *, time: datetime) -> Self:
        """The same as `results`, as far as it fits."""
        sample, best_step = results.sample, results.best_step
        return cls(
            time=time,
            attempt=min(results.attempt, _MAX_ATTEMPT),
            step=min(results.steps, MAX_COUNT),
            reason=results.reason,
            message=results.message,
            exit_code=results.exit_code,
            max_steps=min(results.max_steps, MAX_COUNT),
            epochs=min(results.epochs, _MAX_EPOCHS),
            tokens=min(results.tokens, MAX_COUNT),
            parameters=min(results.parameters, MAX_COUNT),
            training_seconds=min(results.training_seconds, MAX_SECONDS),
            tokens_per_second=min(results.tokens_per_second, _MAX_RATE),
            final_validation=results.final_validation,
            best_validation=results.best_validation,
            best_step=None if best_step is None else min(best_step, MAX_COUNT),
            test=results.test,
            target=results.target,
            sample=None if sample is None else sample[:MAX_SAMPLE_CHARACTERS],
        )
