"""Workers: take a key, look at the run once, note when to look again. A fault of one run, a bug included, touches no other.

There are as many looks at once as there are workers, and no task, thread or timer for each run.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from lightcompute.kube.log_lines import about
from lightcompute.kube.work import WorkQueue
from lightcompute.loop import Look

logger = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0
STUCK_SECONDS = 120.0
"""No look takes so long by itself: each of its requests has a time limit of its own."""


class Looks(Protocol):
    """One look at a run: `lightcompute.loop.Loop`."""

    async def step(self, key: str, now: datetime) -> Look:
        """Looks at the run `key`."""


class Runs(Protocol):
    """What workers need of the runs: `runs.RunStore`."""

    def name(self, uid: str) -> tuple[str, str] | None:
        """Namespace and name of the run."""

    def gone(self, uid: str) -> None:
        """The run does not exist any more."""


class Tally(Protocol):
    """Who counts looks: `metrics.Metrics`."""

    def looked(self, seconds: float) -> None:
        """A look took so long."""

    def faulted(self, kind: str) -> None:
        """Nothing came of a look; `kind` is `world`, `conflict` or `bug`."""


class Workers:
    """Looks at what the queue hands out."""

    def __init__(
        self,
        queue: WorkQueue,
        looks: Looks,
        runs: Runs,
        tally: Tally,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._looks = looks
        self._runs = runs
        self._tally = tally
        self._now = now
        self._clock = clock
        self._begun: dict[str, float] = {}
        """Keys that are looked at now, and since when."""
        self._bugs: dict[str, int] = {}
        """How often in a row a look at a key ended in an exception nobody foresaw."""
        self._faults: dict[str, str] = {}
        """What the last look at a key came to nothing for."""
        self._told: dict[str, tuple[str, str, int]] = {}
        """What was last logged of each run, so that the same is not logged again."""

    async def run(self, count: int) -> None:
        """`count` workers, until the queue is closed and the looks under way are done."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._work(), name=f"worker {number}")

    def stuck(self, seconds: float = STUCK_SECONDS) -> tuple[str, ...]:
        """Keys whose look has taken longer than `seconds`."""
        now = self._clock()
        return tuple(key for key, since in self._begun.items() if now - since > seconds)

    async def _work(self) -> None:
        while (key := await self._queue.take()) is not None:
            self._begun[key] = self._clock()
            try:
                with about(**self._labels(key)):
                    await self._look(key)
            finally:
                self._tally.looked(self._clock() - self._begun.pop(key))
                self._queue.done(key)

    async def _look(self, key: str) -> None:
        now = self._now()
        try:
            look = await self._looks.step(key, now)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one run must not stop the others or the process
            self._had_a_bug(key, error)
            return
        self._bugs.pop(key, None)
        if look.gone:
            self._forget(key)
            return
        if look.fault:
            self._had_a_fault(key, look.fault, again_at_once=look.look_again_at == now)
        else:
            self._faults.pop(key, None)
        self._tell(key, look)
        if look.look_again_at is not None:
            seconds = (look.look_again_at - self._now()).total_seconds()
            self._queue.add_at(key, self._clock() + max(0.0, seconds))

    def _had_a_bug(self, key: str, error: Exception) -> None:
        times = self._bugs.get(key, 0)
        self._bugs[key] = times + 1
        wait_seconds = min(FIRST_WAIT_SECONDS * 2.0 ** min(times, 30), LONGEST_WAIT_SECONDS)
        self._tally.faulted("bug")
        logger.error(
            "This was not foreseen; the run is looked at again in %.0f s.",
            wait_seconds,
            exc_info=error,
        )
        self._queue.add_at(key, self._clock() + wait_seconds)

    def _had_a_fault(self, key: str, fault: str, *, again_at_once: bool) -> None:
        """Tells of each fault once: an API server that is away for an hour would fill the log with it."""
        # The loop looks again at once after a conflict only: somebody was faster, which is no trouble.
        self._tally.faulted("conflict" if again_at_once else "world")
        known = again_at_once or self._faults.get(key) == fault
        logger.log(logging.DEBUG if known else logging.WARNING, "Nothing came of a look: %s", fault)
        self._faults[key] = fault

    def _forget(self, key: str) -> None:
        self._faults.pop(key, None)
        self._runs.gone(key)
        self._queue.forget(key)
        if self._told.pop(key, None) is not None:
            logger.info("The run is gone.")

    def _tell(self, key: str, look: Look) -> None:
        """One line for each decision that changed something; progress and cost alone are no decision."""
        if look.run is None or look.decision is None or not look.changed:
            return
        status = look.run.status
        newest = status.attempts[-1] if status.attempts else None
        told = (status.phase.value, look.decision.reason.value, newest.number if newest else 0)
        if self._told.get(key) == told:
            logger.debug("%s: %s", look.decision.reason.value, look.decision.message)
            return
        self._told[key] = told
        labels: dict[str, str | int] = {}
        if newest is not None:
            labels = {"attempt": newest.number, "cluster": newest.place.cluster}
        with about(**labels):
            logger.info("%s: %s", look.decision.reason.value, look.decision.message)

    def _labels(self, key: str) -> dict[str, str | int]:
        name = self._runs.name(key)
        return {"uid": key} if name is None else {"uid": key, "namespace": name[0], "run": name[1]}
