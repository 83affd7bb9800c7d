"""The schemas of our resources, gone through node by node, and the rules in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lightcompute.api.crd import Resource, definition

Schema = dict[str, Any]


def schema_of(resource: Resource) -> Schema:
    """The schema of the whole object."""
    version: Schema = definition(resource)["spec"]["versions"][0]
    found: Schema = version["schema"]["openAPIV3Schema"]
    return found


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema within `schema`, with its path."""
    yield path, schema
    for key, below in schema.get("properties", {}).items():
        yield from nodes(below, f"{path}.{key}".lstrip("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}.*")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a rule says to a person, and the path that it says it of, with `[]` for any item of a list."""

    path: str
    text: str


def told_by_rules(resource: Resource) -> frozenset[Told]:
    """Everything that the rules of `resource` say of one document; what they say of a change is not among it."""
    return frozenset(
        Told(path=f"{path}{rule.get('fieldPath', '')}".lstrip("."), text=text)
        for path, node in nodes(schema_of(resource))
        for rule in node.get("x-kubernetes-validations", ())
        if "oldSelf" not in rule["rule"]
        for text in _texts(rule)
    )


def _texts(rule: dict[str, str]) -> tuple[str, ...]:
    """The message, or where the rule finds its words each of those that it may find; a literal that is a pattern is none."""
    if "messageExpression" not in rule:
        return (rule["message"],)
    literals = re.findall(r"'((?:[^'\\]|\\.)*)'", rule["messageExpression"])
    return tuple(word for word in literals if not word.startswith(("^", "[")))
