"""Where a run's folder lives, so that another attempt on another machine can go on from its checkpoints."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from lightcompute.api.names import ObjectName
from runcontract.base import ContractModel, FieldFault, refuse
from runcontract.order import Bucket


class PersistentVolumeClaim(ContractModel):
    """A claim in the namespace that the run is placed into."""

    claim_name: ObjectName = Field(description="Name of the claim.")


class S3(Bucket):
    """A bucket that speaks S3, reachable from every cluster."""

    secret_name: ObjectName | None = Field(
        default=None,
        description="Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and perhaps AWS_SESSION_TOKEN, in the namespace that the run "
        "is placed into. The machine's own role when not given.",
    )


class Ephemeral(ContractModel):
    """The machine's own disk. Checkpoints are gone with the attempt: a restart begins at step 0."""

    size_limit: str = Field(
        default="50Gi",
        pattern=r"^[0-9]+([kMGT]|[KMGT]i)?$",
        max_length=32,
        description="Largest size.",
    )


class Storage(ContractModel):
    """One of three; ephemeral when none is given. A laptop keeps runs in its own folder whatever stands here."""

    persistent_volume_claim: PersistentVolumeClaim | None = Field(
        default=None, description="A claim that outlives the attempts."
    )
    s3: S3 | None = Field(default=None, description="A bucket, reachable from every cluster.")
    ephemeral: Ephemeral | None = Field(default=None, description="The machine's own disk.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        kinds = {
            "persistentVolumeClaim": self.persistent_volume_claim,
            "s3": self.s3,
            "ephemeral": self.ephemeral,
        }
        given = [kind for kind, value in kinds.items() if value is not None]
        refuse(
            FieldFault(field=given[1], found=given, expected=f"nothing beside {given[0]}")
            if len(given) > 1
            else None
        )
        return self
