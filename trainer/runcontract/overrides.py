"""`--set a.b=c`: one key of a document changed from the command line, with the value read as YAML."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runcontract.document import parse_document
from runcontract.faults import ConfigurationFault, Fault, shortened


def with_overrides(document: dict[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of `document` with each `path.to.key=value` applied in order; `key=null` removes the key.

    Raises `ConfigurationFault` for an assignment without `=`, an empty key, or a path through something that is no mapping.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        keys = path.split(".")
        if not equals or not all(keys):
            raise ConfigurationFault(
                Fault(
                    where="--set",
                    found=shortened(assignment),
                    expected="path.to.key=value, such as training.seed=7",
                )
            )
        document = _with_value(document, keys, _value(text, assignment), assignment)
    return document


def _value(text: str, assignment: str) -> Any:
    return parse_document(f"value: {text}", where=f"--set {assignment}")["value"]


def _with_value(
    document: dict[str, Any], keys: list[str], value: Any, assignment: str
) -> dict[str, Any]:
    head, *rest = keys
    copy = dict(document)
    if not rest:
        if value is None:
            copy.pop(head, None)
        else:
            copy[head] = value
        return copy
    below = copy.get(head, {})
    if not isinstance(below, dict):
        raise ConfigurationFault(
            Fault(
                where=f"--set {assignment}",
                found=f"{head} = {shortened(below)}",
                expected=f"{head} to be a mapping",
            )
        )
    copy[head] = _with_value(below, rest, value, assignment)
    return copy
