"""The TrainingRuns as they were last seen, each in its newest version: what watches and our own writes tell, read once a version.

Not the truth: a write that is based on it is checked against the version by the API server, and a resync compares it with a list.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lightcompute.api.training_run import TrainingRun
from lightcompute.kube.reading import ReadRun, read_run


@dataclass(kw_only=True, slots=True)
class _Slot:
    namespace: str
    name: str
    version: str
    document: dict[str, Any] | None = None
    """As it came; read when it is wanted, and then let go."""
    read: ReadRun | None = None


@dataclass(kw_only=True)
class RunStore:
    """Runs by UID."""

    _slots: dict[str, _Slot] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._slots)

    def keys(self) -> tuple[str, ...]:
        """UIDs of all runs."""
        return tuple(self._slots)

    def name(self, uid: str) -> tuple[str, str] | None:
        """Namespace and name of the run with `uid`."""
        slot = self._slots.get(uid)
        return None if slot is None else (slot.namespace, slot.name)

    def versions(self) -> dict[str, str]:
        """The version that is known of each run."""
        return {uid: slot.version for uid, slot in self._slots.items()}

    def seen(self, document: dict[str, Any]) -> str | None:
        """Takes in a run as the API server has it; its UID when that is news, None when this version or a later one is known."""
        metadata = document["metadata"]
        uid, version = str(metadata["uid"]), str(metadata["resourceVersion"])
        known = self._slots.get(uid)
        if known is not None and not is_newer(version, known.version):
            return None
        self._slots[uid] = _Slot(
            namespace=str(metadata.get("namespace") or ""),
            name=str(metadata["name"]),
            version=version,
            document=document,
        )
        return uid

    def gone(self, uid: str) -> None:
        """The run with `uid` does not exist any more."""
        self._slots.pop(uid, None)

    def get(self, uid: str) -> ReadRun | None:
        """The run with `uid`; None when there is none. Raises Unreadable."""
        slot = self._slots.get(uid)
        if slot is None:
            return None
        if slot.read is None:
            assert slot.document is not None, "a slot holds one form or the other"
            slot.read = read_run(slot.document)
            slot.document = None
        return slot.read

    def readable(self) -> tuple[TrainingRun, ...]:
        """Every run that can be read and was, for figures over all of them."""
        return tuple(slot.read.run for slot in self._slots.values() if slot.read is not None)

    def wrote(self, run: TrainingRun) -> None:
        """Takes in what we wrote ourselves, so that the watch's echo of it is no news."""
        slot = self._slots.get(run.metadata.uid)
        version = run.metadata.resource_version or ""
        if slot is None or slot.read is None or not is_newer(version, slot.version):
            return
        slot.version = version
        slot.read = ReadRun(run=run, faults=slot.read.faults)


def is_newer(version: str, known: str) -> bool:
    """Whether `version` comes after `known`. Versions of one kind are numbers that grow; what is no number is always news."""
    if version.isdecimal() and known.isdecimal():
        return int(version) > int(known)
    return version != known
