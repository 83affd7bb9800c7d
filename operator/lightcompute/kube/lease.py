"""Who may act: one Lease object, and what its content means to somebody who waits for it. Pure: no request, no clock.

A Lease is free when nobody is named in it, or when it has not changed for as long as it is good, on the clock of whoever
watches it. Times in it are only compared with each other, never with a clock: clocks of two machines differ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Document = dict[str, Any]

LONGEST_SECONDS = 300.0
"""A Lease that claims to be good for longer is taken for one of so long."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a Lease says."""

    holder: str
    """Empty when nobody holds it."""
    seconds: float | None
    """How long it is good after it was renewed."""
    transitions: int
    """How often it changed hands: the fencing token of whoever holds it."""
    renewed: str
    """When it was renewed last, as text."""
    version: str
    document: Document = field(repr=False, compare=False)


def read(document: Document) -> Record:
    """What the Lease `document` says. What is missing in it says nothing."""
    spec = document.get("spec") or {}
    seconds = spec.get("leaseDurationSeconds")
    return Record(
        holder=str(spec.get("holderIdentity") or ""),
        seconds=None if seconds is None else min(float(seconds), LONGEST_SECONDS),
        transitions=int(spec.get("leaseTransitions") or 0),
        renewed=str(spec.get("renewTime") or ""),
        version=str(document["metadata"]["resourceVersion"]),
        document=document,
    )


def new(namespace: str, name: str) -> Document:
    """A Lease that nobody holds and that does not exist yet."""
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {},
    }


def held(
    document: Document, *, holder: str, seconds: int, transitions: int, now: datetime
) -> Document:
    """`document` held by `holder`, renewed `now`. Written with its resourceVersion, it replaces that version only."""
    spec = document.get("spec") or {}
    since = spec.get("acquireTime") if spec.get("holderIdentity") == holder else None
    changes = {
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "leaseTransitions": transitions,
        "acquireTime": since or _micro_time(now),
        "renewTime": _micro_time(now),
    }
    return document | {"spec": spec | changes}


def released(document: Document) -> Document:
    """`document` held by nobody: whoever waits takes it at once."""
    return document | {"spec": (document.get("spec") or {}) | {"holderIdentity": ""}}


class Sighting:
    """What somebody who waits has seen of a Lease, on their own clock."""

    def __init__(self) -> None:
        self._seen: Record | None = None
        self._since = 0.0

    def see(self, record: Record | None, now: float) -> None:
        """The Lease was `record` at `now`; None when there was none."""
        if record is None:
            # Whoever held it does not know yet that it was deleted: what was seen last goes on holding for its time.
            return
        if self._seen is None or _beat(record) != _beat(self._seen):
            self._since = now
        self._seen = record

    def free_in(self, now: float, *, default_seconds: float) -> float:
        """Seconds until it may be taken, if it does not change; not above 0 when it may be taken now."""
        if self._seen is None or not self._seen.holder:
            return 0.0
        seconds = default_seconds if self._seen.seconds is None else self._seen.seconds
        return self._since + seconds - now

    @property
    def holder(self) -> str:
        """Who held it when it was seen last."""
        return "" if self._seen is None else self._seen.holder

    @property
    def transitions(self) -> int:
        """How often it had changed hands when it was seen last; -1 when it was never seen."""
        return -1 if self._seen is None else self._seen.transitions


def _beat(record: Record) -> tuple[str, str, int]:
    """What changes when its holder renews it, and does not when somebody adds a label."""
    return (record.holder, record.renewed, record.transitions)


def _micro_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
