"""What runs have reserved: for each run the place of its live attempt, from the moment that its record is about to be written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lightcompute.api.status import Place, TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.market import need_of
from lightcompute.core.room import Need


@dataclass(frozen=True, kw_only=True)
class Hold:
    """The place of a live attempt, and what it takes up there."""

    run_uid: str
    attempt: int
    place: Place
    need: Need


class Holds:
    """By UID of the run. `changed` is called when one comes, goes or moves."""

    def __init__(self) -> None:
        self._by_run: dict[str, Hold] = {}
        self._by_cluster: dict[str, dict[str, Hold]] = defaultdict(dict)
        self.changed: Callable[[Hold | None, Hold | None], None] = lambda _before, _after: None

    def of(self, cluster: str) -> Iterable[Hold]:
        """Those in `cluster`."""
        return self._by_cluster[cluster].values()

    def put(self, run_uid: str, hold: Hold | None) -> None:
        """The run holds `hold` now, or nothing."""
        before = self._by_run.get(run_uid)
        if before == hold:
            return
        if before is not None:
            del self._by_run[run_uid]
            del self._by_cluster[before.place.cluster][run_uid]
        if hold is not None:
            self._by_run[run_uid] = hold
            self._by_cluster[hold.place.cluster][run_uid] = hold
        self.changed(before, hold)


def hold_of(run: TrainingRun, status: TrainingRunStatus, gpu_resource: str) -> Hold | None:
    """What `run` holds by `status`; None without a live attempt, and for one that waits in a queue."""
    live = status.attempts[-1] if status.attempts and status.attempts[-1].is_live else None
    if live is None or (live.queue_name is not None and live.start_time is None):
        return None
    return Hold(
        run_uid=run.metadata.uid,
        attempt=live.number,
        place=live.place,
        need=need_of(run, gpu_resource),
    )
