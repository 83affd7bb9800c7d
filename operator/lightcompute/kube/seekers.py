"""Runs that found no place, and what is to be told to them: a cluster that can be used again, has other terms, or has grown.

Whoever wants a place that is not to be had stands in no line for it. Without a word it would come again at its next round only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lightcompute.api.reasons import Reason
from lightcompute.api.words import FINISHED
from lightcompute.core.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A cluster that can be used."""

    generation: int
    """Of its TrainingCluster: prices and namespaces are as that says."""
    nodes: int
    """How many there are, or may come to be, in its pools."""


class Seekers:
    """Who seeks, and what there was when it was last asked who is to be told."""

    def __init__(self) -> None:
        self._too_large: dict[str, bool] = {}
        """By UID of the run: whether it was too large for some pool."""
        self._open: Mapping[str, Opened] = {}

    def note(self, snapshot: Snapshot) -> None:
        """The run of `snapshot`, with all that places have to say, seeks or does not."""
        run = snapshot.run
        attempts = run.status.attempts
        if run.status.phase in FINISHED or (attempts and attempts[-1].is_live):
            self.forget(run.metadata.uid)
            return
        reasons = {offer.unavailable for offer in snapshot.offers}
        self._too_large[run.metadata.uid] = Reason.TOO_LARGE in reasons

    def forget(self, run_uid: str) -> None:
        """The run seeks no more."""
        self._too_large.pop(run_uid, None)

    def told(self, opened: Mapping[str, Opened]) -> Iterator[str]:
        """Who is to look again, now that the clusters `opened` can be used."""
        before, self._open = self._open, opened
        if any(_is_another(before.get(name), now) for name, now in opened.items()):
            return iter(tuple(self._too_large))
        grown = any(
            name in before and now.nodes > before[name].nodes for name, now in opened.items()
        )
        return iter(tuple(uid for uid, large in self._too_large.items() if large and grown))


def _is_another(before: Opened | None, now: Opened) -> bool:
    return before is None or before.generation != now.generation
