"""The checkpoint manifest: the file whose presence commits a checkpoint, and which tells whether the rest is whole.

This is the form and its rules; writing, reading back and loading are the trainer's (`lightgpt.checkpoint`).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, field_validator

from runcontract.base import ReportModel
from runcontract.losses import Loss

MANIFEST = "manifest.json"
MODEL_FILE = "model.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "state.json"

Sha256 = str


class ManifestFile(ReportModel):
    """One file of the checkpoint."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        description="File name in the checkpoint's folder; no path.",
    )
    size_bytes: int = Field(ge=0, le=2**60, description="Size of the file.")
    sha256: Sha256 = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the content, as hex.")


class Manifest(ReportModel):
    """What a checkpoint is, of which run, and the hash of every file in it."""

    schema_version: Literal[1] = Field(default=1, description="Version of this form.")
    run_uid: str = Field(max_length=64, description="Unique id of the run that wrote it.")
    attempt: int = Field(
        ge=1,
        le=1_000_000,
        description="Attempt that wrote it; a lower attempt may not write after it.",
    )
    step: int = Field(ge=0, le=2**53, description="Optimizer steps done.")
    epoch: float = Field(ge=0, le=1e9, description="Passes over the training part.")
    tokens: int = Field(ge=0, le=2**53, description="Training tokens read.")
    created_time: datetime = Field(description="When the save began, with its time zone.")
    parent_step: int | None = Field(
        default=None, ge=0, description="Step of the checkpoint that this attempt resumed from."
    )
    configuration_hash: Sha256 = Field(
        description="`runcontract.order.order.configuration_hash` of the training."
    )
    tokenizer_sha256: Sha256 = Field(description="Hash of the tokenizer file.")
    data_sha256: Sha256 = Field(description="Hash of the text that the run reads.")
    parameters: int = Field(ge=0, description="Trained parameters.")
    model: dict[str, Any] = Field(
        description="`training.model` as resolved, with `vocabSize`: enough to build the model again."
    )
    validation: Loss | None = Field(
        default=None, description="Validation loss at this step, where it was scored."
    )
    best_validation: Loss | None = Field(
        default=None, description="Lowest validation loss up to this step."
    )
    world_size: int = Field(default=1, ge=1, description="Processes that trained.")
    torch_version: str = Field(default="", max_length=64, description="PyTorch that wrote it.")
    files: tuple[ManifestFile, ...] = Field(
        min_length=1,
        max_length=10_000,
        description="Every file of the checkpoint but the manifest.",
    )

    @field_validator("files")
    @classmethod
    def _names_differ(cls, files: tuple[ManifestFile, ...]) -> tuple[ManifestFile, ...]:
        if len({file.name for file in files}) != len(files):
            raise ValueError("a file name stands twice")
        return files

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes for file in self.files)


_NAME = re.compile(r"step-(\d{8,12})")


def checkpoint_name(step: int) -> str:
    """Folder name of the checkpoint at `step`; sorts as the steps do."""
    return f"step-{step:08d}"


def step_of(name: str) -> int | None:
    """The step in a checkpoint's folder name, or None when `name` is not one (temporary, tombstone, quarantine)."""
    match = _NAME.fullmatch(name)
    return int(match.group(1)) if match else None
