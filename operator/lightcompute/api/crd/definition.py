"""A resource as a CustomResourceDefinition: names, one version, the columns of `kubectl get`, and the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from lightcompute.api.crd.rule import Rule
from lightcompute.api.crd.schema import Additions, Side, structural
from runcontract.base import API_VERSION

GROUP, _, VERSION = API_VERSION.partition("/")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of `kubectl get`; a wide one is shown with `-o wide` only."""

    name: str
    path: str
    says: str
    type: Literal["string", "integer", "date"] = "string"
    wide: bool = False

    def document(self) -> dict[str, Any]:
        """The column as a definition has it."""
        column = {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            "description": self.says,
        }
        return column | ({"priority": 1} if self.wide else {})


@dataclass(frozen=True, kw_only=True)
class Resource:
    """Everything that makes a kind of object."""

    kind: str
    plural: str
    short_name: str
    scope: Literal["Namespaced", "Cluster"]
    says: str
    spec: type[BaseModel]
    status: type[BaseModel]
    additions: Additions
    rules: tuple[Rule, ...]
    """Rules of the whole object: its name, and what may not change any more."""
    columns: tuple[Column, ...]


def definition(resource: Resource) -> dict[str, Any]:
    """The CustomResourceDefinition of `resource`; raises ValueError where a model has no bound or description."""
    singular = resource.kind.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": singular,
                "shortNames": [resource.short_name],
                "categories": ["training"],
            },
            "scope": resource.scope,
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [column.document() for column in resource.columns],
                    "schema": {"openAPIV3Schema": _schema(resource)},
                }
            ],
        },
    }


def _schema(resource: Resource) -> dict[str, Any]:
    said = {"apiVersion": "Version of this document.", "kind": "Kind of this document."}
    sides = {"spec": (resource.spec, True), "status": (resource.status, False)}
    schema: dict[str, Any] = {
        "description": resource.says,
        "type": "object",
        "required": ["spec"],
        "properties": {
            **{key: {"description": says, "type": "string"} for key, says in said.items()},
            # Named so that a rule can point at it; the server knows the rest of metadata itself.
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            **{
                key: structural(model, Side(additions=resource.additions, is_spec=is_spec))
                for key, (model, is_spec) in sides.items()
            },
        },
    }
    if resource.rules:
        schema["x-kubernetes-validations"] = [rule.document() for rule in resource.rules]
    return schema
