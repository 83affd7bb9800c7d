"""Names as Kubernetes has them, so that a laptop refuses what a cluster would refuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import StringConstraints

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_WORD = r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]"

LABEL_PATTERN = f"^{_LABEL}$"
"""A DNS label: at most 63 characters."""

ObjectName = Annotated[
    str, StringConstraints(pattern=f"^{_SUBDOMAIN}$", min_length=1, max_length=253)
]
"""Name of a Secret or of a claim."""
DataKey = Annotated[
    str, StringConstraints(pattern=r"^[-._A-Za-z0-9]+$", min_length=1, max_length=253)
]
"""Key in a Secret."""
QUALIFIED_PATTERN = f"^({_SUBDOMAIN}/)?{_WORD}$"
"""A name with or without the domain of whoever uses it."""
LabelKey = Annotated[str, StringConstraints(pattern=QUALIFIED_PATTERN, max_length=317)]
"""Key of a label or of a taint."""
LabelValue = Annotated[str, StringConstraints(pattern=f"^({_WORD})?$", max_length=63)]
"""Value of a label or of a taint."""


def twice(words: Iterable[str]) -> str | None:
    """The first of `words` that stands there more than once."""
    return next((word for word, count in Counter(words).items() if count > 1), None)
