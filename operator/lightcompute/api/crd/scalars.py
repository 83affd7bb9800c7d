"""Texts and numbers in the words of a structural schema, each with its bounds."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "pattern")
MAX_WORD = 64
"""Longest CamelCase word of a status."""


def scalar(node: Schema, path: str) -> Schema:
    """The schema of a text, number or truth value that pydantic wrote as `node`; ValueError where a text has no bound."""
    bounds = {key: node[key] for key in BOUNDS if key in node}
    match node.get("type"):
        case "string":
            return {"type": "string"} | _text(node, path) | bounds
        case "integer":
            return {"type": "integer", "format": "int64"} | bounds | _open_ends(node)
        case "number":
            return {"type": "number"} | bounds | _open_ends(node)
        case "boolean":
            return {"type": "boolean"}
        case other:
            raise ValueError(f"{path}: found type {other}, expected one that a schema has")


def with_open_words(found: Schema) -> Schema:
    """`found`, whose closed list of words becomes any word: what was added later must not be refused."""
    if "enum" not in found:
        return found
    return {"type": "string", "maxLength": MAX_WORD}


def _text(node: Schema, path: str) -> Schema:
    if "enum" in node:
        return {"enum": list(node["enum"])}
    if "const" in node:
        return {"enum": [node["const"]]}
    if node.get("format") == "date-time":
        return {"format": "date-time"}
    if "maxLength" not in node:
        raise ValueError(f"{path}: found a text without maxLength, expected a bound")
    return {}


def _open_ends(node: Schema) -> Schema:
    """OpenAPI 3.0 says of a bound that it is left out, where JSON Schema has another key for it."""
    found: Schema = {}
    if "exclusiveMinimum" in node:
        found |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
    if "exclusiveMaximum" in node:
        found |= {"maximum": node["exclusiveMaximum"], "exclusiveMaximum": True}
    return found
