"""The ledger: what each attempt is charged, as segments of time at one price. Append-only, exact, recomputable by anyone.

A segment opens when the attempt holds its place and closes when it is confirmed gone or its price changes. Each is rounded
up by itself, so folding old ones into a sum changes nothing. Nothing that a trainer says comes near here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from lightcompute.api.money import MicroUSD, charge
from lightcompute.api.status import (
    MAX_ATTEMPTS,
    MAX_CHARGES,
    Attempt,
    Charge,
    EarlierAttempts,
    FoldedCharges,
    TrainingRunStatus,
)
from lightcompute.core.revise import revised

MICROSECOND = timedelta(microseconds=1)


def attempt_cost(attempt: Attempt, now: datetime) -> MicroUSD:
    """What `attempt` is charged up to `now`."""
    return attempt.folded.cost_usd + sum(_cost(segment, now) for segment in attempt.charges)


def attempt_held(attempt: Attempt, now: datetime) -> timedelta:
    """How long `attempt` has held its place up to `now`."""
    listed = sum((_held(segment, now) for segment in attempt.charges), timedelta())
    return attempt.folded.held_microseconds * MICROSECOND + listed


def total_cost(status: TrainingRunStatus, now: datetime) -> MicroUSD:
    """What the run is charged up to `now`, over all attempts there ever were."""
    listed = sum(attempt_cost(attempt, now) for attempt in status.attempts)
    return status.earlier_attempts.charges.cost_usd + listed


def total_held(status: TrainingRunStatus, now: datetime) -> timedelta:
    """How long the run has held places up to `now`, over all attempts there ever were."""
    earlier = status.earlier_attempts.charges.held_microseconds * MICROSECOND
    return earlier + sum((attempt_held(each, now) for each in status.attempts), timedelta())


def open_charge(attempt: Attempt) -> Charge | None:
    """The segment that is being charged, or None."""
    newest = attempt.charges[-1] if attempt.charges else None
    return newest if newest is not None and newest.end_time is None else None


def opened(attempt: Attempt, start: datetime) -> Attempt:
    """`attempt` charged from `start` at its rate; unchanged where it is charged already."""
    if attempt.charges:
        return attempt
    segment = Charge(start_time=start, rate_per_hour_usd=attempt.rate_per_hour_usd)
    return revised(attempt, start_time=start, charges=(segment,))


def closed(attempt: Attempt, end: datetime) -> Attempt:
    """`attempt` charged no longer than to `end`; a segment never ends before it starts."""
    segment = open_charge(attempt)
    if segment is None:
        return attempt
    ended = revised(segment, end_time=max(end, segment.start_time))
    return revised(attempt, charges=(*attempt.charges[:-1], ended))


def repriced(
    attempt: Attempt, at: datetime, rate: MicroUSD, skew: timedelta = timedelta()
) -> Attempt:
    """`attempt` charged at `rate` from `at` on, but never before its start.

    Its start and end are told by another clock, which differs by up to `skew`: so much longer the dearer of the two prices is charged.
    """
    segment = open_charge(attempt)
    if segment is None or segment.rate_per_hour_usd == rate:
        return attempt
    at += -skew if rate > segment.rate_per_hour_usd else skew
    before = closed(attempt, at)
    start = max(at, attempt.start_time or segment.start_time)
    new = Charge(start_time=start, rate_per_hour_usd=rate)
    return _folded_charges(revised(before, charges=(*before.charges, new)))


def folded_attempts(status: TrainingRunStatus) -> TrainingRunStatus:
    """`status` with the oldest attempts as sums, where there are more than it lists. They are all ended by then."""
    surplus = len(status.attempts) - MAX_ATTEMPTS
    if surplus <= 0:
        return status
    old = status.attempts[:surplus]
    assert not any(attempt.is_live for attempt in old), "only the newest attempt can be live"
    earlier = status.earlier_attempts
    sums = earlier.charges
    for attempt in old:
        sums = _sum(sums, attempt.charges)
        sums = FoldedCharges(
            count=sums.count + attempt.folded.count,
            cost_usd=sums.cost_usd + attempt.folded.cost_usd,
            held_microseconds=sums.held_microseconds + attempt.folded.held_microseconds,
        )
    return revised(
        status,
        attempts=status.attempts[surplus:],
        earlier_attempts=EarlierAttempts(count=earlier.count + surplus, charges=sums),
    )


def _folded_charges(attempt: Attempt) -> Attempt:
    surplus = len(attempt.charges) - MAX_CHARGES
    if surplus <= 0:
        return attempt
    return revised(
        attempt,
        charges=attempt.charges[surplus:],
        folded=_sum(attempt.folded, attempt.charges[:surplus]),
    )


def _sum(sums: FoldedCharges, segments: Iterable[Charge]) -> FoldedCharges:
    closed_ones = [(segment, segment.end_time) for segment in segments if segment.end_time]
    return FoldedCharges(
        count=sums.count + len(closed_ones),
        cost_usd=sums.cost_usd + sum(_cost(segment, end) for segment, end in closed_ones),
        held_microseconds=sums.held_microseconds
        + sum(_held(segment, end) // MICROSECOND for segment, end in closed_ones),
    )


def _held(segment: Charge, now: datetime) -> timedelta:
    return max((segment.end_time or now) - segment.start_time, timedelta())


def _cost(segment: Charge, now: datetime) -> MicroUSD:
    return charge(segment.rate_per_hour_usd, _held(segment, now))
