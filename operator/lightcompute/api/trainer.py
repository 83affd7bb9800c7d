"""What is run: an image, a command, how many processes, and what they may use.

The default is our trainer; any image works, with the same placement, budget and status. Settings of the pod are this closed
list, never a free pod template.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from runcontract import environment
from runcontract.base import ContractModel, FieldFault, refuse

Argument = Annotated[str, StringConstraints(max_length=4096)]
Quantity = Annotated[
    str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?([numkMGTPE]|[KMGTPE]i)?$", max_length=32)
]
ResourceName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9A-Z./_-]+$", min_length=1, max_length=128)
]

_OURS = frozenset(
    {environment.ATTEMPT, environment.STOP_AFTER_SECONDS, environment.TERMINATION_LOG}
)


class SecretKey(ContractModel):
    """One key of a Secret in the run's namespace."""

    name: str = Field(min_length=1, max_length=253, description="Name of the Secret.")
    key: str = Field(min_length=1, max_length=253, description="Key in the Secret.")


class ValueSource(ContractModel):
    """Where the value of a variable comes from."""

    secret_key_ref: SecretKey = Field(description="A key of a Secret. Only a cluster has Secrets.")


class Variable(ContractModel):
    """One environment variable of the trainer."""

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", description="Name of the variable."
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
            if self.name in _OURS
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

    @model_validator(mode="after")
    def _names_differ(self) -> Trainer:
        names = [variable.name for variable in self.env]
        twice = next((name for name in names if names.count(name) > 1), None)
        refuse(
            FieldFault(field="env", found=twice, expected="each name once")
            if twice is not None
            else None
        )
        return self

    @property
    def devices(self) -> int:
        """GPUs (or processes, where there is none) of the whole run."""
        return self.num_nodes * self.num_proc_per_node
