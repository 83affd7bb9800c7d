"""Writes what the chart holds twice: its copies of crds/*.yaml, and the table of values in README.md, from the comments in values.yaml.

`python charts/generate.py` writes; with `--check` it says what is out of date and ends with 1. A chart cannot name files outside its
folder, since `helm package` leaves them out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

CHARTS = Path(__file__).resolve().parent
CHART = CHARTS / "lightcompute"
CRDS = CHARTS.parent / "crds"
BEGIN, END = "<!-- values: made by charts/generate.py -->\n", "<!-- /values -->\n"


@dataclass(frozen=True, kw_only=True)
class Value:
    """A value of the chart: its path, what it is unless somebody says otherwise, and what it means."""

    path: str
    default: object
    says: str


def values(text: str) -> Iterator[Value]:
    """The values in the text of a values.yaml, in its order. A mapping whose keys have comments of their own is gone into."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "values.yaml is a mapping"
    yield from _within(root, (), text.splitlines())


def table(text: str) -> str:
    """The values as a table of Markdown."""
    rows = [
        f"| `{each.path}` | `{json.dumps(each.default)}` | {each.says} |" for each in values(text)
    ]
    return "\n".join(("| value | default | |", "|---|---|---|", *rows, ""))


def files() -> dict[Path, str]:
    """What each made file is to hold."""
    made = {
        CHART / "files/crds" / file.name: file.read_text(encoding="utf-8")
        for file in sorted(CRDS.glob("*.yaml"))
    }
    readme = CHART / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    values_text = (CHART / "values.yaml").read_text(encoding="utf-8")
    return made | {readme: f"{before}{BEGIN}\n{table(values_text)}\n{END}{after}"}


def main(arguments: list[str]) -> int:
    """Writes the files, or with `--check` only says which differ."""
    made = files()
    stale = [path for path, text in made.items() if not path.exists() or _read(path) != text]
    left_over = [path for path in (CHART / "files/crds").glob("*.yaml") if path not in made]
    if arguments == ["--check"]:
        for path in (*stale, *left_over):
            sys.stdout.write(f"{path.relative_to(CHARTS)} is out of date: run charts/generate.py\n")
        return int(bool(stale or left_over))
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(made[path], encoding="utf-8")
    for path in left_over:
        path.unlink()
    return 0


def _within(mapping: yaml.MappingNode, path: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for key, node in mapping.value:
        here = (*path, key.value)
        if isinstance(node, yaml.MappingNode) and _has_comments(node, lines):
            yield from _within(node, here, lines)
        else:
            default = yaml.safe_load(yaml.serialize(node))
            yield Value(path=".".join(here), default=default, says=_comment(key, lines))


def _has_comments(mapping: yaml.MappingNode, lines: list[str]) -> bool:
    # In `key: {...}` the comment above is the key's own.
    return not mapping.flow_style and any(
        _comment(key, lines) or (isinstance(node, yaml.MappingNode) and _has_comments(node, lines))
        for key, node in mapping.value
    )


def _comment(key: yaml.Node, lines: list[str]) -> str:
    """The comment right above a key, as one line."""
    found: list[str] = []
    line = key.start_mark.line - 1
    while line >= 0 and lines[line].lstrip().startswith("# "):
        found.insert(0, lines[line].strip().removeprefix("# "))
        line -= 1
    return " ".join(found)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
