"""Documents of TrainingRuns made of a small one by changes; `taken_runs` and `refused_runs` are tables of them.

The reader of files and the API server are held to the same tables.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

Document = dict[str, Any]
ABSENT: Final = object()
"""As a change: the key is taken out."""

SMALL: Document = {
    "apiVersion": "lightcompute.dev/v1alpha1",
    "kind": "TrainingRun",
    "metadata": {"name": "baseline"},
    "spec": {
        "training": {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100},
        "budget": {"limitUSD": "20.00"},
    },
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A document made of SMALL by `changes`: a path by dots, and the value there.

    `where` is the path that the reader tells of, `says` a part of the server's message.
    """

    name: str
    changes: Document
    where: str = ""
    says: str = ""
    at: str = ""
    """The path that the server tells of, where it is another one."""

    @property
    def document(self) -> Document:
        """The document."""
        return changed(SMALL, self.changes)


def changed(document: Document, changes: Document) -> Document:
    """A copy of `document` with each change laid over it."""
    new = copy.deepcopy(document)
    for path, value in changes.items():
        *folders, key = path.split(".")
        place = new
        for folder in folders:
            place = place.setdefault(folder, {})
        if value is ABSENT:
            place.pop(key, None)
        else:
            place[key] = copy.deepcopy(value)
    return new


def a_volume(**parts: Any) -> Document:
    """A claim as a folder."""
    return {"name": "texts", "claimName": "texts", "mountPath": "/data"} | parts
