"""Reads a resource from a file that a person wrote; every fault at once, each with its path, value and what is right."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from lightcompute.api.training_budget import TrainingBudget
from lightcompute.api.training_cluster import TrainingCluster
from lightcompute.api.training_run import TrainingRun
from runcontract.document import parse_model, read_document
from runcontract.faults import ConfigurationFault, Fault, shortened
from runcontract.overrides import with_overrides

_TOP = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
Resource = TrainingRun | TrainingCluster | TrainingBudget
"""What a file may hold."""
_MODELS: Final[dict[str, type[Resource]]] = {
    "TrainingRun": TrainingRun,
    "TrainingCluster": TrainingCluster,
    "TrainingBudget": TrainingBudget,
}


def read_training_run(path: Path, assignments: Iterable[str] = ()) -> TrainingRun:
    """The run in the file at `path`, with each `key=value` of `assignments` applied (`--set`).

    A key that begins with none of the document's own is taken below `spec`: `training.seed=7` and `spec.training.seed=7`
    are the same. A `status` in the file (as `kubectl get -o yaml` prints it) is left out: it is told, never given.

    Raises `ConfigurationFault` with every fault in the file.
    """
    return parse_training_run(_read(path, assignments))


def read_resource(path: Path, assignments: Iterable[str] = ()) -> Resource:
    """What is in the file at `path`, by its `kind`, in the same way."""
    return parse_resource(_read(path, assignments))


def parse_training_run(document: dict[str, Any]) -> TrainingRun:
    """`document` as a run, strictly; raises `ConfigurationFault` with every fault."""
    return parse_model(TrainingRun, document)


def parse_resource(document: dict[str, Any]) -> Resource:
    """`document` as what its `kind` says, a run where it has none; strictly. Raises `ConfigurationFault` with every fault."""
    kind = document.get("kind", "TrainingRun")
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        # Of what no kind is known, everything else would look wrong.
        raise ConfigurationFault(
            Fault(where="kind", found=shortened(kind), expected=" or ".join(_MODELS))
        )
    return parse_model(model, document)


def _read(path: Path, assignments: Iterable[str]) -> dict[str, Any]:
    document = with_overrides(read_document(path), (_from_top(text) for text in assignments))
    document.pop("status", None)
    return document


def _from_top(assignment: str) -> str:
    head = assignment.partition("=")[0].partition(".")[0]
    return assignment if head in _TOP or not head else f"spec.{assignment}"
