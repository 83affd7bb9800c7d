"""The cap: how long an attempt may run on what is left, so that it holds with everybody but the place itself dead.

    reserve  = rate x (grace + clock skew + granularity)       held back, rounded up: the stated bound on overshoot
    deadline = floor((left - reserve) / rate) seconds          kept by the place, told to the trainer a little shorter

An attempt that is ended at its deadline, and takes all of its grace to die, costs at most what was left. Neither number
depends on `now`: computed again at any later look they come out the same, unless limit, price or ledger changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lightcompute.api.money import MicroUSD, charge, seconds_paid_by
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.grace import next_grace_seconds
from lightcompute.core.ledger import open_charge, total_cost, total_held
from lightcompute.core.snapshot import Snapshot

GRANULARITY_SECONDS = 1
"""Deadlines are whole seconds, at every place."""
MINIMUM_USEFUL_SECONDS = 30
"""An attempt that may not run for so long is not started: it would pay for loading and saving only."""
LONGEST_SECONDS = 10 * 365 * 86_400
"""No deadline is later than in ten years: next to nothing an hour would else pay beyond the end of the calendar."""
LATEST_START_SECONDS = 120
"""So long after it was recorded, a request to create an attempt that got no answer may still take effect."""
REQUEST_ANEW_SECONDS = 60
"""A request so long after what is on record is recorded first: it too may take effect a while later."""
STOP_EARLY_SECONDS = 5
"""So much sooner than its place would end it, the trainer has saved and left by itself."""
RENEWAL_SLICE_SECONDS = 60
"""A deadline is moved to a later time only if it gains so much: each move costs a request."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an end takes longer than its deadline, at worst."""

    grace_seconds: int
    clock_skew_seconds: int = 0

    @property
    def overrun(self) -> timedelta:
        """Time from a deadline until the attempt is certainly gone."""
        return timedelta(seconds=self.grace_seconds + self.clock_skew_seconds + GRANULARITY_SECONDS)

    def of(self, attempt: Attempt) -> Terms:
        """With the grace that `attempt` was recorded with: its place keeps to that, whatever a new one would have by now."""
        if attempt.grace_seconds is None:
            return self
        return replace(self, grace_seconds=attempt.grace_seconds)

    def reserve(self, rate: MicroUSD) -> MicroUSD:
        """What is held back for it: the bound on overshoot."""
        return charge(rate, self.overrun)


def terms_of(snapshot: Snapshot) -> Terms:
    """The terms of the place, as the snapshot tells them. Those of an attempt are `Terms.of` it."""
    return Terms(
        grace_seconds=snapshot.grace_seconds, clock_skew_seconds=snapshot.clock_skew_seconds
    )


def next_terms(status: TrainingRunStatus, terms: Terms) -> Terms:
    """The terms of an attempt that is recorded now: with the grace that the saves of `status` call for."""
    return replace(terms, grace_seconds=next_grace_seconds(terms.grace_seconds, status.saves))


def limit_of(run: TrainingRun) -> MicroUSD | None:
    """The cap, or None."""
    return run.spec.budget.limit_usd if run.spec.budget is not None else None


def left_of(run: TrainingRun, status: TrainingRunStatus, now: datetime) -> MicroUSD | None:
    """What the cap leaves; negative when it was lowered below what is spent; None without a cap."""
    limit = limit_of(run)
    return None if limit is None else limit - total_cost(status, now)


def new_deadline(
    run: TrainingRun, status: TrainingRunStatus, *, rate: MicroUSD, now: datetime, terms: Terms
) -> int | None:
    """Seconds that a new attempt at `rate` may run, with no other live; None for no deadline."""
    return _smallest(
        paid_seconds(left_of(run, status, now), rate, terms), _active_seconds(run, status, now)
    )


