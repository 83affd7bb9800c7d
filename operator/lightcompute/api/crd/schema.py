"""A model as a structural schema: what Kubernetes takes of OpenAPI, with every reference written out.

Beyond the change of form it holds the models to what a cluster needs: it refuses a text, list or map without a bound, since
the API server reckons the cost of each rule from the bounds, and a field without a description, since `kubectl explain`
shows nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from lightcompute.api.crd.rule import Rule, literal
from lightcompute.api.crd.scalars import Schema, scalar, with_open_words

FieldKey = tuple[type[BaseModel], str]
"""A model and a key that it has in documents."""

_MODEL = "x-model"
_SENTENCE_END = re.compile(r"(?<=\.) (?=[A-Z`])")


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What a schema says and a model cannot."""

    rules: Mapping[type[BaseModel], tuple[Rule, ...]] = field(default_factory=dict)
    list_keys: Mapping[FieldKey, str] = field(default_factory=dict)
    """Lists that are maps, with the key that tells their items apart. Every other list is one value."""
    whole: frozenset[type[BaseModel]] = frozenset()
    """Models that one writer writes as one value: the server remembers who wrote it, and not who wrote each of its fields."""
    unwritten: Mapping[FieldKey, str] = field(default_factory=dict)
    """Defaults that stay out of the schema, with what is said instead; `{}` stands for the default."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """`spec` is filled in and strict. `status` is written by a program that may be newer than the schema: its words are open."""

    additions: Additions
    is_spec: bool


def structural(model: type[BaseModel], side: Side) -> Schema:
    """The schema of `model`; raises ValueError that names the field which has no bound or no description."""
    generated = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    writer = _Writer(definitions=generated.pop("$defs", {}), side=side)
    return writer.model(generated, "")


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, which also says which model a schema is of."""

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        return super().model_schema(schema) | {_MODEL: schema["cls"]}


@dataclass(frozen=True, kw_only=True)
class _Writer:
    definitions: Mapping[str, Schema]
    side: Side

    def model(self, node: Schema, path: str) -> Schema:
        """A model: its fields, and the rules between them."""
        model = node[_MODEL]
        found: Schema = {"description": _sentences(node["description"]), "type": "object"}
        if "required" in node:
            found["required"] = list(node["required"])
        found["properties"] = {
            key: self.field((model, key), below, f"{path}.{key}" if path else key)
            for key, below in node["properties"].items()
        }
        if model in self.side.additions.whole:
            found["x-kubernetes-map-type"] = "atomic"
        return found | _validations(self.side.additions.rules.get(model, ()))

    def field(self, key: FieldKey, node: Schema, path: str) -> Schema:
        """A field: what it is for, what it may hold, and what it holds when nothing is given."""
        if not node.get("description"):
            raise ValueError(f"{path}: found no description, expected one for `kubectl explain`")
        found = self.value(self.resolved(node, path), path, key)
        found["description"] = _sentences(node["description"], *self.explained(key, node, found))
        if found["type"] == "array":
            found |= self.list_type(key, found, path)
        if self.side.is_spec and key not in self.side.additions.unwritten:
            found |= _default(node.get("default"), found)
        return {"description": found.pop("description")} | found

    def explained(self, key: FieldKey, node: Schema, found: Schema) -> tuple[str, ...]:
        """What is said of a field besides its own description."""
        about_model = (found["description"],) if "properties" in found else ()
        instead = self.side.additions.unwritten.get(key)
        default = node.get("default")
        about_default = (instead.format(_word(default)),) if instead and default is not None else ()
        words = self.resolved(node, "").get("enum", ())
        about_words = (f"One of {', '.join(words)}.",) if words and "enum" not in found else ()
        return (*about_model, *about_default, *about_words)

    def value(self, node: Schema, path: str, key: FieldKey) -> Schema:
        """What a value may be."""
        if _MODEL in node:
            return self.model(node, path)
        match node.get("type"):
            case "object":
                return self.mapping(node, path, key)
            case "array":
                return self.listing(node, path, key)
            case _:
                found = scalar(node, path)
                return found if self.side.is_spec else with_open_words(found)

    def listing(self, node: Schema, path: str, key: FieldKey) -> Schema:
        """A list."""
        _bounded(node, "maxItems", path)
        items = self.resolved(node["items"], path)
        return {
            "type": "array",
            **{bound: node[bound] for bound in ("minItems", "maxItems") if bound in node},
            "items": self.value(items, f"{path}[]", key),
        }

    def mapping(self, node: Schema, path: str, key: FieldKey) -> Schema:
        """Keys that a person chooses: how they may look is a rule, since a structural schema has no word for it."""
        _bounded(node, "maxProperties", path)
        patterns = node.get("patternProperties", {})
        [values] = patterns.values() or [node["additionalProperties"]]
        found = {
            "type": "object",
            "maxProperties": node["maxProperties"],
            "additionalProperties": self.value(self.resolved(values, path), f"{path}.*", key),
        }
        longest = node.get("propertyNames", {}).get("maxLength")
        return found | _validations(_rules_of_keys(longest, tuple(patterns)))

    def list_type(self, key: FieldKey, found: Schema, path: str) -> Schema:
        """How lists of two writers are merged, and whether the server holds items apart."""
        by = self.side.additions.list_keys.get(key)
        if by is None:
            return {"x-kubernetes-list-type": "atomic"}
        if by not in found["items"].get("required", ()):
            raise ValueError(f"{path}: found no required key {by}, expected one to tell items by")
        return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [by]}

    def resolved(self, node: Schema, path: str) -> Schema:
        """`node` without references, and without the null that stands for absence."""
        if "anyOf" in node:
            some = [part for part in node["anyOf"] if part.get("type") != "null"]
            if len(some) != 1:
                raise ValueError(f"{path}: found {len(some)} types, expected one and absence")
            return self.resolved(some[0], path)
        if "$ref" in node:
            return self.definitions[node["$ref"].rpartition("/")[2]]
        return node


def _bounded(node: Schema, bound: str, path: str) -> None:
    if bound not in node:
        raise ValueError(f"{path}: found no {bound}, expected a bound")


def _rules_of_keys(longest: int | None, patterns: tuple[str, ...]) -> tuple[Rule, ...]:
    rules = [
        Rule(
            holds=f"self.all(key, key.matches({literal(pattern)}))",
            message=f"a key matches {pattern}",
        )
        for pattern in patterns
    ]
    if longest is not None:
        holds = f"self.all(key, key.size() <= {longest})"
        rules.append(Rule(holds=holds, message=f"a key has at most {longest} characters"))
    return tuple(rules)


def _validations(rules: tuple[Rule, ...]) -> Schema:
    return {"x-kubernetes-validations": [rule.document() for rule in rules]} if rules else {}


def _default(value: Any, found: Schema) -> Schema:
    """A model's default is empty, so that those of its fields fill it; one that says nothing stays out."""
    if "properties" in found:
        has_any = any("default" in below for below in found["properties"].values())
        return {"default": {}} if value is not None and has_any else {}
    return {} if value is None or value in ([], {}, "") else {"default": value}


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sentences(*parts: str) -> str:
    """One paragraph, as `kubectl explain` breaks lines itself; without a sentence that another one begins with."""
    found = _SENTENCE_END.split(" ".join(" ".join(parts).split()))
    beginnings = [one.rstrip(".").casefold() for one in found]
    return " ".join(
        one
        for number, one in enumerate(found)
        if not any(
            other.startswith(beginnings[number])
            and (len(other), -later) > (len(beginnings[number]), -number)
            for later, other in enumerate(beginnings)
        )
    )
