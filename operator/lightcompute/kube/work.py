"""What is to be looked at, and when: keys, each at most once in it, and never worked on twice at a time.

It knows nothing of runs. Memory is in proportion to the keys that wait, are due later, or are worked on. Nothing here survives a
crash, and nothing is lost with it: after a start every run is added anew.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import OrderedDict, deque
from collections.abc import Callable

COALESCE_SECONDS = 0.3
LONGEST_COALESCE_SECONDS = 5.0
_FOR_EACH_THAT_WAITS = 0.005


def coalesce_seconds(waiting: int) -> float:
    """Time from a change of a run's children to the look at it, when so many keys wait: the more, the longer.

    What waits goes first then, new runs above all, and each of the many that started is looked at once instead of at every change.
    """
    return min(COALESCE_SECONDS + waiting * _FOR_EACH_THAT_WAITS, LONGEST_COALESCE_SECONDS)


class WorkQueue:
    """First come, first served. A key that is added while it is worked on is worked on once more after that."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ready: OrderedDict[str, float] = OrderedDict()
        """Keys that wait for a worker, and since when."""
        self._working: set[str] = set()
        self._again: set[str] = set()
        """Keys that were added while they were worked on."""
        self._due: dict[str, float] = {}
        self._times: list[tuple[float, str]] = []
        """A heap over `_due`; entries that no longer agree with it are passed over."""
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False

    def __len__(self) -> int:
        """How many keys wait for a worker."""
        return len(self._ready)

    @property
    def scheduled(self) -> int:
        """How many keys have a time at which they will be added."""
        return len(self._due)

    @property
    def oldest_seconds(self) -> float:
        """How long the key has waited that has waited longest; 0 when none waits."""
        since = next(iter(self._ready.values()), None)
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def add(self, key: str) -> None:
        """`key` is to be worked on as soon as may be."""
        if key in self._working:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = self._clock()
            self._wake()

    def add_at(self, key: str, when: float) -> None:
        """`key` is to be added at `when` on the clock. Of several times the earliest holds."""
        if self._due.get(key, when + 1.0) <= when:
            return
        self._due[key] = when
        heapq.heappush(self._times, (when, key))
        self._forget_overtaken_times()
        if self._waiters and self._times[0][1] == key:
            self._set_timer()

    def forget(self, key: str) -> None:
        """The time that `key` is due at does not matter any more."""
        self._due.pop(key, None)

    def next(self) -> str | None:
        """The key to be worked on now, and by nobody else until `done`; None when there is none."""
        self._add_what_is_due()
        if not self._ready:
            return None
        key, _ = self._ready.popitem(last=False)
        self._working.add(key)
        return key

    def done(self, key: str) -> None:
        """`key` is no longer worked on."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    async def take(self) -> str | None:
        """`next`, as soon as there is one; None once the queue is closed."""
        while not self.closed:
            key = self.next()
            if key is not None:
                return key
            await self._something_to_do()
        return None

    def close(self) -> None:
        """No key is handed out any more."""
        self.closed = True
        self._wake(len(self._waiters))
        if self._timer is not None:
            self._timer.cancel()

    async def _something_to_do(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        self._set_timer()
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self._wake()  # It was woken for a key: somebody else must take it.
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _wake(self, count: int = 1) -> None:
        while count > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                count -= 1

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._times:
            seconds = max(0.0, self._times[0][0] - self._clock())
            self._timer = asyncio.get_running_loop().call_later(seconds, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._add_what_is_due()
        if self._waiters:
            self._set_timer()

    def _add_what_is_due(self) -> None:
        now = self._clock()
        while self._times and self._times[0][0] <= now:
            when, key = heapq.heappop(self._times)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)

    def _forget_overtaken_times(self) -> None:
        if len(self._times) > 2 * len(self._due) + 64:
            self._times = [(when, key) for key, when in self._due.items()]
            heapq.heapify(self._times)
