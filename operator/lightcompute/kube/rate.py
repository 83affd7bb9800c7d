"""A token bucket: how many requests a second one cluster's API server gets from us, whatever there is to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class TokenBucket:
    """Lets `burst` requests pass at once and `per_second` in the long run, in the order in which they came."""

    def __init__(
        self, *, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()

    async def take(self) -> None:
        """Returns when the next request may go."""
        wait_seconds = self.reserve()
        if wait_seconds > 0:
            await asyncio.sleep(wait_seconds)

    def reserve(self) -> float:
        """Takes a token, on credit where there is none; returns the seconds until it is there."""
        now = self._clock()
        filled = self._tokens + (now - self._filled_at) * self._per_second
        self._filled_at = now
        self._tokens = min(filled, self._burst) - 1.0
        return max(0.0, -self._tokens / self._per_second)
