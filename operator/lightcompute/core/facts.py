"""What is known after a look: the recorded status brought up to date with what is seen, before anything is decided.

Facts are not choices: an attempt that is seen to run is charged, one that is seen gone is closed and judged, whatever is
decided afterwards. All checks in `decide` start from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lightcompute.api.money import MicroUSD
from lightcompute.api.status import Attempt, AttemptState, TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.api.words import FINISHED, Phase
from lightcompute.core import report
from lightcompute.core.allowance import live_seconds
from lightcompute.core.budget import (
    STOP_EARLY_SECONDS,
    Terms,
    certain_end,
    latest_start,
    next_terms,
    renewed_deadline,
    terms_of,
    worth_moving,
)
from lightcompute.core.ledger import attempt_held, closed, opened, repriced
from lightcompute.core.retry import FRUITFUL_SECONDS, NOT_HONOURED, Follows, judge, wait_before_next
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import Child, ChildState, Snapshot
from lightcompute.core.tended import upkeep_told
from lightcompute.core.text import cut


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The snapshot, and the status as it is now; `ended` is the attempt whose end was first seen in this look."""

    snapshot: Snapshot
    status: TrainingRunStatus
    ended: Attempt | None = None
    reopened: bool = False
    deadline_seconds: int | None = None
    """How long the live attempt may run, as limit, price and ledger have it now. On record is the later of that and of what its place
    may still keep."""

    @property
    def run(self) -> TrainingRun:
        """The run."""
        return self.snapshot.run

    @property
    def now(self) -> datetime:
        """The time of the look."""
        return self.snapshot.now

    @property
    def terms(self) -> Terms:
        """What an end takes at this place; for an attempt, `terms.of` it."""
        return terms_of(self.snapshot)

    @property
    def next_terms(self) -> Terms:
        """What the end of an attempt takes that is recorded now."""
        return next_terms(self.status, self.terms)

    @property
    def newest(self) -> Attempt | None:
        """The newest attempt, or None before the first."""
        return self.status.attempts[-1] if self.status.attempts else None

    @property
    def live(self) -> Attempt | None:
        """The attempt that is not confirmed gone; there is never more than one."""
        return self.newest if self.newest is not None and self.newest.is_live else None

    @property
    def end_time(self) -> datetime | None:
        """Until when the live attempt may run; None while it has not started, or where no deadline is kept."""
        live = self.live
        if live is None or live.start_time is None or self.deadline_seconds is None:
            return None
        return live.start_time + timedelta(seconds=self.deadline_seconds)

    @property
    def child(self) -> Child | None:
        """What is seen of the newest attempt."""
        return self.snapshot.child(self.newest.number) if self.newest is not None else None

    @property
    def seen(self) -> bool:
        """Whether anything of the newest attempt is seen, or may be there unseen."""
        return self.child is not None


def establish(snapshot: Snapshot) -> Facts:
    """The facts of `snapshot`."""
    status = upkeep_told(snapshot.run.status, snapshot)
    reopened = _is_reopened(snapshot.run)
    if reopened:
        status = revised(
            status,
            phase=Phase.PENDING,
            completion_time=None,
            next_attempt_time=None,
            restarts_count_towards_max=0,
            placement=revised(status.placement, waiting_since=None, round_time=None),
        )
    before = status.attempts[-1] if status.attempts else None
    if before is None or not before.is_live:
        return Facts(snapshot=snapshot, status=report.told(status, snapshot), reopened=reopened)
    after = report.begun(_seen(before, snapshot), snapshot.child(before.number), snapshot)
    status = revised(status, attempts=(*status.attempts[:-1], after))
    deadline = None
    if after.is_live:
        deadline = _allowed(status, snapshot)
        status = _with_deadline(status, snapshot, deadline)
    else:
        status = _with_end(status, snapshot)
    if after.start_time is not None:
        status = _with_first_start(status, after, snapshot.child(after.number))
    status = report.told(status, snapshot)
    ended = None if after.is_live else status.attempts[-1]
    return Facts(
        snapshot=snapshot, status=status, ended=ended, reopened=reopened, deadline_seconds=deadline
    )


def _is_reopened(run: TrainingRun) -> bool:
    """A failed run whose spec was changed is tried again; success and a person's stop are final."""
    status = run.status
    changed = run.metadata.generation > status.observed_generation
    return status.phase == Phase.FAILED and changed


