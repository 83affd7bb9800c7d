"""What is told of a TrainingBudget in its status, and how what runs spent that are no more is kept. It asks nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from lightcompute.accounts.account import Account
from lightcompute.accounts.departure import amount_in, bounded
from lightcompute.api.money import MAX_AMOUNT, MicroUSD
from lightcompute.api.reasons import Reason
from lightcompute.api.status import TrainingRunStatus
from lightcompute.api.training_budget import (
    MAX_DEPARTED,
    MAX_HISTORY,
    MAX_PERIODS,
    BudgetCondition,
    DepartedRun,
    PastPeriod,
    PeriodAmount,
    TrainingBudgetStatus,
)
from lightcompute.api.words import BudgetConditionType
from lightcompute.core.claim import spent_in
from lightcompute.core.period import EVER, Period


def report(
    account: Account,
    statuses: Iterable[TrainingRunStatus],
    *,
    is_gone: Callable[[str], bool],
    waiting: int,
    now: datetime,
) -> TrainingBudgetStatus:
    """The status after the one that is known. `statuses` are those of the runs that draw from it; `is_gone` is asked of departed runs."""
    known = account.budget.status
    period = account.calendar.at(now)
    spent: Counter[datetime] = Counter()
    for status in statuses:
        spent.update(spent_in(status, account.calendar, now=now))
    this_spent = spent[period.start] + account.gone_amounts(period.start)
    claimed = sum(claim.of(period.start) for claim in account.claims.values())
    reserved = max(0, claimed - spent[period.start])
    limit = account.budget.spec.limit_usd
    dated = period is not EVER
    # Noted first and summed up after that was written: a write of which no answer came is then no sum made twice.
    staying = tuple(each for each in known.departed if not is_gone(each.run_uid))
    departed = (*staying, *account.lost.values())[:MAX_DEPARTED]
    left = (each for each in known.departed if is_gone(each.run_uid))
    return TrainingBudgetStatus(
        observed_generation=account.budget.metadata.generation,
        conditions=(_accepted(account, now),),
        period_start=period.start if dated else None,
        period_end=period.end if dated else None,
        spent_usd=_shown(this_spent),
        reserved_usd=_shown(reserved),
        remaining_usd=_shown(limit - this_spent - reserved),
        runs=sum(claim.since is not None for claim in account.claims.values()),
        waiting_runs=waiting,
        settled=_settled(known.settled, left),
        departed=departed,
        history=_history(account, spent, period),
    )


def tells_but_time(known: TrainingBudgetStatus, status: TrainingBudgetStatus) -> bool:
    """Whether nothing changed but how much of what was reserved is spent by now."""
    parts = {"spent_usd": 0, "reserved_usd": 0}
    same = known.model_copy(update=parts) == status.model_copy(update=parts)
    return same and known.spent_usd + known.reserved_usd == status.spent_usd + status.reserved_usd


def _settled(
    known: tuple[PeriodAmount, ...], gone: Iterable[DepartedRun]
) -> tuple[PeriodAmount, ...]:
    totals: Counter[datetime] = Counter()
    for each in (*known, *(amount for departed in gone for amount in departed.amounts)):
        totals[each.period_start or EVER.start] += each.amount_usd
    return bounded(tuple(amount_in(start, totals[start]) for start in sorted(totals)), MAX_PERIODS)


def _history(
    account: Account, spent: Mapping[datetime, MicroUSD], period: Period
) -> tuple[PastPeriod, ...]:
    known = account.budget.status
    began = known.period_start
    if began is None or period is EVER or began >= period.start:
        return known.history
    over = tuple(
        PastPeriod(
            period_start=past.start,
            period_end=past.end,
            spent_usd=_shown(spent.get(past.start, 0) + account.gone_amounts(past.start)),
            limit_usd=account.budget.spec.limit_usd,
        )
        for past in account.calendar.over(began, period.start)
    )
    return (*known.history, *over)[-MAX_HISTORY:]


def _accepted(account: Account, now: datetime) -> BudgetCondition:
    type_ = BudgetConditionType.ACCEPTED
    before = next(iter(account.budget.status.conditions), None)
    holds = not account.fault
    answer = "True" if holds else "False"
    same = before is not None and before.status == answer
    return BudgetCondition(
        type=type_,
        status="True" if holds else "False",
        reason=(Reason.BUDGET_ACCEPTED if holds else Reason.BUDGET_REFUSED).value,
        message=account.fault,
        observed_generation=account.budget.metadata.generation,
        last_transition_time=before.last_transition_time
        if same and before is not None
        else now.replace(microsecond=0),
    )


def _shown(amount: MicroUSD) -> MicroUSD:
    """What a status can hold."""
    return min(max(amount, 0), MAX_AMOUNT)
