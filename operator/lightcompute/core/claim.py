"""What a run takes of a TrainingBudget, period by period: what it was charged, and what its live attempt may still cost at worst.

Both follow from the run's own record, so nothing else has to be kept: an attempt is recorded before it is started, with the deadline that
its place will keep whoever is dead, and that record is its reservation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lightcompute.api.money import MicroUSD, charge
from lightcompute.api.status import Attempt, TrainingRunStatus
from lightcompute.core.budget import Terms, certain_end, latest_start, rate_of
from lightcompute.core.ledger import open_charge
from lightcompute.core.period import Calendar
from lightcompute.core.revise import revised
from lightcompute.core.spending import Spent, spent_by

LONGEST_IN_A_QUEUE = timedelta(days=62)
"""A queue may let an attempt begin at any time; so far ahead its money is kept in each period."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Amounts by the start of their period."""

    spent: Mapping[datetime, MicroUSD] = field(default_factory=dict)
    """Charged already, but for the open segment of a live attempt."""
    promised: Mapping[datetime, MicroUSD] = field(default_factory=dict)
    """What the live attempt costs at worst: its open segment from its start, or all of it."""
    endless: bool = False
    """Whether its place keeps no deadline for the live attempt: there is no end to what it may cost."""
    since: datetime | None = None
    """When the live attempt was recorded; None where there is none."""

    def of(self, start: datetime) -> MicroUSD:
        """Both, in the period that begins at `start`."""
        return self.spent.get(start, 0) + self.promised.get(start, 0)


def claim_of(
    status: TrainingRunStatus, calendar: Calendar, terms: Terms, *, now: datetime
) -> Claim:
    """What the run takes. Nothing of it depends on `now` but what an attempt without a deadline has cost."""
    live = status.attempts[-1] if status.attempts and status.attempts[-1].is_live else None
    spent = spent_in(without_open_charge(status), calendar, now=now)
    if live is None:
        return Claim(spent=spent)
    endless = live.deadline_seconds is None and rate_of(live) > 0
    return Claim(
        spent=spent,
        promised=_promised(live, calendar, terms, now),
        endless=endless,
        since=live.reserved_time,
    )


def spent_in(
    status: TrainingRunStatus, calendar: Calendar, *, now: datetime
) -> dict[datetime, MicroUSD]:
    """What was charged up to `now`, by the start of the period."""
    total: Counter[datetime] = Counter()
    for spent in spent_by(status, now):
        total.update(_by_period(spent, calendar))
    return dict(total)


def without_open_charge(status: TrainingRunStatus) -> TrainingRunStatus:
    """`status` without the segment that is being charged."""
    live = status.attempts[-1] if status.attempts else None
    if live is None or open_charge(live) is None:
        return status
    before = revised(live, charges=live.charges[:-1])
    return revised(status, attempts=(*status.attempts[:-1], before))


def worst_of(
    start: datetime, latest: datetime, held: timedelta, rate: MicroUSD, calendar: Calendar
) -> dict[datetime, MicroUSD]:
    """What `held` at `rate` costs at most in each period, if it begins anywhere from `start` to `latest`."""
    if start == latest:
        return _by_period(
            Spent(
                start=start,
                end=start + held,
                held=held,
                cost=charge(rate, held),
                rate_per_hour=rate,
            ),
            calendar,
        )
    worst: dict[datetime, MicroUSD] = {}
    for period in calendar.over(start, latest + held):
        overlap = min(period.end, latest + held) - max(period.start, start)
        worst[period.start] = charge(rate, min(held, overlap))
    return worst


def _promised(
    live: Attempt, calendar: Calendar, terms: Terms, now: datetime
) -> dict[datetime, MicroUSD]:
    rate, segment, terms = rate_of(live), open_charge(live), terms.of(live)
    if segment is not None:
        end = certain_end(live, terms) or max(now, segment.start_time) + terms.overrun
        held = end - segment.start_time
        return worst_of(segment.start_time, segment.start_time, held, rate, calendar)
    held = timedelta(seconds=live.deadline_seconds or 0) + terms.overrun
    start, latest = starts_within(live)
    return worst_of(start, latest, held, rate, calendar)


def starts_within(attempt: Attempt) -> tuple[datetime, datetime]:
    """From when to when an attempt that has not begun to cost may begin to."""
    if attempt.queue_name is not None:
        return attempt.reserved_time, attempt.reserved_time + LONGEST_IN_A_QUEUE
    return attempt.reserved_time, latest_start(attempt)


def _by_period(spent: Spent, calendar: Calendar) -> dict[datetime, MicroUSD]:
    """Each part rounded up by itself: a limit holds in every period, if the parts add up to a little more than the whole."""
    parts: dict[datetime, MicroUSD] = {}
    for period in calendar.over(spent.start, spent.end):
        part = spent.within(period.start, period.end)
        if part is not None:
            rate = part.rate_per_hour
            parts[period.start] = part.cost if rate is None else charge(rate, part.held)
    return parts