def renewed_deadline(
    run: TrainingRun, status: TrainingRunStatus, attempt: Attempt, terms: Terms
) -> int | None:
    """The deadline of the live `attempt` under the limit, prices and ledger of now; in seconds from its start."""
    terms = terms.of(attempt)
    segment = open_charge(attempt)
    if segment is None or attempt.start_time is None:
        return new_deadline(
            run,
            status,
            rate=attempt.rate_per_hour_usd,
            now=attempt.reserved_time,
            terms=terms,
        )
    # At the start of the open segment it has cost nothing yet, so everything before it is what is spent.
    start = segment.start_time
    gone = int((start - attempt.start_time).total_seconds())
    allowed = _smallest(
        paid_seconds(left_of(run, status, start), segment.rate_per_hour_usd, terms),
        _active_seconds(run, status, start),
    )
    if allowed == 0:  # a price that fell counts from a little later, and nobody waits for that
        gone = max(0, gone - terms.clock_skew_seconds)
    return None if allowed is None else gone + allowed


def worth_moving(old: int | None, new: int | None) -> bool:
    """Whether a deadline is to be changed: always to an earlier time, to a later one if it gains enough."""
    if old is None or new is None:
        return old != new
    return new < old or new >= old + RENEWAL_SLICE_SECONDS


def end_time(attempt: Attempt) -> datetime | None:
    """When the place ends the live `attempt`; None while that is not known."""
    if attempt.start_time is None or attempt.deadline_seconds is None:
        return None
    return attempt.start_time + timedelta(seconds=attempt.deadline_seconds)


def certain_end(attempt: Attempt, terms: Terms) -> datetime | None:
    """When the live `attempt` is certainly gone, seen or unseen; None where no deadline is kept.

    One that was never seen to start has at its place, if it is there at all, a deadline that counts from its creation.
    """
    if attempt.deadline_seconds is None:
        return None
    if attempt.start_time is None and attempt.queue_name is not None:
        return None  # a queue may let it start at any time, and its deadline counts from there
    start = attempt.start_time or latest_start(attempt)
    terms = terms.of(attempt)
    return start + timedelta(seconds=attempt.deadline_seconds) + terms.overrun


def latest_start(attempt: Attempt) -> datetime:
    """When `attempt`, never seen to start, did so at the latest."""
    asked = attempt.requested_time or attempt.reserved_time
    return asked + timedelta(seconds=LATEST_START_SECONDS)


def reserved(attempt: Attempt, terms: Terms, now: datetime) -> MicroUSD:
    """What the live `attempt` may still cost after `now`, at worst; with no deadline, its end from now on."""
    rate, terms = rate_of(attempt), terms.of(attempt)
    segment = open_charge(attempt)
    if segment is None:
        seconds = timedelta(seconds=attempt.deadline_seconds or 0)
        return charge(rate, seconds + terms.overrun)
    end = certain_end(attempt, terms) or now + terms.overrun
    # The difference of two sums rounded the same way: spent and reserved add up to the worst cost, exactly.
    return max(0, charge(rate, end - segment.start_time) - charge(rate, now - segment.start_time))


def rate_of(attempt: Attempt) -> MicroUSD:
    """What `attempt` costs for an hour now."""
    return attempt.charges[-1].rate_per_hour_usd if attempt.charges else attempt.rate_per_hour_usd


def useful_seconds(newest: Attempt | None) -> int:
    """The shortest time that another attempt is started for.

    One that left because its time was over needed what it left unused, to save; with no more than that the next one would
    leave at once.
    """
    if newest is None or newest.reason != Reason.TIME_OVER or newest.stop_after_seconds is None:
        return MINIMUM_USEFUL_SECONDS
    if newest.start_time is None or newest.end_time is None:
        return MINIMUM_USEFUL_SECONDS
    lasted = int((newest.end_time - newest.start_time).total_seconds())
    unused = newest.stop_after_seconds + STOP_EARLY_SECONDS - lasted
    return MINIMUM_USEFUL_SECONDS + max(0, unused)


def paid_seconds(left: MicroUSD | None, rate: MicroUSD, terms: Terms) -> int | None:
    """Seconds that `left` pays for at `rate` and still pays for the end; None without a cap or a price."""
    if left is None:
        return None
    if rate == 0:  # what costs nothing runs on, unless the cap was lowered below what is spent
        return None if left >= 0 else 0
    return min(seconds_paid_by(left - terms.reserve(rate), rate), LONGEST_SECONDS)


def _active_seconds(run: TrainingRun, status: TrainingRunStatus, now: datetime) -> int | None:
    bound = run.spec.active_deadline_seconds
    if bound is None:
        return None
    return max(0, int((timedelta(seconds=bound) - total_held(status, now)).total_seconds()))


def _smallest(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)
