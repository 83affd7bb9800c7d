"""Many runs that are played at once while something is done to the operator, and which of them did not end as they should."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.run_spaces import Space
from support.workloads import WORKLOADS, Outcome, settled

_MOST = 400
_BETWEEN = "--"
"""Stands between a workload's name and what makes a run of it one of its own."""


@dataclass(kw_only=True)
class Drill:
    """The runs by name, and what comes of each."""

    space: Space
    pool: ThreadPoolExecutor
    played: dict[str, Future[Outcome]] = field(default_factory=dict)

    def play(self, run: str) -> None:
        """Plays the workload that the name begins with."""
        workload = WORKLOADS[workload_of(run)]

        def play() -> Outcome:
            return settled(workload.play(self.space, run), workload.ends)

        self.played[run] = self.pool.submit(play)

    def play_all(self, mark: str, workloads: Iterable[str] = tuple(WORKLOADS)) -> None:
        """Plays a run of each workload."""
        for name in workloads:
            self.play(named(name, mark))

    def is_over(self, run: str) -> bool:
        """Whether it came to an end, whichever."""
        return self.played[run].done()

    def wrong(self) -> dict[str, str]:
        """Runs that did not end as they should, and how they did; waits for all."""
        found = {run: future.exception() or future.result() for run, future in self.played.items()}
        return {
            run: str(each)[:4000]
            for run, each in found.items()
            if each != WORKLOADS[workload_of(run)].ends
        }


@contextmanager
def a_drill(space: Space) -> Iterator[Drill]:
    """One in a pool of threads, each of which waits for most of its time."""
    with ThreadPoolExecutor(max_workers=_MOST) as pool:
        yield Drill(space=space, pool=pool)


def named(workload: str, mark: str) -> str:
    """Name of a run of a workload."""
    return f"{workload}{_BETWEEN}{mark}"


def workload_of(run: str) -> str:
    """The workload that a run is of."""
    return run.partition(_BETWEEN)[0]
