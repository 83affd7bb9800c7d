"""Documents made of a good one by changes. Tables of them say what is taken and what is refused, and how that is told.

The reader of files and the API server are held to the same tables: `taken_runs`, `refused_runs`, `taken_clusters`, `refused_clusters`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

Document = dict[str, Any]
ABSENT: Final = object()
"""As a change: the key is taken out."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A document made of `base` by `changes`: a path by dots, and the value there.

    `where` is the path that the reader tells of, `says` a part of the server's message.
    """

    name: str
    base: Document
    changes: Document
    where: str = ""
    says: str = ""
    at: str = ""
    """The path that the server tells of, where it is another one."""
    reads: str = ""
    """A part of what the reader tells at `where`."""

    def __str__(self) -> str:
        """As tests are named by it."""
        return f"{self.base['kind']}: {self.name}"

    @property
    def document(self) -> Document:
        """The document."""
        return changed(self.base, self.changes)


def changed(document: Document, changes: Document) -> Document:
    """A copy of `document` with each change laid over it; a part of a path that is a number stands for an item of a list."""
    new = copy.deepcopy(document)
    for path, value in changes.items():
        *folders, key = path.split(".")
        place: Any = new
        for folder in folders:
            place = place[int(folder)] if isinstance(place, list) else place.setdefault(folder, {})
        _change(place, key, value)
    return new


def _change(place: Any, key: str, value: Any) -> None:
    if isinstance(place, list):
        place[int(key) : int(key) + 1] = [] if value is ABSENT else [copy.deepcopy(value)]
    elif value is ABSENT:
        place.pop(key, None)
    else:
        place[key] = copy.deepcopy(value)
