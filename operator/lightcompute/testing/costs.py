"""What a simulated attempt truly costs: price by price, to the microsecond, unrounded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from lightcompute.api.money import MicroUSD
from lightcompute.core.snapshot import Offer
from lightcompute.testing.trainer import SimulatedAttempt


def true_cost(
    attempt: SimulatedAttempt,
    now: datetime,
    offers: Iterable[Offer],
    prices: Mapping[str, Sequence[tuple[datetime, MicroUSD]]],
) -> Fraction:
    """Micro-dollars until `now`; `prices` are the changes by place, each from its time on."""
    place = str(attempt.order.place)
    start, end = attempt.start_time, min(now, attempt.end().time)
    known = prices.get(place, [])
    initial = next(o.rate_per_hour for o in offers if o.place == attempt.order.place)
    if known:
        initial = next(rate for time, rate in reversed(known) if time <= start)
    changes = [(start, initial)] + [(time, rate) for time, rate in known if time > start]
    total = Fraction()
    for (begin, rate), (until, _) in zip(changes, [*changes[1:], (end, 0)], strict=True):
        held = max(min(until, end) - begin, timedelta())
        total += Fraction(rate * (held // timedelta(microseconds=1)), 3_600_000_000)
    return total
