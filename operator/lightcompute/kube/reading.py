"""Reads a TrainingRun as an API server has it, whoever wrote it: a spec that cannot be read in full becomes faults, never a crash.

An object may come from an older CRD or a newer operator. What runs goes on with what can be read of its spec and with the cap
that its status names; nothing new starts until the spec is mended.
"""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from pydantic import BaseModel, ValidationError

from lightcompute.api.spec import Budget, TrainingRunSpec
from lightcompute.api.status import TrainingRunStatus
from lightcompute.api.trainer import Trainer
from lightcompute.api.training_run import Metadata, TrainingRun
from runcontract.base import FIELD_FAULTS
from runcontract.document import parse_model
from runcontract.faults import ConfigurationFault

MAX_FAULTS = 8
"""So many faults of a spec are told; more help nobody."""
_ROUNDS = 4
_COPY = "kubectl.kubernetes.io/last-applied-configuration"
"""An annotation that holds the whole object once more, and may be longer than we read any."""
_SECTIONS: WeakValueDictionary[tuple[type[BaseModel], str], BaseModel] = WeakValueDictionary()
"""Sections of specs that are in use, by their words."""
_Model = TypeVar("_Model", bound=BaseModel)
_SOME_TRAINING = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 1}
"""Stands for one that cannot be read: that there is one decides how exit codes and silence are understood."""


class Unreadable(ValueError):
    """Its name, its identity or its status cannot be read: nothing can be decided about it."""


@dataclass(frozen=True, kw_only=True)
class ReadRun:
    """A run, and what is wrong with its spec."""

    run: TrainingRun
    faults: tuple[str, ...] = ()


def read_run(document: dict[str, Any]) -> ReadRun:
    """The run in `document`. Raises Unreadable where not even its status can be read."""
    metadata, status = _identity(document)
    given = document.get("spec")
    try:
        spec = parse_model(TrainingRunSpec, {} if given is None else given, where="spec")
        spec = shared(spec, given or {})
        return ReadRun(run=TrainingRun(metadata=metadata, spec=spec, status=status))
    except ConfigurationFault as fault:
        faults = tuple(str(each) for each in fault.faults[:MAX_FAULTS])
    spec = _salvaged(given if isinstance(given, dict) else {}, status)
    return ReadRun(run=TrainingRun(metadata=metadata, spec=spec, status=status), faults=faults)


def _identity(document: dict[str, Any]) -> tuple[Metadata, TrainingRunStatus]:
    given = document.get("metadata") or {}
    notes = given.get("annotations") if isinstance(given, dict) else None
    if isinstance(notes, dict) and _COPY in notes:
        rest = {name: note for name, note in notes.items() if name != _COPY}
        given = {**given, "annotations": rest}
    try:
        metadata = Metadata.model_validate_json(json.dumps(given))
        status = TrainingRunStatus.model_validate_json(json.dumps(document.get("status") or {}))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"{where}: {first['msg']}") from error
    if not metadata.uid or not metadata.namespace:
        raise Unreadable("metadata: it has no uid or no namespace")
    return metadata, status


def shared(model: _Model, document: dict[str, Any]) -> _Model:
    """`model` with sections that other runs have word for word as one object with theirs: a thousand runs differ in few of them."""
    known: dict[str, BaseModel] = {}
    for name, field in type(model).model_fields.items():
        section = getattr(model, name)
        given = document.get(field.alias or name)
        if not isinstance(section, BaseModel) or not isinstance(given, dict):
            continue
        text = json.dumps(given)
        found = _SECTIONS.get((type(section), text))
        if found is None:
            found = _SECTIONS[type(section), text] = shared(section, given)
        known[name] = found
    return model.model_copy(update=known)


def _salvaged(spec: dict[str, Any], status: TrainingRunStatus) -> TrainingRunSpec:
    """What can be read of `spec`; with the cap of `status`, since a cap is never lost over a misspelt field."""
    rest = deepcopy(spec)
    read = _read_without_faults(rest)
    ours = spec.get("training") is not None
    if read is None or (ours and read.training is None):
        # What runs goes on as what it is, a trainer of ours or another; and nothing can be started by it.
        trainer = rest.get("trainer")
        rest["trainer"] = {**(trainer if isinstance(trainer, dict) else {}), "image": "unreadable"}
        if ours:
            rest["training"] = deepcopy(_SOME_TRAINING)
        read = _read_without_faults(rest)
    if read is None:
        read = TrainingRunSpec(
            trainer=Trainer(image="unreadable"), suspend=rest.get("suspend") is True
        )
    limit = status.cost.limit_usd
    if limit is not None and limit > 0 and read.budget is None:
        read = read.model_copy(update={"budget": Budget(limit_usd=limit)})
    return read


def _read_without_faults(rest: dict[str, Any]) -> TrainingRunSpec | None:
    """The spec in `rest`, from which whatever is at fault is taken out; None where that comes to no end."""
    for _ in range(_ROUNDS):
        try:
            return TrainingRunSpec.model_validate_json(json.dumps(rest), by_name=False)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                for path in _paths(detail):
                    _remove(rest, path)
    return None


def _paths(detail: Any) -> tuple[tuple[int | str, ...], ...]:
    """Where a fault is; of one between several fields, each that it is told of."""
    if detail["type"] != FIELD_FAULTS:
        return (detail["loc"],)
    return tuple((*detail["loc"], *each["field"].split(".")) for each in detail["ctx"]["faults"])


def _remove(document: Any, path: tuple[int | str, ...]) -> None:
    """Takes the key at `path` out of `document`; where it does not exist (a required one), the nearest above it."""
    for length in range(len(path), 0, -1):
        holder = document
        for part in path[: length - 1]:
            holder = holder.get(part) if isinstance(holder, dict) else None
        key = path[length - 1]
        if isinstance(holder, dict) and key in holder:
            del holder[key]
            return
