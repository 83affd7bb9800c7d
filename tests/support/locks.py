"""The files in requirements/, read."""

import re
import tomllib
from dataclasses import dataclass
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.source import CHECKOUT

_ENTRY = re.compile(r"(?P<name>[\w.-]+)==(?P<version>\S+)(?: ; (?P<marker>.+))?")


@dataclass(frozen=True, kw_only=True)
class Locked:
    """One entry of a lock: a version, where it applies, and the hashes of its files."""

    name: str
    version: str
    marker: Marker | None
    hashes: tuple[str, ...]


def lock_text(name: str) -> str:
    return (CHECKOUT / f"requirements/{name}.txt").read_text(encoding="utf-8")


def read_lock(name: str) -> dict[str, Locked]:
    """The entries of requirements/NAME.txt by name; a line that is no entry is an error."""
    joined = lock_text(name).replace("\\\n", " ")
    lines = (
        line for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")
    )
    return {entry.name: entry for entry in map(_entry, lines)}


def _entry(line: str) -> Locked:
    requirement, *hashes = line.split("--hash=")
    match = _ENTRY.fullmatch(requirement.strip())
    if match is None:
        raise ValueError(f"not an entry of a lock: {requirement!r}")
    return Locked(
        name=canonicalize_name(match["name"]),
        version=match["version"],
        marker=Marker(match["marker"]) if match["marker"] else None,
        hashes=tuple(text.strip() for text in hashes),
    )


def declared(*sources: str) -> tuple[Requirement, ...]:
    """Requirements that pyproject.toml declares: `dependencies`, an extra, or a dependency group."""
    document = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    return tuple(Requirement(text) for source in sources for text in _texts(document, source))


def _texts(document: dict[str, Any], source: str) -> list[str]:
    project, groups = document["project"], document["dependency-groups"]
    if source == "dependencies":
        return list(project["dependencies"])
    if source == "build-system":
        return list(document["build-system"]["requires"])
    if source in project["optional-dependencies"]:
        return list(project["optional-dependencies"][source])
    texts: list[str] = []
    for item in groups[source]:
        texts += [item] if isinstance(item, str) else _texts(document, item["include-group"])
    return texts
