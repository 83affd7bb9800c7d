"""The TrainingRun document: one model to train, on a laptop or on a cluster."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from lightcompute.api.names import LABEL_PATTERN
from lightcompute.api.spec import TrainingRunSpec
from lightcompute.api.status import TrainingRunStatus
from runcontract.base import API_VERSION, ApiVersion, ContractModel, ReportModel

_Key = Annotated[str, StringConstraints(max_length=317)]
_Text = Annotated[str, StringConstraints(max_length=262_144)]


class Metadata(ReportModel):
    """Who the run is. Keys of the API server that we have no use for are passed over."""

    name: str = Field(pattern=LABEL_PATTERN, description="Name of the run: a DNS label.")
    namespace: str | None = Field(
        default=None, pattern=LABEL_PATTERN, description="Namespace in a cluster."
    )
    uid: str = Field(default="", max_length=64, description="Unique id, given by the server.")
    resource_version: str | None = Field(
        default=None, max_length=128, description="Version for conflict checks."
    )
    generation: int = Field(default=1, ge=0, description="Counts changes of the spec.")
    creation_timestamp: datetime | None = Field(default=None, description="When it was made.")
    deletion_timestamp: datetime | None = Field(
        default=None, description="When its deletion was asked for."
    )
    finalizers: tuple[_Key, ...] = Field(default=(), max_length=32, description="Who holds it.")
    labels: dict[_Key, _Text] = Field(default={}, max_length=256, description="Labels.")
    annotations: dict[_Key, _Text] = Field(default={}, max_length=256, description="Notes.")


class TrainingRun(ContractModel):
    """A model to train: what is wanted (`spec`) and what is (`status`)."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Version of this document.")
    kind: Literal["TrainingRun"] = Field(default="TrainingRun", description="Kind.")
    metadata: Metadata = Field(description="Who the run is.")
    spec: TrainingRunSpec = Field(description="What is wanted.")
    status: TrainingRunStatus = Field(default=TrainingRunStatus(), description="What is.")

    def with_status(self, status: TrainingRunStatus) -> TrainingRun:
        """The same run with another status."""
        return self.model_copy(update={"status": status})

    @property
    def label(self) -> str:
        """Name for messages: `namespace/name`, or the name alone where there is no namespace."""
        space = self.metadata.namespace
        return f"{space}/{self.metadata.name}" if space else self.metadata.name
