"""What people ask of an attempt as it runs, read by rank 0 between two steps: save now, and leave these checkpoints alone.

Whoever writes the folder is not the training: what cannot be read is told once and changes nothing. A request that was there when
the attempt began was made to another one, which has saved since or was killed; it asks for nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from runcontract.requests import (
    CHECKPOINT_NOW,
    MAX_PINS_BYTES,
    MAX_REQUEST_BYTES,
    PINS,
    UnreadableRequest,
    parse_pins,
    parse_request,
)

LOOK_SECONDS = 1.0
"""Time between two looks into the folder; steps may be a thousand times as fast."""
MOST_COMPLAINTS = 100
"""Faults that are told in one attempt: a program that writes nonsense each second must not fill the log."""


class Requests:
    """The folder of requests; None for an attempt that has none. Made when the attempt begins."""

    def __init__(self, folder: Path | None, *, clock: Callable[[], float]) -> None:
        self.pins: frozenset[int] = frozenset()
        """Steps that are pinned. A text that cannot be read in full takes no pin away."""
        self._folder = folder
        self._clock = clock
        self._asked = self._at_begin = self._served = ""
        self._complaints: set[str] = set()
        self._looked_s = clock() - LOOK_SECONDS
        self._fresh: list[str] = []
        self._look()
        self._at_begin = self._asked

    def look(self, *, at_once: bool = False) -> list[str]:
        """Looks into the folder where the last look was a second ago, or `at_once`; complaints that were not made yet."""
        if at_once or self._clock() - self._looked_s >= LOOK_SECONDS:
            self._look()
        fresh, self._fresh = self._fresh, []
        return fresh

    def take(self) -> str | None:
        """The request for a checkpoint that was not served yet; the caller serves it now."""
        if self._asked in {"", self._at_begin, self._served}:
            return None
        self._served = self._asked
        return self._asked

    def _look(self) -> None:
        if self._folder is None:
            return
        self._looked_s = self._clock()
        raw = self._read(self._folder / CHECKPOINT_NOW, MAX_REQUEST_BYTES)
        if raw is not None:
            try:
                self._asked = parse_request(raw)
            except UnreadableRequest as error:
                self._complain(CHECKPOINT_NOW, str(error), "a short line of text")
        raw = self._read(self._folder / PINS, MAX_PINS_BYTES)
        if raw is not None:
            found = parse_pins(raw)
            self.pins = found.steps | (self.pins if found.unreadable else frozenset())
            if found.unreadable:
                self._complain(PINS, found.unreadable, "steps separated by commas")

    def _read(self, path: Path, most_bytes: int) -> bytes | None:
        """The file's bytes, one more than `most_bytes` at most; none of a file that is not there; None where it cannot be read."""
        try:
            # Not blocking: a pipe of that name must not hold up a training.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return b""
        except OSError as error:
            self._complain(path.name, error.strerror or str(error), "a file that can be read")
            return None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                self._complain(path.name, "something else than a file", "a file")
                return None
            return os.read(descriptor, most_bytes + 1)
        except OSError as error:
            self._complain(path.name, error.strerror or str(error), "a file that can be read")
            return None
        finally:
            os.close(descriptor)

    def _complain(self, name: str, found: str, expected: str) -> None:
        complaint = f"requests/{name}: found {found}; expected {expected}"
        if complaint not in self._complaints and len(self._complaints) < MOST_COMPLAINTS:
            self._complaints.add(complaint)
            self._fresh.append(complaint)
