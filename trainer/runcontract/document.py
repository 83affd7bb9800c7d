"""Reads a YAML or JSON document that a person wrote, and turns what is wrong with it into faults with paths.

The loader is PyYAML's safe one, narrowed: a size limit before parsing, no aliases (they are how a small file becomes a huge
one), no duplicate keys, no dates made out of strings, and `3e-4` is a number as it is for Kubernetes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from runcontract.base import FIELD_FAULTS
from runcontract.faults import ConfigurationFault, Fault, shortened

MAX_DOCUMENT_BYTES = 1 << 20
MAX_DEPTH = 32

_Model = TypeVar("_Model", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """SafeLoader without aliases, duplicate keys, timestamps or unbounded depth."""

    depth = 0

    def _mark(self) -> yaml.Mark | None:
        loader: Any = self  # PyYAML's types leave peek_event out
        mark: yaml.Mark | None = loader.peek_event().start_mark
        return mark

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "aliases (*name) are not allowed", self._mark()
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, f"deeper than {MAX_DEPTH} levels", self._mark()
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is not text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


# What JSON has and no more; a `!!binary`, `!!set` or `!!timestamp` ends in the constructor for unknown tags.
_Loader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None
    or tag.rpartition(":")[2] in {"null", "bool", "int", "float", "str", "seq", "map"}
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_EXPONENT = re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
"""Numbers such as 1e-3, which YAML 1.1 takes for text."""
_NUMBER_STARTS = list("-+.0123456789")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, _NUMBER_STARTS)


def read_document(path: Path) -> dict[str, Any]:
    """The mapping in the YAML file at `path`; raises `ConfigurationFault` that names the file and the line."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes > MAX_DOCUMENT_BYTES:
            raise ConfigurationFault(
                Fault(
                    where=str(path),
                    found=f"{size_bytes} bytes",
                    expected=f"at most {MAX_DOCUMENT_BYTES} bytes",
                )
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationFault(
            Fault(
                where=str(path),
                found=error.strerror or str(error),
                expected="a file that can be read",
            )
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationFault(
            Fault(
                where=str(path),
                found=f"byte {error.start} is not UTF-8",
                expected="a text file in UTF-8",
            )
        ) from error
    return parse_document(text, where=str(path))


def parse_document(text: str, *, where: str) -> dict[str, Any]:
    """The mapping in `text`; `where` names its origin in faults."""
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - a narrowed SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigurationFault(
            Fault(
                where=f"{where}:{line}",
                found=error.problem or "a syntax error",
                expected="one valid YAML document",
            )
        ) from error
    except yaml.YAMLError as error:
        raise ConfigurationFault(
            Fault(where=where, found=shortened(str(error)), expected="one valid YAML document")
        ) from error
    except (ValueError, LookupError) as error:
        # What PyYAML lets through: `!!bool x`, or a number of more digits than Python reads.
        raise ConfigurationFault(
            Fault(where=where, found=shortened(str(error)), expected="values that can be read")
        ) from error
    if not isinstance(value, dict):
        raise ConfigurationFault(
            Fault(
                where=where,
                found=shortened(value),
                expected="a mapping of keys to values at the top of the document",
            )
        )
    return value


def parse_model(model: type[_Model], document: Any, *, where: str = "") -> _Model:
    """`document` as a `model`, strictly: text is not taken for a number, and only camelCase keys count.

    Raises `ConfigurationFault` with every fault in the document, each with its path below `where`.
    """
    try:
        # JSON mode: strict, yet a list may become a tuple and text an enum, as in a document they must.
        return model.model_validate_json(
            json.dumps(document), strict=True, by_alias=True, by_name=False
        )
    except ValidationError as error:
        details = [each for each in error.errors(include_url=False) if not _is_echo(each)]
        raise ConfigurationFault(
            *(fault for detail in details for fault in _faults(detail, where))
        ) from error


def _is_echo(detail: Any) -> bool:
    """Whether a list is only called too short because what was wrong with its items, which is told, was left out of it."""
    return bool(
        detail["type"] == "too_short"
        and isinstance(detail["input"], list)
        and len(detail["input"]) >= detail["ctx"]["min_length"]
    )


def _faults(detail: Any, where: str) -> Iterator[Fault]:
    path = where
    for part in detail["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    if detail["type"] != FIELD_FAULTS:
        yield _fault(detail, path)
        return
    for fault in detail["ctx"]["faults"]:
        yield Fault(
            where=f"{path}.{fault['field']}" if path else fault["field"],
            found=shortened(fault["found"]),
            expected=fault["expected"],
            action=fault["action"],
        )


def _fault(detail: Any, path: str) -> Fault:
    expected = str(detail["msg"])
    match detail["type"]:
        case "missing":
            return Fault(where=path, found="nothing", expected="a value: this field is required")
        case "extra_forbidden":
            return Fault(
                where=path,
                found=shortened(detail["input"]),
                expected="no such field",
                action="Check its spelling and place.",
            )
        case "value_error":
            expected = expected.removeprefix("Value error, ")
        case _:
            expected = expected[:1].lower() + expected[1:]
    return Fault(where=path or "document", found=shortened(detail["input"]), expected=expected)


# libyaml writes the same documents some six times as fast; PyYAML may have been built without it.
_Writer: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Writer):  # type: ignore[misc]
    """SafeDumper that escapes the line breaks of Unicode, which PyYAML writes as they are and reads as spaces."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _UNICODE_BREAKS.search(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_UNICODE_BREAKS = re.compile("[\x85\u2028\u2029]")
_Dumper.add_representer(str, _represent_text)
# What we read as a number must be quoted where it is text, such as a commit 12e5.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, _NUMBER_STARTS)


def dump_document(value: Any) -> str:
    """`value` as YAML with keys in their given order, and text that stays readable."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
