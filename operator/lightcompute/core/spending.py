"""What was spent when: each charge of a ledger, cut at the edges of periods so that the parts add up to the whole, exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from lightcompute.api.money import MicroUSD, charge
from lightcompute.api.status import Attempt, FoldedCharges, TrainingRunStatus
from lightcompute.core.ledger import MICROSECOND


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Money that was spent from `start` to `end`. Sums of charges that are no longer listed count at the time they began: then both are equal."""

    start: datetime
    end: datetime
    held: timedelta
    cost: MicroUSD
    rate_per_hour: MicroUSD | None = None
    """The price; None for a sum over several."""

    def within(self, start: datetime, end: datetime) -> Spent | None:
        """The part that falls into the time from `start` up to and without `end`; None where none does."""
        if self.rate_per_hour is None:
            return self if start <= self.start < end else None
        first, last = max(self.start, start), min(self.end, end)
        if first >= last:
            return None
        # What it had cost by then, less what it had cost before: roundings cancel out.
        until = charge(self.rate_per_hour, last - self.start)
        before = charge(self.rate_per_hour, first - self.start)
        return Spent(
            start=first,
            end=last,
            held=last - first,
            cost=until - before,
            rate_per_hour=self.rate_per_hour,
        )


def spent_by(status: TrainingRunStatus, now: datetime) -> Iterator[Spent]:
    """Everything that the run was charged up to `now`, oldest first."""
    earlier = status.earlier_attempts.charges
    if earlier.count and status.start_time is not None:
        yield _sum(earlier, status.start_time)
    for attempt in status.attempts:
        yield from _of_attempt(attempt, now)


def _of_attempt(attempt: Attempt, now: datetime) -> Iterator[Spent]:
    if attempt.folded.count:
        yield _sum(attempt.folded, attempt.start_time or attempt.reserved_time)
    for segment in attempt.charges:
        end = max(segment.end_time or now, segment.start_time)
        held = end - segment.start_time
        yield Spent(
            start=segment.start_time,
            end=end,
            held=held,
            cost=charge(segment.rate_per_hour_usd, held),
            rate_per_hour=segment.rate_per_hour_usd,
        )


def _sum(folded: FoldedCharges, began: datetime) -> Spent:
    held = folded.held_microseconds * MICROSECOND
    return Spent(start=began, end=began, held=held, cost=folded.cost_usd)
