"""The audit trail (`audit.json`): everything needed to say how a result came to be, and to run it again."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from runcontract.base import ReportModel


class Hardware(ReportModel):
    """The machine, as far as the numbers depend on it."""

    machine: str = Field(max_length=64, description="Architecture, such as x86_64.")
    cpu: str = Field(max_length=200, description="Name of the processor.")
    cpu_count: int = Field(ge=1, description="Processors that the process may use.")
    threads: int = Field(ge=1, description="Threads that PyTorch computes with.")
    memory_bytes: int = Field(ge=0, description="Memory of the machine or of the container.")
    devices: tuple[str, ...] = Field(
        default=(), max_length=64, description="Names of the accelerators."
    )
    instruction_sets: tuple[str, ...] = Field(
        default=(), max_length=64, description="Vector extensions that PyTorch reports."
    )


class Audit(ReportModel):
    """Versions, hardware, source, hashes and seeds of one attempt."""

    schema_version: Literal[1] = Field(default=1, description="Version of this form.")
    run_name: str = Field(max_length=64, description="Name of the run.")
    run_uid: str = Field(max_length=64, description="Unique id of the run.")
    attempt: int = Field(ge=1, description="Number of the attempt.")
    started_time: datetime = Field(description="Start of the attempt.")
    command: tuple[str, ...] = Field(max_length=256, description="Arguments of the process.")
    packages: dict[str, str] = Field(
        description="Version of every installed Python package that training uses."
    )
    python: str = Field(max_length=200, description="Version of Python.")
    platform: str = Field(max_length=300, description="Operating system and C library.")
    hardware: Hardware = Field(description="The machine.")
    git_commit: str | None = Field(
        default=None,
        max_length=64,
        description="Commit of the source, with `-dirty` when it was changed; none outside a checkout.",
    )
    image_digest: str | None = Field(
        default=None,
        max_length=200,
        description="Digest of the container image, where the supervisor told it.",
    )
    seeds: dict[str, int] = Field(
        description="PYTHONHASHSEED, GLOBAL_SEED and the order's seed, as in force."
    )
    environment: dict[str, str] = Field(
        description="Variables that change numbers (threads, allocator, determinism)."
    )
    deterministic: bool = Field(description="Whether PyTorch was held to deterministic algorithms.")
    data_root: str | None = Field(
        default=None,
        max_length=4096,
        description="Folder that relative paths of data were read from.",
    )
    order_sha256: str = Field(max_length=64, description="Hash of order.yaml.")
    configuration_hash: str = Field(max_length=64, description="Hash of what decides the numbers.")
    data_sha256: str = Field(max_length=64, description="Hash of the text.")
    tokenizer_sha256: str = Field(max_length=64, description="Hash of the tokenizer file.")
    training_tokens: int = Field(ge=0, description="Tokens of the training part.")
    validation_tokens: int = Field(ge=0, description="Tokens of the validation part.")
