"""Reasons to stop that come from outside: a signal, and the end of the time that the budget pays for.

A signal that comes while nothing needs saving ends the process at once; from the first step on it is a note that the loop
reads between two steps.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType

_IMPORTED = time.monotonic()


class StopRequestedError(Exception):
    """SIGTERM or SIGINT came before there was anything to save."""


class StopSignals:
    """Listens to SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._noted_only = False

    def listen(self) -> None:
        """From now on a signal raises `StopRequestedError` in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def note_only(self) -> None:
        """From now on a signal is noted for `requested` and nothing else happens."""
        self._noted_only = True

    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._received is not None

    @property
    def received(self) -> signal.Signals | None:
        """The newest signal that has come."""
        return self._received

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        first = self._received is None
        self._received = signal.Signals(number)
        if first and not self._noted_only:
            raise StopRequestedError(self._received.name)


def seconds_since_process_start() -> float:
    """Age of this process; interpreter start and imports included where the system tells."""
    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        uptime_s = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    except OSError:
        return time.monotonic() - _IMPORTED
    return uptime_s - int(fields[19]) / os.sysconf("SC_CLK_TCK")


class Deadline:
    """The moment at which the process must have left, and what has to fit before it."""

    MARGIN_S = 2.0
    """For results and the interpreter's own end."""

    def __init__(self, stop_after_seconds: int | None) -> None:
        self._at = (
            None
            if stop_after_seconds is None
            else time.monotonic() - seconds_since_process_start() + stop_after_seconds
        )

    def seconds_left(self) -> float | None:
        """Seconds until the process must have left; None without a deadline."""
        return None if self._at is None else self._at - time.monotonic()

    def allows(self, *, work_s: float, save_s: float) -> bool:
        """Whether `work_s` more of work leave the time to save."""
        left = self.seconds_left()
        return left is None or work_s + save_s * 1.5 + self.MARGIN_S < left
