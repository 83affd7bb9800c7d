"""The checkpoint manifest: the file whose presence commits a checkpoint, and which tells whether the rest is whole.

This is the form and its rules; writing, reading back and loading are the trainer's (`lightgpt.checkpoint`).

The manifest is sealed: it holds the hash of its own bytes, so that an edited one is as broken as an edited weight.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from runcontract.base import ReportModel
from runcontract.losses import Loss

MANIFEST = "manifest.json"
MODEL_FILE = "model.safetensors"
OPTIMIZER_FILE = "optimizer.safetensors"
STATE_FILE = "state.json"

PIN_SUFFIX = ".pinned"
"""`step-00000100.pinned`, an empty file beside the checkpoint's folder, keeps it from retention."""
MAX_MANIFEST_BYTES = 16 << 20

Sha256 = str
_UNSEALED = "0" * 64


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
    training: dict[str, Any] = Field(
        default_factory=dict,
        description="`training` as resolved, so that a difference can be told by its field.",
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
    manifest_sha256: Sha256 = Field(
        default=_UNSEALED,
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the manifest's bytes with 64 zeros in this place.",
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


def sealed_bytes(manifest: Manifest) -> bytes:
    """The manifest as the file's bytes, with its own hash in it."""
    document = manifest.document() | {"manifestSha256": _UNSEALED}
    unsealed = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
    return _with_seal(unsealed, old=_UNSEALED, new=hashlib.sha256(unsealed).hexdigest())


def parse_manifest(raw: bytes) -> Manifest:
    """The manifest in a file's bytes; raises ValueError, saying what is wrong, when it is not exactly as it was written."""
    if len(raw) > MAX_MANIFEST_BYTES:
        raise ValueError(f"{len(raw)} bytes, more than the {MAX_MANIFEST_BYTES} of any manifest")
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in detail["loc"])
        raise ValueError(f"not a manifest: {f'{path}: ' if path else ''}{detail['msg']}") from error
    unsealed = _with_seal(raw, old=manifest.manifest_sha256, new=_UNSEALED)
    if hashlib.sha256(unsealed).hexdigest() != manifest.manifest_sha256:
        raise ValueError("its content does not match its own hash: it was edited or damaged")
    return manifest


def _with_seal(raw: bytes, *, old: str, new: str) -> bytes:
    # The seal stands last, so nothing before it can be taken for it.
    head, key, tail = raw.rpartition(f'"manifestSha256": "{old}"'.encode())
    return head + key.replace(old.encode(), new.encode()) + tail


_NAME = re.compile(r"step-([0-9]{8,12})")


def checkpoint_name(step: int) -> str:
    """Folder name of the checkpoint at `step`; sorts as the steps do."""
    return f"step-{step:08d}"


def step_of(name: str) -> int | None:
    """The step in a checkpoint's folder name, or None when `name` is not one (temporary, tombstone, quarantine)."""
    match = _NAME.fullmatch(name)
    return int(match.group(1)) if match else None
