"""TrainingBudget: what the runs of a namespace may cost together, in a day, a week, a month, or ever.

`spec` is what a person allows; `status` is what was spent, what is promised to runs that are alive, and the record of runs that are no
more. The ledgers of the runs that exist stand in the runs alone, and are read from there.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from lightcompute.api.money import MAX_AMOUNT, USD
from lightcompute.api.names import LabelKey, LabelValue
from lightcompute.api.training_run import Metadata
from lightcompute.api.words import BudgetConditionType
from runcontract.base import (
    API_VERSION,
    ApiVersion,
    ContractModel,
    FieldFault,
    ReportModel,
    refuse,
)

MAX_HISTORY = 24
MAX_DEPARTED = 128
MAX_DEPARTED_PERIODS = 32
MAX_PERIODS = 64


class BudgetPeriod(StrEnum):
    """How long a limit holds before it begins anew."""

    TOTAL = "Total"
    MONTHLY = "Monthly"
    WEEKLY = "Weekly"
    DAILY = "Daily"


class RunSelector(ContractModel):
    """Which runs: those that have all of these labels."""

    match_labels: dict[LabelKey, LabelValue] = Field(
        default={}, max_length=16, description="Labels that a run must have, each with this value."
    )


class TrainingBudgetSpec(ContractModel):
    """What a person allows."""

    limit_usd: USD = Field(
        le=MAX_AMOUNT,
        description='What the runs may cost together in each period, in US dollars as text such as "500.00". With "0.00" nothing starts.',
    )
    period: BudgetPeriod = Field(
        default=BudgetPeriod.TOTAL,
        description="When the limit begins anew: Monthly on the first, Weekly on Monday, Daily at midnight, or never (Total).",
    )
    time_zone: str = Field(
        default="UTC",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z0-9_+/-]+$",
        description="Time zone of that midnight, by its name in the time zone database, such as Europe/Berlin.",
    )
    selector: RunSelector = Field(
        default=RunSelector(),
        description="Runs of the namespace that draw from it. Every one when empty.",
    )
    reservation_usd: USD | None = Field(
        default=None,
        gt=0,
        le=MAX_AMOUNT,
        description="What an attempt of a run reserves at most before it starts; when that is used up another attempt goes on from the checkpoint with the next. Without it a run reserves all that its own limit leaves.",
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        refuse(
            FieldFault(
                field="reservationUSD",
                found=self.reservation_usd,
                expected="no more than limitUSD",
            )
            if self.reservation_usd is not None and self.reservation_usd > self.limit_usd
            else None
        )
        return self


class BudgetCondition(ReportModel):
    """One question answered, as `metav1.Condition`."""

    type: BudgetConditionType = Field(description="The question.")
    status: Literal["True", "False", "Unknown"] = Field(description="The answer.")
    reason: str = Field(max_length=64, description="CamelCase word for why.")
    message: str = Field(default="", max_length=1024, description="Why, with numbers.")
    observed_generation: int = Field(default=0, description="Generation of the spec it is about.")
    last_transition_time: datetime = Field(description="When the answer last changed.")


class PeriodAmount(ReportModel):
    """What was spent in a period."""

    period_start: datetime | None = Field(
        default=None, description="When the period began; none for a limit that never begins anew."
    )
    amount_usd: USD = Field(description="What was spent in it.")


class DepartedRun(ReportModel):
    """A run that is being deleted, or was: its share stays counted."""

    run: str = Field(max_length=127, description="Name of the run.")
    run_uid: str = Field(max_length=64, description="Its UID.")
    amounts: tuple[PeriodAmount, ...] = Field(
        default=(),
        max_length=MAX_DEPARTED_PERIODS,
        description="What it spent, period by period; the oldest as one, where there are many.",
    )


class PastPeriod(ReportModel):
    """A period that is over."""

    period_start: datetime = Field(description="When it began.")
    period_end: datetime = Field(description="When it was over.")
    spent_usd: USD = Field(description="What was spent in it.")
    limit_usd: USD = Field(description="The limit at its end.")


class TrainingBudgetStatus(ReportModel):
    """What was spent and what is promised."""

    observed_generation: int = Field(default=0, description="Generation of the spec it is about.")
    conditions: tuple[BudgetCondition, ...] = Field(
        default=(), max_length=8, description="Questions answered."
    )
    period_start: datetime | None = Field(
        default=None, description="When this period began; none for Total."
    )
    period_end: datetime | None = Field(
        default=None, description="When the next one begins; none for Total."
    )
    spent_usd: USD = Field(default=0, description="Spent in this period, by all runs.")
    reserved_usd: USD = Field(
        default=0,
        description="What runs that are alive may still cost in this period, their time of grace included.",
    )
    remaining_usd: USD = Field(
        default=0, description="The limit, less what is spent and what is reserved."
    )
    runs: int = Field(default=0, ge=0, description="Runs that are alive and draw from it.")
    waiting_runs: int = Field(default=0, ge=0, description="Runs that wait for money.")
    settled: tuple[PeriodAmount, ...] = Field(
        default=(),
        max_length=MAX_PERIODS,
        description="What runs spent that are no more, period by period.",
    )
    departed: tuple[DepartedRun, ...] = Field(
        default=(),
        max_length=MAX_DEPARTED,
        description="Runs that are being deleted; they are added to `settled` when they are gone.",
    )
    history: tuple[PastPeriod, ...] = Field(
        default=(), max_length=MAX_HISTORY, description="Periods that are over, oldest first."
    )


class TrainingBudget(ContractModel):
    """What the runs of a namespace may cost together."""

    api_version: ApiVersion = Field(default=API_VERSION, description="Version of this document.")
    kind: Literal["TrainingBudget"] = Field(default="TrainingBudget", description="Kind.")
    metadata: Metadata = Field(description="Which budget it is.")
    spec: TrainingBudgetSpec = Field(description="What a person allows.")
    status: TrainingBudgetStatus = Field(
        default=TrainingBudgetStatus(), description="What was spent and what is promised."
    )

    @property
    def label(self) -> str:
        """Name for messages: `namespace/name`."""
        space = self.metadata.namespace
        return f"{space}/{self.metadata.name}" if space else self.metadata.name
