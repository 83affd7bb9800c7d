"""Reads what `lightgpt train` is given: an order, or the TrainingRun that people write, of which the trainer reads its own part.

The other parts of a TrainingRun (budget, placement, storage) are for whoever runs the trainer, who checks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runcontract.document import parse_model, read_document
from runcontract.environment import GLOBAL_SEED, RUN_UID
from runcontract.faults import ConfigurationFault, Fault, shortened
from runcontract.order import Checkpoints, Order, RunIdentity, Training
from runcontract.overrides import with_overrides

TRAINING_RUN = "TrainingRun"


def read_order_file(path: Path, assignments: Sequence[str], variables: Mapping[str, str]) -> Order:
    """The order in the file at `path`, with `--set` assignments applied.

    A seed that the file does not name is GLOBAL_SEED's, and a uid that it does not name the supervisor's. Raises
    `ConfigurationFault` with every fault.
    """
    document = read_document(path)
    if document.get("kind") == TRAINING_RUN:
        order = _of_training_run(with_overrides(document, map(_below_spec, assignments)))
    else:
        order = parse_model(Order, with_overrides(document, assignments))
    return _with_environment(order, variables)


def _below_spec(assignment: str) -> str:
    return assignment if assignment.startswith(("spec.", "metadata.")) else f"spec.{assignment}"


def _of_training_run(document: dict[str, Any]) -> Order:
    metadata = _mapping(document, "metadata")
    spec = _mapping(document, "spec")
    if "training" not in spec:
        raise ConfigurationFault(
            Fault(
                where="spec.training", found="nothing", expected="a value: this field is required"
            )
        )
    return Order(
        run=parse_model(
            RunIdentity,
            {key: metadata[key] for key in ("name", "uid") if key in metadata},
            where="metadata",
        ),
        training=parse_model(Training, spec["training"], where="spec.training"),
        checkpoints=parse_model(Checkpoints, spec.get("checkpoints", {}), where="spec.checkpoints"),
    )


def _mapping(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    if not isinstance(value, dict):
        raise ConfigurationFault(
            Fault(where=key, found=shortened(value), expected="a mapping of keys to values")
        )
    return value


def _with_environment(order: Order, variables: Mapping[str, str]) -> Order:
    seed, uid = variables.get(GLOBAL_SEED, ""), variables.get(RUN_UID, "")
    if seed and "seed" not in order.training.model_fields_set:
        if not (seed.isascii() and seed.isdigit() and int(seed) < 2**31):
            raise ConfigurationFault(
                Fault(
                    where=f"environment variable {GLOBAL_SEED}",
                    found=shortened(seed),
                    expected="a whole number below 2147483648",
                )
            )
        order = order.model_copy(
            update={"training": order.training.model_copy(update={"seed": int(seed)})}
        )
    if uid and not order.run.uid:
        order = order.model_copy(update={"run": order.run.model_copy(update={"uid": uid[:64]})})
    return order
