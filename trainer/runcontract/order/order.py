"""The order document itself: a run's identity, its training and its checkpoints.

What differs between attempts (number, time left) comes by the environment (`runcontract.environment`), so one order, with
one hash, serves every attempt of a run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import Field

from runcontract.base import API_VERSION, ApiVersion, ContractModel
from runcontract.document import dump_document, parse_model, read_document
from runcontract.order.checkpoints import Checkpoints
from runcontract.order.storage import OrderStorage
from runcontract.order.training import Training

FREE_TO_CHANGE = frozenset(
    {"maxSteps", "maxEpochs", "evaluation", "samples", "target", "earlyStopping"}
)
"""Keys of `training` that a run may be continued under with other values."""


class RunIdentity(ContractModel):
    """Whose order this is."""

    name: str = Field(
        default="training",
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        description="Name of the run: a DNS label.",
    )
    uid: str = Field(
        default="",
        max_length=64,
        description="Unique id of the run; two runs of one name differ in it.",
    )


class Order(ContractModel):
    """Everything the trainer is told before it starts."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Version of this document.")
    kind: Literal["TrainingOrder"] = Field(
        default="TrainingOrder", description="Kind of this document."
    )
    run: RunIdentity = Field(default=RunIdentity(), description="Whose order this is.")
    training: Training = Field(description="The trainer's configuration.")
    checkpoints: Checkpoints = Field(default=Checkpoints(), description="Saving and retention.")
    storage: OrderStorage = Field(
        default=OrderStorage(), description="Where checkpoints and results outlive the machine."
    )

    def text(self) -> str:
        """The order as YAML."""
        return dump_document(self.document())


def read_order(path: Path) -> Order:
    """The order in the YAML file at `path`; raises `ConfigurationFault` with every fault."""
    return parse_model(Order, read_document(path))


def configuration_hash(training: Training) -> str:
    """SHA-256 of what decides the numbers of a training, as hex.

    The lengths (`maxSteps`, `maxEpochs`), reports (`evaluation`, `samples`, `target`) and `earlyStopping` stay out:
    they decide when a run ends and what it says, and a checkpoint may be continued under others.
    """
    document = {
        key: value for key, value in training.document().items() if key not in FREE_TO_CHANGE
    }
    return hashlib.sha256(
        json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