def _seen(attempt: Attempt, snapshot: Snapshot) -> Attempt:
    """`attempt` with what is seen of it now."""
    child = snapshot.child(attempt.number)
    if child is None:
        if attempt.start_time is None and attempt.state is not AttemptState.STOPPING:
            return _at_the_price_of_now(attempt, snapshot)
        return _ended(attempt, Child(attempt=attempt.number, state=ChildState.VANISHED), snapshot)
    match child.state:
        case ChildState.PENDING | ChildState.RUNNING if child.held_until is not None:
            return _not_held(attempt, child, child.held_until, snapshot)
        case ChildState.PENDING:
            return _at_the_price_of_now(attempt, snapshot)
        case ChildState.RUNNING:
            return _running(attempt, child, snapshot)
        case ChildState.UNKNOWN:
            return _unseen(attempt, snapshot)
        case ChildState.EXITED | ChildState.VANISHED:
            return _ended(attempt, child, snapshot)


def _running(attempt: Attempt, child: Child, snapshot: Snapshot) -> Attempt:
    skew = timedelta(seconds=snapshot.clock_skew_seconds)
    attempt = opened(attempt, child.start_time or attempt.reserved_time)
    if attempt.state is AttemptState.RESERVED:
        attempt = revised(attempt, state=AttemptState.RUNNING)
    price = _price_of(attempt, snapshot)
    return attempt if price is None else repriced(attempt, _charged_until(snapshot), price, skew)


def _at_the_price_of_now(attempt: Attempt, snapshot: Snapshot) -> Attempt:
    """One that has not started has cost nothing yet: its whole deadline is to be paid for at the price of now."""
    price = _price_of(attempt, snapshot)
    if price is None or attempt.start_time is not None:
        return attempt
    return revised(attempt, rate_per_hour_usd=price)


def _price_of(attempt: Attempt, snapshot: Snapshot) -> MicroUSD | None:
    return next(
        (offer.rate_per_hour for offer in snapshot.offers if offer.place == attempt.place), None
    )


def _not_held(attempt: Attempt, child: Child, held_until: datetime, snapshot: Snapshot) -> Attempt:
    """Charged no longer. Unseen it may have come and gone more than once, but was never there for longer than its deadline."""
    if attempt.start_time is None and child.start_time is not None:
        attempt = opened(attempt, child.start_time)
    bounds = (held_until, snapshot.now, certain_end(attempt, terms_of(snapshot)))
    end = min(bound for bound in bounds if bound is not None)
    told = snapshot.run.status.cost.last_updated_time
    return closed(attempt, end if told is None else max(end, told))


def _charged_until(snapshot: Snapshot) -> datetime:
    """`now`, but never before what the run was told to have cost: clocks may go back, the ledger does not."""
    told = snapshot.run.status.cost.last_updated_time
    return snapshot.now if told is None else max(told, snapshot.now)


def _unseen(attempt: Attempt, snapshot: Snapshot) -> Attempt:
    """It may be alive, so it is charged on, until the deadline that its place keeps has certainly passed."""
    end = certain_end(attempt, terms_of(snapshot))
    if end is None or snapshot.now < end:
        return attempt
    # Whether one that was never seen to start did so is not known: the cap holds in either case only if it is charged,
    # for as long as its place let it live and no longer, whenever it began.
    start = attempt.start_time or latest_start(attempt)
    gone = Child(attempt=attempt.number, state=ChildState.VANISHED, start_time=start, end_time=end)
    return _ended(attempt, gone, snapshot)


def _ended(attempt: Attempt, child: Child, snapshot: Snapshot) -> Attempt:
    if attempt.start_time is None and child.state is ChildState.EXITED:
        attempt = opened(attempt, child.start_time or attempt.reserved_time)
    elif attempt.start_time is None and child.start_time is not None:
        attempt = opened(attempt, child.start_time)
    kept = child.deadline_seconds
    if kept is not None and is_later(attempt.deadline_seconds, kept):
        # Less than none where it was taken in as its deadline passed; a status holds no such number.
        attempt = revised(attempt, deadline_seconds=max(kept, 0))
    end = _end_of(attempt, child, snapshot)
    ending = judge(child, attempt, speaks_contract=snapshot.run.spec.speaks_contract, ended=end)
    attempt = closed(attempt, end)
    return revised(
        report.measured(attempt, child, snapshot),
        state=AttemptState.ENDED,
        end_time=end,
        exit_code=child.exit_code,
        signal=child.signal,
        reason=ending.reason.value,
        message=cut(ending.message),
        counts=ending.follows is Follows.COUNTED_RESTART,
    )


