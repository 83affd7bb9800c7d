"""What Kubernetes tells of a Job or pod only by Events: a quota that lets no pod come to be, a volume that cannot be mounted.

Asked for only where an attempt does not begin, so that a run always says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lightcompute.kube.client import Document

# What differs from one telling to the next would make a status change for ever.
_COUNTING = re.compile(r"\s*\((combined from similar events)\)[:,]?\s*")
_GENERATED_NAME = re.compile(r'(pods? "[^"]*)-[a-z0-9]{5}"')
_LONGEST = 400


def newest_warning(events: Iterable[Document]) -> str:
    """Reason and message of the newest Warning among `events`; nothing where there is none."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    if not warnings:
        return ""
    newest = max(warnings, key=_time)
    message = _COUNTING.sub("", str(newest.get("message") or ""))
    message = _GENERATED_NAME.sub(r'\1"', message)
    return f"{newest.get('reason')}: {message}"[:_LONGEST]


def _time(event: Document) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event.get("firstTimestamp")
        or ""
    )
