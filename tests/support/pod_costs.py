"""How long the pods of a run truly held their nodes, from the record of all changes and not from anything that an operator wrote."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from support.run_audit import Change, Kind

Document = dict[str, Any]


def held_seconds(changes: Iterable[Change], run_uid: str) -> float:
    """Seconds from the binding of each pod to the end of its last container, over all pods of the run. They are all over."""
    newest: dict[str, Document] = {}
    for change in changes:
        if change.kind is Kind.POD and change.owner[0] == run_uid:
            newest[change.uid] = change.document
    spans = [_span(pod) for pod in newest.values()]
    return sum(span for span in spans if span is not None)


def _span(pod: Document) -> float | None:
    """None for a pod that no node took in."""
    bound = [
        each["lastTransitionTime"]
        for each in pod["status"].get("conditions", ())
        if each["type"] == "PodScheduled" and each["status"] == "True"
    ]
    if not bound:
        return None
    ends = [
        each["state"]["terminated"]["finishedAt"] for each in pod["status"]["containerStatuses"]
    ]
    return (_time(max(ends)) - _time(bound[0])).total_seconds()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
