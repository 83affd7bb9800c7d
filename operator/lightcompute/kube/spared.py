"""What an API server wants not to be asked for a time: its answers 429 and 503 say for how long (Retry-After).

A look that met such an answer may be woken earlier by any change. The server is not asked for the same all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from lightcompute.backend import PermanentFault, TemporaryFault


class Spared:
    """Requests by method and path, each until a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def note(self, method: str, path: str, fault: TemporaryFault | PermanentFault) -> None:
        """Such a request met `fault`; keeps the time that it names, if it names one."""
        if isinstance(fault, TemporaryFault) and fault.retry_after_seconds is not None:
            self._forget_what_is_over()
            self._until[method, path] = self._clock() + fault.retry_after_seconds

    def check(self, method: str, path: str) -> None:
        """Raises TemporaryFault while such a request is to be spared."""
        if not self._until:
            return
        seconds = self._until.get((method, path), 0.0) - self._clock()
        if seconds > 0:
            raise TemporaryFault(
                f"{method} {path} is not asked: the API server wants to be spared for a time",
                retry_after_seconds=seconds,
            )

    def _forget_what_is_over(self) -> None:
        now = self._clock()
        self._until = {request: until for request, until in self._until.items() if until > now}
