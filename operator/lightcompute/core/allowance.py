"""What TrainingBudgets let an attempt reserve, and how long a live one may go on.

An attempt reserves before it starts: all that the run's own limit leaves, or at most what a budget says that one reserves. What does not fit
waits. A live attempt keeps what it reserved; only where a limit was lowered, or came later, those that were recorded last give way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lightcompute.api.money import MicroUSD, charge, format_usd
from lightcompute.api.status import Attempt, TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.budget import (
    LATEST_START_SECONDS,
    Terms,
    new_deadline,
    paid_seconds,
    rate_of,
    useful_seconds,
)
from lightcompute.core.claim import (
    LONGEST_IN_A_QUEUE,
    spent_in,
    starts_within,
    without_open_charge,
    worst_of,
)
from lightcompute.core.ledger import attempt_cost, open_charge
from lightcompute.core.snapshot import Allowance
from lightcompute.core.text import clock

FARTHEST_SECONDS = 400 * 86_400
"""An attempt is not promised money for longer than this."""


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """Where money is short."""

    name: str
    left: MicroUSD
    limit: MicroUSD
    until: datetime
    needed: MicroUSD


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """What a new attempt reserves: so many seconds, for so much money; or why it does not start."""

    seconds: int | None = None
    amount: MicroUSD | None = None
    refusal: str = ""


def reservation(
    run: TrainingRun,
    status: TrainingRunStatus,
    newest: Attempt | None,
    allowances: tuple[Allowance, ...],
    *,
    rate: MicroUSD,
    now: datetime,
    terms: Terms,
    queued: bool,
) -> Reservation:
    """For an attempt at `rate` that is recorded at `now`."""
    own = new_deadline(run, status, rate=rate, now=now, terms=terms)
    if not allowances:
        return Reservation(seconds=own)
    fault = next((each for each in allowances if each.fault), None)
    if fault is not None:
        return Reservation(refusal=f"TrainingBudget {fault.name}: {fault.fault}")
    if rate == 0:
        return Reservation(seconds=own, amount=0)
    pieces = [each.reservation for each in allowances if each.reservation is not None]
    wanted = _least(own, *(paid_seconds(piece, rate, terms) for piece in pieces))
    if wanted is None:
        names = ", ".join(each.name for each in allowances)
        told = f"the run has no budget.limitUSD to reserve: give it one, or give the TrainingBudget {names} a reservationUSD"
        return Reservation(refusal=told)
    wait = LONGEST_IN_A_QUEUE if queued else timedelta(seconds=LATEST_START_SECONDS)
    spans = now, now + wait
    seconds = wanted = min(wanted, FARTHEST_SECONDS)
    useful = useful_seconds(newest) if own is None else min(own, useful_seconds(newest))
    if wanted < useful:
        return Reservation(refusal=_too_small(allowances, rate, wanted, useful, terms))
    for each in allowances:
        spent = spent_in(status, each.calendar, now=now)
        short = _shortage(each, spent, spans, seconds, rate, terms)
        if short is None:
            continue
        # The last piece may be smaller; a limit of the run's own is reserved whole or not at all.
        seconds = _most(each, spent, spans, seconds, rate, terms) if pieces else 0
        if seconds < useful:
            return Reservation(refusal=_told(short))
    amount = charge(rate, timedelta(seconds=seconds)) + terms.reserve(rate)
    return Reservation(seconds=seconds, amount=amount)


def live_seconds(
    status: TrainingRunStatus,
    live: Attempt,
    allowances: tuple[Allowance, ...],
    *,
    own: int | None,
    now: datetime,
    terms: Terms,
) -> int | None:
    """Seconds from its start that the live attempt may run, where `own` is what its run and its place let it; None for no end.

    A budget that cannot be kept as written changes nothing for what is alive.
    """
    allowances = tuple(each for each in allowances if not each.fault)
    rate, segment, terms = rate_of(live), open_charge(live), terms.of(live)
    if not allowances or rate == 0:
        return own
    start, latest = starts_within(live)
    gone = 0
    if segment is not None:
        start = latest = segment.start_time
        gone = int((start - (live.start_time or start)).total_seconds())
    before = without_open_charge(status)
    wanted = own
    if live.reserved_usd is not None:
        cost = attempt_cost(before.attempts[-1], now)
        paid = paid_seconds(live.reserved_usd - cost, rate, terms)
        wanted = _least(own, None if paid is None else gone + paid)
    ahead = FARTHEST_SECONDS if wanted is None else min(max(0, wanted - gone), FARTHEST_SECONDS)
    for each in allowances:
        spent = spent_in(before, each.calendar, now=now)
        ahead = _most(each, spent, (start, latest), ahead, rate, terms)
    bound = gone + ahead
    return wanted if wanted is not None and bound >= wanted else bound


def _shortage(
    allowance: Allowance,
    spent: Mapping[datetime, MicroUSD],
    spans: tuple[datetime, datetime],
    seconds: int,
    rate: MicroUSD,
    terms: Terms,
) -> Shortage | None:
    """The first period in which an attempt of so many seconds finds too little; None where there is none."""
    held = timedelta(seconds=seconds) + terms.overrun
    needs = worst_of(*spans, held, rate, allowance.calendar)
    for start in sorted(needs):
        left = allowance.limit - allowance.taken.get(start, 0) - spent.get(start, 0)
        if allowance.endless:
            left = min(left, 0)
        if needs[start] > left:
            moment = max(start, spans[0])
            return Shortage(
                name=allowance.name,
                left=max(0, left),
                limit=allowance.limit,
                until=allowance.calendar.at(moment).end,
                needed=needs[start],
            )
    return None


def _most(
    allowance: Allowance,
    spent: Mapping[datetime, MicroUSD],
    spans: tuple[datetime, datetime],
    most: int,
    rate: MicroUSD,
    terms: Terms,
) -> int:
    """The most seconds up to `most` that the budget pays for; 0 where it pays for none."""
    if _shortage(allowance, spent, spans, most, rate, terms) is None:
        return most
    fits, too_long = 0, most
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if _shortage(allowance, spent, spans, middle, rate, terms) is None:
            fits = middle
        else:
            too_long = middle
    return fits


def _too_small(
    allowances: tuple[Allowance, ...], rate: MicroUSD, seconds: int, useful: int, terms: Terms
) -> str:
    piece, name = min(
        (each.reservation, each.name) for each in allowances if each.reservation is not None
    )
    return (
        f"TrainingBudget {name} lets an attempt reserve {_usd(piece)} (reservationUSD), which at {_usd(rate)} an hour, less a reserve of "
        f"{_usd(terms.reserve(rate))}, pays for {seconds} s; {useful} s are needed"
    )


def _told(short: Shortage) -> str:
    if short.needed > short.limit:
        return (
            f"TrainingBudget {short.name} allows {_usd(short.limit)}, and an attempt reserves {_usd(short.needed)}: "
            f"lower budget.limitUSD of the run, or give the TrainingBudget a reservationUSD"
        )
    ends = "" if short.until.year >= 9999 else f" until {clock(short.until)}"
    return (
        f"TrainingBudget {short.name} has {_usd(short.left)} of {_usd(short.limit)} left{ends}, "
        f"and an attempt reserves {_usd(short.needed)}"
    )


def _usd(amount: MicroUSD) -> str:
    """Exact: what is short by little must not look as if it were enough."""
    return f"${format_usd(amount)}"


def next_period(allowances: tuple[Allowance, ...], now: datetime) -> datetime | None:
    """When the next period of any of them begins; None where none ever does."""
    ends = (each.calendar.at(now).end for each in allowances)
    return min((end for end in ends if end.year < 9999), default=None)


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)
