"""The cost block of a status: spent, reserved, rate, forecast, cap and bound. All of it follows from the ledger and the spec."""

from __future__ import annotations

from datetime import datetime, timedelta

from lightcompute.api.money import MAX_AMOUNT, MicroUSD, charge, show_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, Cost, TrainingRunStatus
from lightcompute.core.budget import limit_of, rate_of, reserved
from lightcompute.core.decision import Event
from lightcompute.core.facts import Facts
from lightcompute.core.ledger import open_charge, total_cost
from lightcompute.core.outlook import outlook_of
from lightcompute.core.target_outlook import target_forecast

WARNING_PERCENTAGES = (95, 80, 50)
DEFAULT_POLL_SECONDS = 300


def cost_of(facts: Facts, status: TrainingRunStatus) -> Cost:
    """What `status` costs now. `spent` never falls: a clock that went back charges to where it was."""
    known = facts.run.status.cost
    now = max(facts.now, known.last_updated_time or facts.now)
    live = status.attempts[-1] if status.attempts and status.attempts[-1].is_live else None
    rate = rate_of(live) if live is not None else 0
    spent = total_cost(status, now)
    terms = facts.terms if live is None else facts.terms.of(live)
    outlook = outlook_of(facts.run, status, terms)
    cost = Cost(
        spent_usd=_shown(spent),
        reserved_usd=_shown(reserved(live, terms, now) if live is not None else 0),
        rate_per_hour_usd=_shown(rate),
        forecast_usd=_forecast(status, live, spent, rate),
        limit_usd=limit_of(facts.run),
        cap_reached_time=outlook.time,
        cap_reached_step=outlook.step,
        target=target_forecast(facts.run, status, outlook),
        overshoot_bound_usd=_shown(terms.reserve(rate)),
        last_updated_time=known.last_updated_time,
    )
    charged = live is not None and open_charge(live) is not None
    return (
        cost
        if cost == known and not charged
        else cost.model_copy(update={"last_updated_time": now})
    )


def is_due(facts: Facts) -> bool:
    """Whether the cost is to be told again though nothing else changed."""
    budget = facts.run.spec.budget
    seconds = budget.poll_interval_seconds if budget is not None else DEFAULT_POLL_SECONDS
    told = facts.run.status.cost.last_updated_time
    return told is None or facts.now >= told + timedelta(seconds=seconds)


def next_poll(facts: Facts, status: TrainingRunStatus) -> datetime | None:
    """When it is due next, while something is charged."""
    if not status.attempts or open_charge(status.attempts[-1]) is None:
        return None
    budget = facts.run.spec.budget
    seconds = budget.poll_interval_seconds if budget is not None else DEFAULT_POLL_SECONDS
    told = status.cost.last_updated_time or facts.now
    return max(told + timedelta(seconds=seconds), facts.now + timedelta(seconds=1))


def budget_warnings(before: Cost, after: Cost) -> tuple[Event, ...]:
    """The highest share of the cap that was passed between two statuses, told once."""
    limit = after.limit_usd
    if limit is None or limit != before.limit_usd:
        return ()
    for percentage in WARNING_PERCENTAGES:
        mark = limit * percentage // 100
        if before.spent_usd < mark <= after.spent_usd:
            told = f"{show_usd(after.spent_usd)} of {show_usd(limit)} are spent ({percentage} %)"
            return (Event(type="Warning", reason=Reason.BUDGET_WARNING, message=told),)
    return ()


def _forecast(
    status: TrainingRunStatus, live: Attempt | None, spent: MicroUSD, rate: MicroUSD
) -> MicroUSD | None:
    trainer = status.trainer_status
    if live is None:
        return None
    if trainer is None or trainer.estimated_remaining_seconds is None:
        return None
    seconds = min(trainer.estimated_remaining_seconds, 10**9)
    return _shown(spent + charge(rate, timedelta(seconds=seconds)))


def _shown(amount: MicroUSD) -> MicroUSD:
    """What a status can hold: it has an upper bound, the ledger has none."""
    return min(max(amount, 0), MAX_AMOUNT)
