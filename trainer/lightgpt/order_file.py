"""Reads what a command is given to train: an order, or a TrainingRun whose training and checkpoints make one.

So the same file works for every command, here and where it is supervised. Of a TrainingRun only what a trainer is told is
read; whoever supervises runs validates the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from runcontract.base import API_VERSION
from runcontract.document import parse_model, read_document
from runcontract.environment import GLOBAL_SEED, RUN_UID
from runcontract.faults import ConfigurationFault, Fault, shortened
from runcontract.order import Checkpoints, Order, RunIdentity, Training
from runcontract.overrides import with_overrides

_ORDER = "TrainingOrder"
_RUN = "TrainingRun"


def read_training_file(
    path: Path,
    assignments: Iterable[str] = (),
    variables: Mapping[str, str] | None = None,
) -> Order:
    """The order in the YAML file at `path`, with `--set` assignments applied.

    `training.seed=7` and `spec.training.seed=7` mean the same in a TrainingRun. A seed that the file does not name is
    GLOBAL_SEED's in `variables`, and a uid that it does not name the supervisor's. Raises `ConfigurationFault` with every
    fault found in the document.
    """
    document = read_document(path)
    match document.get("kind", _ORDER):
        case "TrainingOrder":
            order = parse_model(Order, with_overrides(document, assignments))
        case "TrainingRun":
            order = _order_of_run(with_overrides(document, map(_below_spec, assignments)))
        case other:
            raise ConfigurationFault(
                Fault(
                    where=f"{path} kind",
                    found=shortened(other),
                    expected=f"{_ORDER} or {_RUN}",
                )
            )
    return _with_environment(order, variables or {})


def _below_spec(assignment: str) -> str:
    return assignment if assignment.startswith(("spec.", "metadata.")) else f"spec.{assignment}"


def _order_of_run(document: dict[str, Any]) -> Order:
    if document.get("apiVersion") != API_VERSION:
        raise _fault("apiVersion", document.get("apiVersion"), API_VERSION)
    metadata = _mapping(document, "metadata")
    spec = _mapping(document, "spec")
    if "training" not in spec:
        raise _fault("spec.training", None, "a value: this field is required")
    identity = {key: metadata[key] for key in ("name", "uid") if key in metadata}
    return Order(
        run=parse_model(RunIdentity, identity, where="metadata"),
        training=parse_model(Training, spec["training"], where="spec.training"),
        checkpoints=parse_model(Checkpoints, spec.get("checkpoints", {}), where="spec.checkpoints"),
    )


def _with_environment(order: Order, variables: Mapping[str, str]) -> Order:
    seed, uid = variables.get(GLOBAL_SEED, ""), variables.get(RUN_UID, "")
    if seed and "seed" not in order.training.model_fields_set:
        if not (seed.isascii() and seed.isdigit() and int(seed) < 2**31):
            raise _fault(
                f"environment variable {GLOBAL_SEED}", seed, "a whole number below 2147483648"
            )
        training = order.training.model_copy(update={"seed": int(seed)})
        order = order.model_copy(update={"training": training})
    if uid and not order.run.uid:
        order = order.model_copy(update={"run": order.run.model_copy(update={"uid": uid[:64]})})
    return order


def _mapping(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise _fault(key, value, "a mapping of keys to values")
    return value


def _fault(where: str, found: object, expected: str) -> ConfigurationFault:
    return ConfigurationFault(
        Fault(
            where=where,
            found="nothing" if found is None else shortened(found),
            expected=expected,
        )
    )
