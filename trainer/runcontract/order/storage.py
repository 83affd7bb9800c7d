"""Where a trainer keeps what must outlive its machine, beside the folder that it is given."""

from __future__ import annotations

from pydantic import Field

from runcontract.base import ContractModel


class Bucket(ContractModel):
    """A bucket that speaks S3. Who may use it is told by the environment, never here."""

    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        max_length=63,
        description="Name of the bucket.",
    )
    prefix: str = Field(
        default="",
        max_length=512,
        pattern=r"^([A-Za-z0-9_=.-]+/)*([A-Za-z0-9_=.-]+)?$",
        description="Start of every key, such as `runs/`.",
    )
    endpoint: str | None = Field(
        default=None,
        max_length=500,
        pattern=r"^https?://[A-Za-z0-9.:-]+/?$",
        description="Address of the service. Amazon's when not given.",
    )
    region: str | None = Field(
        default=None,
        max_length=63,
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="Region of the bucket. us-east-1 when not given, which most other services take too.",
    )


class OrderStorage(ContractModel):
    """The folder alone when nothing is given."""

    s3: Bucket | None = Field(
        default=None,
        description="Checkpoints and results are kept below this prefix too, and taken up from there by the next attempt.",
    )
