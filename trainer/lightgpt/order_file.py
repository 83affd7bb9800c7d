"""Reads what a command is given to train: an order, or a TrainingRun whose training and checkpoints make one.

The same file so works for every command, here and where it is supervised. Of a TrainingRun only what a trainer is told
is read; whoever supervises runs validates the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from runcontract.base import API_VERSION, ApiVersion
from runcontract.document import parse_model, read_document
from runcontract.faults import ConfigurationFault, Fault, shortened
from runcontract.order import Checkpoints, Order, RunIdentity, Training
from runcontract.overrides import with_overrides

_ORDER = "TrainingOrder"
_RUN = "TrainingRun"


def read_training_file(path: Path, assignments: Iterable[str] = ()) -> Order:
    """The order in the YAML file at `path`, with `--set` assignments applied.

    `training.seed=7` and `spec.training.seed=7` mean the same in a TrainingRun. Raises `ConfigurationFault` with every
    fault found, or one that names the kinds which are read.
    """
    document = read_document(path)
    match document.get("kind", _ORDER):
        case "TrainingOrder":
            return parse_model(Order, with_overrides(document, assignments))
        case "TrainingRun":
            below_spec = [
                assignment
                if assignment.startswith(("spec.", "metadata."))
                else f"spec.{assignment}"
                for assignment in assignments
            ]
            return _order_of_run(with_overrides(document, below_spec))
        case other:
            raise ConfigurationFault(
                Fault(
                    where=f"{path} kind",
                    found=shortened(other),
                    expected=f"{_ORDER} or {_RUN}",
                )
            )


def _order_of_run(document: dict[str, Any]) -> Order:
    if document.get("apiVersion") not in get_args(ApiVersion):
        raise ConfigurationFault(
            Fault(
                where="apiVersion",
                found=shortened(document.get("apiVersion")),
                expected=API_VERSION,
            )
        )
    metadata = _mapping(document, "metadata")
    spec = _mapping(document, "spec")
    identity = {key: metadata[key] for key in ("name", "uid") if key in metadata}
    return Order(
        run=parse_model(RunIdentity, identity, where="metadata"),
        training=parse_model(Training, spec.get("training", {}), where="spec.training"),
        checkpoints=parse_model(Checkpoints, spec.get("checkpoints", {}), where="spec.checkpoints"),
    )


def _mapping(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise ConfigurationFault(
            Fault(where=key, found=shortened(value), expected="a mapping of keys to values")
        )
    return value
