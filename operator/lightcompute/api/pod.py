"""Settings of the pod that a run may ask for: a closed list, since a free pod template is a way to any right in the cluster.

Not among them, on purpose: service accounts, security contexts, host paths, host networks, further containers. On a laptop
there is no pod, and all of this is read, checked and left alone.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from lightcompute.api.names import LabelKey, LabelValue, ObjectName
from runcontract.base import ContractModel, FieldFault, refuse

PullPolicy = Literal["Always", "IfNotPresent", "Never"]
MountPath = Annotated[
    str, StringConstraints(pattern=r"^(/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+$", max_length=256)
]
"""An absolute path without `..`, doubled or closing slashes, colons and spaces."""
VolumeName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$", max_length=40)
]
"""A DNS label short enough for the operator to put a word of its own before it."""

TAKEN_FOLDERS = (
    "/runs",
    "/tmp",  # noqa: S108 - a folder in the container, not on this machine
    "/run/lightcompute",
    "/var/run/lightcompute",
    "/dev",
    "/proc",
    "/sys",
)
"""Folders of the container that the operator or the container runtime mounts."""


class Toleration(ContractModel):
    """A taint of nodes that pods put up with, as in a pod."""

    key: LabelKey | None = Field(
        default=None,
        description="Key of the taint. Every key when not given, with operator Exists.",
    )
    operator: Literal["Exists", "Equal"] = Field(
        default="Equal",
        description="Whether the key is enough, or the value must be equal as well.",
    )
    value: LabelValue | None = Field(
        default=None, description="Value of the taint, with operator Equal."
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint. Every effect when not given."
    )
    toleration_seconds: int | None = Field(
        default=None,
        ge=0,
        le=31_536_000,
        description="How long a taint with effect NoExecute is put up with. For ever when not given.",
    )

    @model_validator(mode="after")
    def _as_in_a_pod(self) -> Toleration:
        refuse(
            FieldFault(field="operator", found=self.operator, expected="Exists, as no key is given")
            if self.key is None and self.operator != "Exists"
            else None,
            FieldFault(field="value", found=self.value, expected="nothing with operator Exists")
            if self.operator == "Exists" and self.value
            else None,
            FieldFault(
                field="tolerationSeconds",
                found=self.toleration_seconds,
                expected="nothing but with effect NoExecute",
            )
            if self.toleration_seconds is not None and self.effect != "NoExecute"
            else None,
        )
        return self


class PullSecret(ContractModel):
    """A Secret with the credentials of an image registry."""

    name: ObjectName = Field(
        description="Name of the Secret, in the namespace that the run is placed into."
    )


class ClaimVolume(ContractModel):
    """A claim that the trainer sees as a folder: data sets, tokenizers, models."""

    name: VolumeName = Field(description="Name of the volume, each once in a run.")
    claim_name: ObjectName = Field(
        description="Name of the PersistentVolumeClaim, in the namespace that the run is placed into."
    )
    mount_path: MountPath = Field(
        description="Folder of the container where it is seen, such as /data. Each once; not /runs, /tmp or a folder of the system."
    )
    read_only: bool = Field(default=True, description="Whether the trainer may only read it.")

    @model_validator(mode="after")
    def _free_folder(self) -> ClaimVolume:
        taken = next(
            (folder for folder in TAKEN_FOLDERS if _overlap(folder, self.mount_path)), None
        )
        refuse(
            FieldFault(
                field="mountPath",
                found=self.mount_path,
                expected=f"a folder that neither holds {taken} nor lies in it",
                action="Mount it elsewhere, such as at /data.",
            )
            if taken is not None
            else None
        )
        return self


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
