"""A run as it is shown: numbers picked from its status and from what its trainer said last. Pure; others draw it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from lightcompute.api import Phase, Reason, TrainingRun
from lightcompute.api.money import MicroUSD, charge
from lightcompute.api.status import Cost, Saves
from lightcompute.cli import text
from lightcompute.core.budget import Terms
from lightcompute.core.ledger import total_cost
from lightcompute.core.outlook import outlook_of
from lightcompute.core.progress import Progress
from lightcompute.core.report import trainer_status
from lightcompute.core.revise import revised
from lightcompute.core.saves import saves_told
from lightcompute.core.target_outlook import target_forecast
from runcontract.losses import Loss, LossUnit


@dataclass(frozen=True, kw_only=True)
class RunView:
    """What a person wants to see of a run at one moment."""

    name: str
    phase: Phase
    reason: str
    message: str
    attempt: int
    step: int
    max_steps: int | None
    training_loss: float | None
    validation: Loss | None
    best_validation: Loss | None
    tokens_per_second: float | None
    remaining_seconds: float | None
    spent: MicroUSD
    forecast: MicroUSD | None
    limit: MicroUSD | None
    has_price: bool
    saves: Saves | None
    sample: str
    unit: LossUnit

    @property
    def share(self) -> float | None:
        """How much of the run is done, from 0 to 1."""
        return min(self.step / self.max_steps, 1.0) if self.max_steps else None

    @property
    def waits_for_money(self) -> bool:
        """Whether TrainingBudgets have no room for it now."""
        return self.phase is Phase.PENDING and self.reason == Reason.WAITING_FOR_BUDGET

    def step_text(self) -> str:
        """`120/3,000`."""
        of = f"/{text.count(self.max_steps)}" if self.max_steps else ""
        return f"{text.count(self.step)}{of}"

    def training_text(self) -> str:
        """The training loss with its unit."""
        return "" if self.training_loss is None else f"{self.training_loss:.4f} nats/token"

    def validation_text(self) -> str:
        """The validation loss per token, and in the unit of the target where that is another."""
        if self.validation is None:
            return ""
        shown = text.loss_in(self.validation, "NatsPerToken")
        other = (
            "" if self.unit == "NatsPerToken" else f" = {text.loss_in(self.validation, self.unit)}"
        )
        return shown + other

    def cost_text(self) -> str:
        """What it has cost, what it will have, and the cap; empty where nothing has a price."""
        if not self.has_price:
            return ""
        parts = [f"{text.usd(self.spent)} so far"]
        if self.forecast is not None:
            parts.append(f"about {text.usd(self.forecast)} at the end")
        if self.limit is not None:
            parts.append(f"at most {text.usd(self.limit)}")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    """What is known of how far it is, whoever told it."""

    step: int = 0
    max_steps: int | None = None
    training_loss: float | None = None
    validation: Loss | None = None
    best_validation: Loss | None = None
    tokens_per_second: float | None = None
    remaining_seconds: float | None = None
    as_of: datetime | None = None
    sample: str = ""


def view_of(run: TrainingRun, progress: Progress | None, now: datetime) -> RunView:
    """The run at `now`; its numbers from what its trainer said last, else from its status."""
    status = run.status
    numbers = _from_progress(progress) if progress else _from_status(run)
    target = run.spec.training.target if run.spec.training else None
    remaining = _remaining(numbers, now)
    return RunView(
        name=run.metadata.name,
        phase=status.phase,
        reason=status.reason,
        message=status.message,
        attempt=status.attempts[-1].number if status.attempts else 0,
        step=numbers.step,
        max_steps=numbers.max_steps,
        training_loss=numbers.training_loss,
        validation=numbers.validation,
        best_validation=numbers.best_validation,
        tokens_per_second=numbers.tokens_per_second,
        remaining_seconds=remaining,
        spent=total_cost(status, now),
        forecast=_forecast(run, remaining, now),
        limit=status.cost.limit_usd,
        has_price=bool(status.cost.rate_per_hour_usd or total_cost(status, now)),
        saves=saves_told(status.saves, progress),
        sample=numbers.sample,
        unit=target.unit if target else "NatsPerToken",
    )


def _from_progress(progress: Progress) -> _Numbers:
    stepped, evaluated = progress.stepped, progress.evaluated
    return _Numbers(
        step=progress.step,
        max_steps=progress.max_steps,
        training_loss=stepped.training_loss if stepped else None,
        validation=evaluated.validation if evaluated else None,
        best_validation=progress.best_validation,
        tokens_per_second=stepped.tokens_per_second if stepped else None,
        remaining_seconds=stepped.remaining_seconds if stepped else None,
        as_of=stepped.time if stepped else None,
        sample=(evaluated.sample or "") if evaluated else "",
    )


def _from_status(run: TrainingRun) -> _Numbers:
    """The metrics of `status.trainerStatus`, by the names that `core.report` gives them."""
    status = run.status
    told = status.trainer_status
    newest = status.attempts[-1] if status.attempts else None
    if told is None:
        return _Numbers(step=(newest.last_step or 0) if newest else 0)
    found = {
        metric.name: number
        for metric in told.metrics
        if (number := _number(metric.value)) is not None
    }
    max_steps = found.get("maxSteps")
    return _Numbers(
        step=int(found.get("step", 0)),
        max_steps=None if max_steps is None else int(max_steps),
        training_loss=found.get("trainingLossNatsPerToken"),
        validation=_loss(found, "validationLoss"),
        best_validation=_loss(found, "bestValidationLoss"),
        tokens_per_second=found.get("tokensPerSecond"),
        remaining_seconds=told.estimated_remaining_seconds,
        as_of=told.last_updated_time,
    )


def _loss(found: dict[str, float], name: str) -> Loss | None:
    per_token, per_character, per_byte = (
        found.get(f"{name}{unit}") for unit in ("NatsPerToken", "NatsPerCharacter", "BitsPerByte")
    )
    if per_token is None or per_character is None or per_byte is None:
        return None
    return Loss(nats_per_token=per_token, nats_per_character=per_character, bits_per_byte=per_byte)


def _number(text: str) -> float | None:
    """What a trainer wrote may be anything; only a finite number is one."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _remaining(numbers: _Numbers, now: datetime) -> float | None:
    if numbers.remaining_seconds is None or numbers.as_of is None:
        return None
    return max(numbers.remaining_seconds - max((now - numbers.as_of).total_seconds(), 0.0), 0.0)


def _forecast(run: TrainingRun, remaining: float | None, now: datetime) -> MicroUSD | None:
    """Cost at the end at today's price, as of now; the status has one as of its last update."""
    if remaining is None or run.status.phase != Phase.RUNNING:
        return run.status.cost.forecast_usd
    rate = run.status.cost.rate_per_hour_usd
    return total_cost(run.status, now) + charge(rate, timedelta(seconds=min(remaining, 1e9)))


def cost_now(run: TrainingRun, progress: Progress | None) -> Cost:
    """The cost that the status tells, with its outlook from what the trainer said last, where its log is at hand."""
    status = run.status
    if progress is None or progress.newest_time is None or not status.attempts:
        return status.cost
    told = revised(status, trainer_status=trainer_status(progress, run, progress.newest_time))
    cap = outlook_of(run, told, Terms(grace_seconds=status.attempts[-1].grace_seconds or 0))
    return revised(
        status.cost,
        cap_reached_time=cap.time,
        cap_reached_step=cap.step,
        target=target_forecast(run, told, cap),
    )
