"""What is run: an image, a command, how many processes, and what they may use.

The default is our trainer; any image works, with the same placement, budget and status. What a run may ask of its pod stands
in `pod`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from lightcompute.api.names import DataKey, LabelKey, LabelValue, ObjectName, twice
from lightcompute.api.pod import ClaimVolume, PullPolicy, PullSecret, Toleration
from runcontract import environment
from runcontract.base import ContractModel, FieldFault, refuse

Argument = Annotated[str, StringConstraints(max_length=4096)]
Quantity = Annotated[
    str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i)?$", max_length=32)
]
ResourceName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9A-Z./_-]+$", min_length=1, max_length=128)
]

OPERATOR_VARIABLES = (
    environment.ATTEMPT,
    environment.STOP_AFTER_SECONDS,
    environment.TERMINATION_LOG,
    environment.RUN_UID,
    environment.ORDER,
    environment.OUTPUT_FOLDER,
    environment.REQUESTS,
    environment.S3_CREDENTIALS,
    environment.IMAGE_DIGEST,
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "JOB_COMPLETION_INDEX",
)
"""Variables that are set for each attempt, and so are nobody else's."""


class SecretKey(ContractModel):
    """One key of a Secret in the namespace that the run is placed into."""

    name: ObjectName = Field(description="Name of the Secret.")
    key: DataKey = Field(description="Key in the Secret.")


class ValueSource(ContractModel):
    """A value that stands elsewhere, so that no document holds it."""

    secret_key_ref: SecretKey = Field(description="Only a cluster has Secrets.")


class Variable(ContractModel):
    """One environment variable of the trainer."""

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$",
        max_length=128,
        description="Name of the variable, each once; not one that the operator sets for each attempt.",
    )
    value: str | None = Field(default=None, max_length=32_768, description="Its value, as text.")
    value_from: ValueSource | None = Field(
        default=None, description="Where its value comes from, instead of `value`."
    )

    @model_validator(mode="after")
    def _one_value(self) -> Variable:
        refuse(
            FieldFault(
                field="value",
                found=self.value,
                expected="nothing beside valueFrom",
                action="Keep one of the two.",
            )
            if self.value is not None and self.value_from is not None
            else None,
            FieldFault(
                field="name",
                found=self.name,
                expected="a name that the operator does not set itself for each attempt",
            )
            if self.name in OPERATOR_VARIABLES
            else None,
        )
        return self


class Resources(ContractModel):
    """Requests and limits as in Kubernetes; GPUs are `nvidia.com/gpu` and default to numProcPerNode."""

    requests: dict[ResourceName, Quantity] = Field(
        default={}, max_length=16, description="What each node must have free."
    )
    limits: dict[ResourceName, Quantity] = Field(
        default={}, max_length=16, description="What each node may use at most."
    )


class Trainer(ContractModel):
    """The program that trains, and its processes. Not given: our trainer, one process."""

    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=500,
        description="Container image. Not used on a laptop. Our trainer's when not given.",
    )
    command: tuple[Argument, ...] = Field(
        default=(), max_length=64, description="Program to run instead of the image's own."
    )
    args: tuple[Argument, ...] = Field(
        default=(), max_length=256, description="Arguments of the program."
    )
    env: tuple[Variable, ...] = Field(
        default=(), max_length=128, description="Environment variables."
    )
    num_nodes: int = Field(
        default=1, ge=1, le=1024, description="Machines that train together, all in one pool."
    )
    num_proc_per_node: int = Field(
        default=1, ge=1, le=64, description="Processes on each machine, one for each GPU."
    )
    resources_per_node: Resources = Field(
        default=Resources(), description="Processor, memory and devices of each machine."
    )

    node_selector: dict[LabelKey, LabelValue] = Field(
        default={},
        max_length=16,
        description="Labels that the nodes must have, besides those of the pool. Does nothing on a laptop.",
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(),
        max_length=16,
        description="Taints of nodes that the run puts up with, besides those of the pool. Does nothing on a laptop.",
    )
    image_pull_secrets: tuple[PullSecret, ...] = Field(
        default=(),
        max_length=8,
        description="Secrets to pull the image with. Does nothing on a laptop.",
    )
    image_pull_policy: PullPolicy | None = Field(
        default=None,
        description="When the image is pulled; as Kubernetes decides when not given: Always with the tag latest, else IfNotPresent. Does nothing on a laptop.",
    )
    volumes: tuple[ClaimVolume, ...] = Field(
        default=(),
        max_length=16,
        description="Claims that the trainer sees as folders. Does nothing on a laptop.",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Trainer:
        lists = {
            "env": [variable.name for variable in self.env],
            "imagePullSecrets": [secret.name for secret in self.image_pull_secrets],
            "volumes": [volume.name for volume in self.volumes],
        }
        paths = [volume.mount_path for volume in self.volumes]
        refuse(
            *(
                FieldFault(field=field, found=twice(names), expected="each name once")
                for field, names in lists.items()
                if twice(names) is not None
            ),
            FieldFault(field="volumes", found=twice(paths), expected="each mountPath once")
            if twice(paths) is not None
            else None,
        )
        return self

    @property
    def devices(self) -> int:
        """GPUs (or processes, where there is none) of the whole run."""
        return self.num_nodes * self.num_proc_per_node
