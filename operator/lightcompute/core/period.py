"""Calendar periods in a time zone: days, weeks from Monday, months. Pure; the zone's rules come with the zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum


class Span(StrEnum):
    """How long a period is."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, kw_only=True)
class Period:
    """From `start` up to and without `end`, both at midnight of the zone, in UTC; a day may have 23 or 25 hours."""

    label: str
    start: datetime
    end: datetime


EVER = Period(
    label="ever",
    start=datetime.min.replace(tzinfo=UTC),
    end=datetime.max.replace(tzinfo=UTC),
)


def period_at(moment: datetime, span: Span, zone: tzinfo) -> Period:
    """The period that `moment` (aware) is in."""
    day = moment.astimezone(zone).date()
    if span is Span.DAY:
        first, after, label = day, day + timedelta(days=1), day.isoformat()
    elif span is Span.WEEK:
        first = day - timedelta(days=day.weekday())
        year, week, _ = day.isocalendar()
        after, label = first + timedelta(days=7), f"{year}-W{week:02d}"
    else:
        first = day.replace(day=1)
        after, label = (first + timedelta(days=31)).replace(day=1), f"{day.year}-{day.month:02d}"
    return Period(label=label, start=_midnight(first, zone), end=_midnight(after, zone))


def periods(start: datetime, end: datetime, span: Span, zone: tzinfo) -> Iterator[Period]:
    """All periods that have a part of the time from `start` to `end`, oldest first; the one of `start` at least."""
    period = period_at(start, span, zone)
    yield period
    while period.end < end:
        period = period_at(period.end, span, zone)
        yield period


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """When a limit begins anew: at each period of `span` in `zone`, or never where there is no span."""

    span: Span | None = None
    zone: tzinfo = UTC

    def at(self, moment: datetime) -> Period:
        """The period that `moment` is in."""
        return EVER if self.span is None else period_at(moment, self.span, self.zone)

    def over(self, start: datetime, end: datetime) -> Iterator[Period]:
        """All that have a part of the time from `start` to `end`, oldest first; the one of `start` at least."""
        period = self.at(start)
        yield period
        while period.end < end:
            period = self.at(period.end)
            yield period


def _midnight(day: date, zone: tzinfo) -> datetime:
    # In UTC, since the difference of two times of one zone would be that of its clocks, not of the hours that went by.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
