"""A run as it is shown: numbers picked from its status and from what its trainer said last. Pure; others draw it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lightcompute.api import Phase, TrainingRun
from lightcompute.api.money import MicroUSD, charge
from lightcompute.cli import text
from lightcompute.core.ledger import total_cost
from lightcompute.core.progress import Progress
from runcontract.losses import Loss, LossUnit


@dataclass(frozen=True, kw_only=True)
class RunView:
    """What a person wants to see of a run at one moment."""

    name: str
    phase: Phase
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
    sample: str
    unit: LossUnit

    @property
    def share(self) -> float | None:
        """How much of the run is done, from 0 to 1."""
        return min(self.step / self.max_steps, 1.0) if self.max_steps else None

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


def view_of(run: TrainingRun, progress: Progress | None, now: datetime) -> RunView:
    """The run at `now`."""
    status = run.status
    stepped = progress.stepped if progress else None
    evaluated = progress.evaluated if progress else None
    target = run.spec.training.target if run.spec.training else None
    newest = status.attempts[-1] if status.attempts else None
    return RunView(
        name=run.metadata.name,
        phase=status.phase,
        message=status.message,
        attempt=newest.number if newest else 0,
        step=progress.step if progress else (newest.last_step or 0) if newest else 0,
        max_steps=progress.max_steps if progress else None,
        training_loss=stepped.training_loss if stepped else None,
        validation=evaluated.validation if evaluated else None,
        best_validation=progress.best_validation if progress else None,
        tokens_per_second=stepped.tokens_per_second if stepped else None,
        remaining_seconds=_remaining(progress, now),
        spent=total_cost(status, now),
        forecast=_forecast(run, progress, now),
        limit=status.cost.limit_usd,
        has_price=bool(status.cost.rate_per_hour_usd or total_cost(status, now)),
        sample=(evaluated.sample or "") if evaluated else "",
        unit=target.unit if target else "NatsPerToken",
    )


def _remaining(progress: Progress | None, now: datetime) -> float | None:
    stepped = progress.stepped if progress else None
    if stepped is None or stepped.remaining_seconds is None:
        return None
    return max(stepped.remaining_seconds - max((now - stepped.time).total_seconds(), 0.0), 0.0)


def _forecast(run: TrainingRun, progress: Progress | None, now: datetime) -> MicroUSD | None:
    """Cost at the end at today's price, as of now; the status has one as of its last update."""
    remaining = _remaining(progress, now)
    if remaining is None or run.status.phase != Phase.RUNNING:
        return run.status.cost.forecast_usd
    rate = run.status.cost.rate_per_hour_usd
    return total_cost(run.status, now) + charge(rate, timedelta(seconds=remaining))
