"""The line of runs that wait for a place: who may take what is free. By priority, then by age; nobody is passed over for ever.

Each run in turn is granted the first place in its own order that still has room for all its pods. One that finds none gets the
first place that is large enough for it kept: nobody behind it takes anything there until it is served or gives up, which it does
after its own preRunningDeadlineSeconds. So many small runs never starve a large one, and a place is kept for a bounded time.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lightcompute.api.status import Place
from lightcompute.core.room import Need, Room


@dataclass(frozen=True, kw_only=True)
class Want:
    """A place that would do, and what the run would take up there."""

    place: Place
    need: Need


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A run that would start now if it found a place."""

    uid: str
    label: str
    priority: int
    since: datetime
    """From when its age counts: its creation, so that a run which lost its place is not the last one again."""
    wants: tuple[Want, ...]
    """Every place that would do, best first."""

    @property
    def rank(self) -> Rank:
        """Its place in the line; the smallest is the first."""
        return (-self.priority, self.since, self.uid)


Rank = tuple[int, datetime, str]


class Line:
    """Who waits, by UID of the run; each one's position is at hand, however many there are."""

    def __init__(self) -> None:
        self._runs: dict[str, Waiting] = {}
        self._ranks: list[Rank] = []

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def runs(self) -> Iterable[Waiting]:
        """All of them, in no order."""
        return self._runs.values()

    def put(self, run: Waiting) -> Waiting | None:
        """`run` waits as it says; gives how it waited before."""
        before = self.leave(run.uid)
        self._runs[run.uid] = run
        insort(self._ranks, run.rank)
        return before

    def leave(self, uid: str) -> Waiting | None:
        """The run waits no more; gives how it waited, None where it did not."""
        run = self._runs.pop(uid, None)
        if run is not None:
            del self._ranks[bisect_left(self._ranks, run.rank)]
        return run

    def ahead(self, run: Waiting) -> int:
        """How many stand before `run`, which need not stand in it."""
        return bisect_left(self._ranks, run.rank)


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What is left for a run after all that stand before it."""

    granted: Place | None
    behind: Mapping[Place, str] = field(default_factory=dict)
    """Places before the granted one that had no room left at its turn, and for which run they are kept; "" for nobody."""


@dataclass(frozen=True, kw_only=True)
class Pools:
    """The pools that are lined up for."""

    rooms: Mapping[Place, Room]
    """What is free."""
    whole: Mapping[Place, Room]
    """What would be free with nothing in them."""


class Plan:
    """Everybody's turn."""

    def __init__(self, pools: Pools) -> None:
        self._rooms = dict(pools.rooms)
        self._whole = pools.whole
        self._last: dict[Place, str] = {}
        self._end: Rank | None = None
        self.turns: dict[str, Turn] = {}

    def is_behind_all(self, run: Waiting) -> bool:
        """Whether `run` stands behind everybody in the plan."""
        return self._end is None or run.rank > self._end

    def add(self, run: Waiting) -> Turn:
        """The turn of `run`, which stands behind everybody that was added before."""
        self._end = run.rank
        behind: dict[Place, str] = {}
        granted: Want | None = None
        for want in run.wants:
            room = self._rooms.get(want.place)
            if room is None or room.holds(want.need):
                granted = want
                break
            behind[want.place] = self._last.get(want.place, "")
        if granted is not None:
            self._take(granted, run.label)
        else:
            self._keep(run)
        turn = Turn(granted=None if granted is None else granted.place, behind=behind)
        self.turns[run.uid] = turn
        return turn

    def _take(self, want: Want, label: str) -> None:
        room = self._rooms.get(want.place)
        if room is not None:  # where nothing is counted, everybody finds room
            self._rooms[want.place] = room.without(want.need)
            self._last[want.place] = label

    def _keep(self, run: Waiting) -> None:
        for want in run.wants:
            if self._whole[want.place].holds(want.need):
                self._rooms[want.place] = self._rooms[want.place].closed()
                self._last[want.place] = run.label
                return


def line_up(waiting: Iterable[Waiting], pools: Pools) -> Plan:
    """The plan for all of `waiting`; the order that they come in does not matter."""
    plan = Plan(pools)
    for run in sorted(waiting, key=lambda run: run.rank):
        plan.add(run)
    return plan
