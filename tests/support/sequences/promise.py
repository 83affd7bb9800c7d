"""What the simulator alone knows: what a run would cost if from now on nobody but its place did anything, and every trainer were deaf."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction

from lightcompute.api.money import MicroUSD
from lightcompute.api.status import Place
from lightcompute.testing.trainer import NEVER, SimulatedAttempt
from lightcompute.testing.world import World

MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS_PER_HOUR = 3_600_000_000


def cost_of(rate: Fraction | MicroUSD, held: timedelta) -> Fraction:
    """Micro-dollars for `held`, unrounded."""
    return Fraction(rate * max(held // MICROSECOND, 0)) / _MICROSECONDS_PER_HOUR


def true_rate(world: World, place: Place) -> MicroUSD:
    """What an hour truly costs at `place` now."""
    return next(offer.rate_per_hour for offer in world.offers if offer.place == place)


def worst_end(attempt: SimulatedAttempt) -> datetime | None:
    """When `attempt` is gone at the latest, by what its place knows; None where its place would let it live for ever."""
    terms: list[datetime] = []
    begins = attempt.asked_time if attempt.start_time == NEVER else attempt.start_time
    if attempt.deadline_seconds is not None:
        terms.append(begins + timedelta(seconds=attempt.deadline_seconds))
    if attempt.stop_time is not None:
        terms.append(
            max(attempt.stop_time, begins, attempt.begin_time if _holds(attempt) else begins)
        )
    ends = [term + timedelta(seconds=attempt.order.grace_seconds) for term in terms]
    if attempt.kill_time is not None:
        ends.append(max(attempt.kill_time, begins))
    return min(ends, default=None)


def _holds(attempt: SimulatedAttempt) -> bool:
    return attempt.start_time != NEVER


def promised(world: World) -> Fraction | None:
    """True cost in the end, at worst, at the prices of now; None where nothing ends it."""
    total = world.true_cost()
    for number in world.live_attempts():
        attempt = world.attempts[number]
        end = worst_end(attempt)
        if end is None:
            return None
        begin = world.now if not _holds(attempt) else max(world.now, attempt.start_time)
        total += cost_of(true_rate(world, attempt.order.place), end - begin)
    return total
