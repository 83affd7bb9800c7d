"""Charges are cut at the edges of days, weeks and months, in any time zone, and the parts add up to the whole to the micro-dollar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightcompute.api.status import (
    Attempt,
    Charge,
    EarlierAttempts,
    FoldedCharges,
    TrainingRunStatus,
)
from lightcompute.core.ledger import total_cost, total_held
from lightcompute.core.period import Period, Span, period_at, periods
from lightcompute.core.spending import Spent, spent_by
from lightcompute.testing.builders import a_run, an_attempt, at

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from([UTC, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Kiritimati")])
TIMES = st.integers(0, 3 * 365 * 86_400).map(lambda seconds: at(-seconds))
SPANS = st.sampled_from(Span)


@pytest.mark.parametrize(
    ("span", "label", "start", "end"),
    [
        (Span.DAY, "2026-03-29", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        (Span.WEEK, "2026-W13", "2026-03-23T00:00+01:00", "2026-03-30T00:00+02:00"),
        (Span.MONTH, "2026-03", "2026-03-01T00:00+01:00", "2026-04-01T00:00+02:00"),
    ],
)
def test_a_period_is_from_midnight_to_midnight_of_its_zone(
    span: Span, label: str, start: str, end: str
) -> None:
    """On 29 March 2026 Berlin's clocks went forward: that day had 23 hours."""
    noon = datetime(2026, 3, 29, 12, tzinfo=UTC)
    period = period_at(noon, span, BERLIN)
    assert period.label == label
    assert period.start.astimezone(UTC) == datetime.fromisoformat(start)
    assert period.end.astimezone(UTC) == datetime.fromisoformat(end)


def test_a_week_at_the_turn_of_a_year_has_the_year_that_most_of_it_is_in() -> None:
    assert period_at(datetime(2027, 1, 1, tzinfo=UTC), Span.WEEK, UTC).label == "2026-W53"


@given(time=TIMES, hours=st.integers(0, 3000), span=SPANS, zone=ZONES)
@settings(max_examples=60, deadline=None)
def test_periods_follow_each_other_without_a_gap(
    time: datetime, hours: int, span: Span, zone: ZoneInfo
) -> None:
    found = list(periods(time, time + timedelta(hours=hours), span, zone))
    assert found[0].start <= time < found[0].end
    assert found[-1].end >= time + timedelta(hours=hours)
    for before, after in pairwise(found):
        assert before.end == after.start
    assert len({period.label for period in found}) == len(found)


@given(
    time=TIMES,
    minutes=st.integers(1, 60 * 24 * 100),
    rate=st.integers(0, 10**9),
    span=SPANS,
    zone=ZONES,
)
@settings(max_examples=100, deadline=None)
def test_the_parts_of_a_charge_add_up_to_it(
    time: datetime, minutes: int, rate: int, span: Span, zone: ZoneInfo
) -> None:
    segment = Charge(
        start_time=time, end_time=time + timedelta(minutes=minutes), rate_per_hour_usd=rate
    )
    (whole,) = spent_by(_status(an_attempt(charges=(segment,))), time)
    parts = [
        part
        for period in periods(whole.start, whole.end, span, zone)
        if (part := whole.within(period.start, period.end)) is not None
    ]
    assert sum(part.cost for part in parts) == whole.cost
    assert sum((part.held for part in parts), timedelta()) == whole.held
    assert all(part.cost >= 0 for part in parts)


def test_everything_that_a_ledger_holds_is_told_also_what_is_no_longer_listed() -> None:
    folded = FoldedCharges(count=3, cost_usd=77, held_microseconds=5_000_000)
    closed = Charge(start_time=at(0), end_time=at(60), rate_per_hour_usd=3_600_000)
    running = Charge(start_time=at(60), rate_per_hour_usd=7_200_000)
    attempt = an_attempt(4, start_time=at(0), charges=(closed, running), folded=folded)
    status = _status(attempt).model_copy(
        update={
            "start_time": at(-100),
            "earlier_attempts": EarlierAttempts(count=3, charges=folded),
        }
    )
    found = list(spent_by(status, at(90)))
    assert sum(each.cost for each in found) == total_cost(status, at(90))
    assert sum((each.held for each in found), timedelta()) == total_held(status, at(90))
    assert [each.start for each in found] == [at(-100), at(0), at(0), at(60)]


def test_what_is_folded_counts_where_it_began_and_nowhere_else() -> None:
    spent = Spent(start=at(0), end=at(0), held=timedelta(seconds=5), cost=77)
    assert spent.within(at(0), at(10)) == spent
    assert spent.within(at(1), at(10)) is None
    assert spent.within(at(-10), at(0)) is None


def test_a_charge_outside_of_a_time_has_no_part_in_it() -> None:
    spent = Spent(start=at(0), end=at(10), held=timedelta(seconds=10), cost=10, rate_per_hour=3600)
    assert spent.within(at(10), at(20)) is None
    assert spent.within(at(-5), at(0)) is None
    period = Period(label="", start=at(4), end=at(6))
    part = spent.within(period.start, period.end)
    assert part is not None
    assert (part.cost, part.held) == (2, timedelta(seconds=2))


def _status(attempt: Attempt) -> TrainingRunStatus:
    return a_run().with_attempts(attempt).status