def _end_of(attempt: Attempt, child: Child, snapshot: Snapshot) -> datetime:
    """When it was gone: as it is told, else now, but no later than its place let it live; never before what was charged."""
    end = child.end_time or snapshot.now
    if child.end_time is None:
        bound = certain_end(attempt, terms_of(snapshot))
        end = end if bound is None else min(end, bound)
    told = snapshot.run.status.cost.last_updated_time
    if attempt.start_time is not None and told is not None:
        end = max(end, told)
    return end


def _allowed(status: TrainingRunStatus, snapshot: Snapshot) -> int | None:
    """The live attempt's deadline as limit, price and ledger have it now; the one on record, where moving it is not worth a request."""
    attempt = status.attempts[-1]
    terms = terms_of(snapshot)
    own = renewed_deadline(snapshot.run, status, attempt, terms)
    new = live_seconds(status, attempt, snapshot.allowances, own=own, now=snapshot.now, terms=terms)
    return new if worth_moving(attempt.deadline_seconds, new) else attempt.deadline_seconds


def _with_deadline(
    status: TrainingRunStatus, snapshot: Snapshot, deadline_seconds: int | None
) -> TrainingRunStatus:
    """With the deadline on record: a later one before its place is told, an earlier one once it is seen to be kept.

    Until then the attempt may live for as long as it was let before, wherever nobody sees it.
    """
    attempt = status.attempts[-1]
    child = snapshot.child(attempt.number)
    changes: dict[str, object] = {}
    if not _may_outlast(attempt, child, deadline_seconds):
        changes["deadline_seconds"] = deadline_seconds
    if (
        attempt.start_time is None
        and child is None
        and deadline_seconds != attempt.deadline_seconds
    ):
        changes["stop_after_seconds"] = stop_after(deadline_seconds)  # nobody told a trainer yet
    return revised(status, attempts=(*status.attempts[:-1], revised(attempt, **changes)))


def _may_outlast(attempt: Attempt, child: Child | None, deadline_seconds: int | None) -> bool:
    """Whether the place may keep a later deadline than `deadline_seconds`, as far as is known."""
    if not is_later(attempt.deadline_seconds, deadline_seconds):
        return False
    if child is None:
        return True  # a request to start it may be on its way
    return child.keeps_deadlines and is_later(child.deadline_seconds, deadline_seconds)


def is_later(one: int | None, other: int | None) -> bool:
    """Whether the deadline `one` is later than `other`; none at all is the latest."""
    return other is not None and (one is None or one > other)


def stop_after(deadline_seconds: int | None) -> int | None:
    """What the trainer is told: a little less than its place keeps."""
    return None if deadline_seconds is None else max(deadline_seconds - STOP_EARLY_SECONDS, 0)


def _with_end(status: TrainingRunStatus, snapshot: Snapshot) -> TrainingRunStatus:
    """What the end of the newest attempt changes in the counters."""
    *others, attempt = status.attempts
    brought = attempt_held(attempt, snapshot.now).total_seconds() >= FRUITFUL_SECONDS
    attempt = revised(attempt, fruitful=attempt.fruitful or brought)
    attempts = (*others, attempt)
    wait = wait_before_next(attempts, snapshot.run.spec.failure_policy.backoff)
    end = attempt.end_time or snapshot.now
    return revised(
        status,
        attempts=attempts,
        next_attempt_time=end + wait if wait else None,
        restarts_count_towards_max=status.restarts_count_towards_max + int(attempt.counts),
    )


def _with_first_start(
    status: TrainingRunStatus, attempt: Attempt, child: Child | None
) -> TrainingRunStatus:
    status = revised(status, start_time=status.start_time or attempt.start_time)
    if attempt.stop_reason in NOT_HONOURED or (child is not None and child.waiting):
        return status  # it was given up, or has not begun where it was taken in: the search for a place goes on
    return revised(status, placement=revised(status.placement, waiting_since=None))


def is_finished(facts: Facts) -> bool:
    """Whether the run is over, and was not opened again by a change of its spec."""
    return facts.status.phase in FINISHED
