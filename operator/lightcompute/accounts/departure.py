"""The share of a run that is deleted, as a TrainingBudget remembers it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from lightcompute.api.money import MAX_AMOUNT, MicroUSD
from lightcompute.api.training_budget import MAX_DEPARTED_PERIODS, DepartedRun, PeriodAmount
from lightcompute.core.claim import Claim
from lightcompute.core.period import EVER


def departing(run_uid: str, name: str, claim: Claim) -> DepartedRun:
    """What the run took by `claim`. What may still run of it is counted as spent."""
    totals: Counter[datetime] = Counter(claim.spent)
    totals.update(claim.promised)
    amounts = sorted((start, amount) for start, amount in totals.items() if amount > 0)
    return DepartedRun(
        run=name,
        run_uid=run_uid,
        amounts=bounded(
            tuple(amount_in(start, amount) for start, amount in amounts), MAX_DEPARTED_PERIODS
        ),
    )


def bounded(amounts: tuple[PeriodAmount, ...], most: int) -> tuple[PeriodAmount, ...]:
    """`amounts`, oldest first; the oldest as one, where there are more than `most`."""
    surplus = len(amounts) - most
    if surplus <= 0:
        return amounts
    first, rest = amounts[: surplus + 1], amounts[surplus + 1 :]
    last = first[-1].period_start or EVER.start
    return (amount_in(last, sum(each.amount_usd for each in first)), *rest)


def amount_in(start: datetime, amount: MicroUSD) -> PeriodAmount:
    """`amount` of the period that begins at `start`."""
    return PeriodAmount(
        period_start=None if start == EVER.start else start,
        amount_usd=min(max(amount, 0), MAX_AMOUNT),
    )
