"""What may go wrong at one call to the simulated world."""

from __future__ import annotations

from enum import Enum, auto


class SimulatedCrash(BaseException):
    """The process that drives the loop died here. Nothing catches it but the driver of the simulation."""


class Trouble(Enum):
    """What happens at one call to the world."""

    CRASH_BEFORE = auto()
    CRASH_AFTER = auto()
    CUT_OFF = auto()
    """The place cannot be reached from now on, for `World.cut_seconds`."""
    REQUEST_LOST = auto()
    RESPONSE_LOST = auto()
