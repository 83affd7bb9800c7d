"""What can befall a run in a random sequence: one frozen value a step, printed as it is written, so that a failing one can be copied."""

from __future__ import annotations

from dataclasses import dataclass

from lightcompute.api.money import MicroUSD
from lightcompute.testing.trainer import Obstacle
from lightcompute.testing.troubles import Trouble


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Time passes, and who drives the loop looks when it wants to."""

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The cap is edited; None takes it away."""

    amount: MicroUSD | None


@dataclass(frozen=True, kw_only=True)
class Price:
    """A place has another price for an hour from now on."""

    place: int
    """0 for the first."""
    rate: MicroUSD


@dataclass(frozen=True, kw_only=True)
class Suspend:
    """spec.suspend is set."""

    value: bool


@dataclass(frozen=True, kw_only=True)
class Reedit:
    """Something else of the spec is changed: a run that failed is tried again."""

    priority: int


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A person asks for the end."""


@dataclass(frozen=True, kw_only=True)
class Delete:
    """A person deletes the run."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """Whoever drives the loop dies between two looks; another begins so much later."""

    down_seconds: float


@dataclass(frozen=True, kw_only=True)
class Strike:
    """Something happens at the call that changes the world so many calls from now: a crash, a loss, the begin of a cut."""

    calls: int
    trouble: Trouble
    seconds: float
    """How long nobody drives after a crash, or the place is away after a cut."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A place cannot be reached for so long."""

    place: int | None
    """None for all of them."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Obstruct:
    """Attempts that are started from now on do not begin; with None those that wait do."""

    obstacle: Obstacle | None


Step = Wait | Limit | Price | Suspend | Reedit | Stop | Delete | Kill | Strike | Cut | Obstruct
