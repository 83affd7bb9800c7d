"""One TrainingBudget at work: what each run takes of it, and what is therefore left for another. It adds up, and decides nothing."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lightcompute.accounts.departure import departing
from lightcompute.api.money import MicroUSD
from lightcompute.api.status import TrainingRunStatus
from lightcompute.api.training_budget import (
    BudgetPeriod,
    DepartedRun,
    PeriodAmount,
    TrainingBudget,
)
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.budget import Terms
from lightcompute.core.claim import Claim, claim_of
from lightcompute.core.period import EVER, Calendar, Span
from lightcompute.core.snapshot import Allowance

_SPANS = {
    BudgetPeriod.DAILY: Span.DAY,
    BudgetPeriod.WEEKLY: Span.WEEK,
    BudgetPeriod.MONTHLY: Span.MONTH,
}


class Account:
    """The claims of runs by their UID."""

    def __init__(self, budget: TrainingBudget, terms: Terms) -> None:
        self.budget = budget
        self.fault = ""
        self.calendar = self._calendar()
        self._terms = terms
        self.claims: dict[str, Claim] = {}
        self._labels: dict[str, str] = {}
        self.lost: dict[str, DepartedRun] = {}
        """Runs that went without a record of theirs: somebody took our finalizer away. Noted with the next status."""
        self._total: Counter[datetime] = Counter()

    @property
    def name(self) -> str:
        """Its name."""
        return self.budget.metadata.name

    def takes(self, budget: TrainingBudget) -> bool:
        """Goes on with a changed budget; False where claims must be computed anew."""
        before, after = self.budget.spec, budget.spec
        same = (before.period, before.time_zone, before.selector) == (
            after.period,
            after.time_zone,
            after.selector,
        )
        if same:
            self.budget = budget
            noted = {each.run_uid for each in budget.status.departed}
            self.lost = {uid: each for uid, each in self.lost.items() if uid not in noted}
        return same

    def draws(self, run: TrainingRun, status: TrainingRunStatus) -> bool:
        """Whether `run` draws from it: by its labels, or since an attempt of it reserved in it."""
        wanted = self.budget.spec.selector.match_labels.items()
        labels = run.metadata.labels
        return all(labels.get(key) == value for key, value in wanted) or any(
            self.name in attempt.budgets for attempt in status.attempts
        )

    def put(self, run: TrainingRun, status: TrainingRunStatus, *, now: datetime) -> bool:
        """`run` takes what `status` says; whether that is something else than before."""
        uid = run.metadata.uid
        claim = (
            claim_of(status, self.calendar, self._terms, now=now)
            if self.draws(run, status)
            else None
        )
        before = self.claims.get(uid)
        if claim == before:
            return False
        self.remove(uid)
        if claim is not None:
            self.claims[uid], self._labels[uid] = claim, run.metadata.name
            self._add(claim, 1)
        return True

    def remove(self, uid: str) -> None:
        """The run takes nothing any more."""
        claim = self.claims.pop(uid, None)
        self._labels.pop(uid, None)
        if claim is not None:
            self._add(claim, -1)

    def lose(self, uid: str) -> None:
        """The run is no more; its share stays counted."""
        name, claim = self._labels.get(uid, ""), self.claims.get(uid)
        self.remove(uid)
        if claim is None or any(each.run_uid == uid for each in self.budget.status.departed):
            return
        record = departing(uid, name, claim)
        if record.amounts:
            self.lost[uid] = record

    def allowance(self, run_uid: str) -> Allowance:
        """What there is for the run: all but what others take; for a live one, of those recorded after it only what they spent."""
        own = self.claims.get(run_uid, Claim())
        taken = self._settled(run_uid)
        for start, amount in self._total.items():
            taken[start] += amount - own.of(start)
        others = ((uid, each) for uid, each in self.claims.items() if uid != run_uid)
        over = any(taken[start] + own.of(start) > self.budget.spec.limit_usd for start in taken)
        endless = [(uid, each) for uid, each in others if each.endless]
        if own.since is not None and (over or endless):
            mine = own.since, run_uid
            for uid, each in self.claims.items():
                if uid != run_uid and each.since is not None and (each.since, uid) > mine:
                    taken.subtract(each.promised)
            endless = [
                (uid, each)
                for uid, each in endless
                if each.since is not None and (each.since, uid) < mine
            ]
        return Allowance(
            name=self.name,
            limit=self.budget.spec.limit_usd,
            reservation=self.budget.spec.reservation_usd,
            calendar=self.calendar,
            taken=taken,
            endless=self._labels[endless[0][0]] if endless else "",
            fault=self.fault,
        )

    def gone_amounts(self, start: datetime) -> MicroUSD:
        """What runs that are no more spent in the period that begins at `start`."""
        return self._settled("")[start]

    def _settled(self, run_uid: str) -> Counter[datetime]:
        """What is on record of runs that are gone, or on their way; those that are seen themselves are counted by what is seen."""
        settled: Counter[datetime] = Counter()
        status = self.budget.status
        for each in status.settled:
            settled[self._period_of(each)] += each.amount_usd
        for departed in (*status.departed, *self.lost.values()):
            if departed.run_uid in self.claims or departed.run_uid == run_uid:
                continue
            for each in departed.amounts:
                settled[self._period_of(each)] += each.amount_usd
        return settled

    def _period_of(self, amount: PeriodAmount) -> datetime:
        """Start of the period that counts it; the budget may have had others when it was noted."""
        if amount.period_start is None:
            return EVER.start
        return self.calendar.at(amount.period_start).start

    def _add(self, claim: Claim, sign: int) -> None:
        for amounts in (claim.spent, claim.promised):
            for start, amount in amounts.items():
                self._total[start] += sign * amount

    def _calendar(self) -> Calendar:
        spec = self.budget.spec
        try:
            zone = ZoneInfo(spec.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fault = f"{spec.time_zone!r} is no time zone such as UTC or Europe/Berlin"
            return Calendar()
        return Calendar(span=_SPANS.get(spec.period), zone=zone)
