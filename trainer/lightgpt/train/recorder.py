"""What a run tells of itself as it goes: metrics.csv, TensorBoard, progress reports, lines for people.

Rows and curves come at steps that the order decides; progress reports at a steady pace by the clock. Nothing here decides
anything.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from lightgpt.train.events import EventLog
from lightgpt.train.metrics import loss_columns, metrics_row, open_metrics
from lightgpt.train.plan import Plan
from lightgpt.train.reports import Reporter, now
from lightgpt.train.state import LoopState
from runcontract.folder import TENSORBOARD
from runcontract.losses import Loss, loss_from_sum
from runcontract.progress import Evaluated, Stepped, Warned

REPORT_SECONDS = 1.0
"""Pace of progress reports; lines for people come a tenth as often."""
_PEOPLE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How the training part's tokens relate to its characters and bytes."""

    tokens: int
    characters: int
    bytes_: int

    def loss(self, nats_per_token: float) -> Loss:
        """A mean loss per token in all units, by the part's own averages."""
        return loss_from_sum(
            sum_nats=nats_per_token * self.tokens,
            tokens=self.tokens,
            characters=self.characters,
            bytes_=self.bytes_,
        )


class _Pace:
    """Seconds that a step takes, from one call to the next."""

    def __init__(self, step: int) -> None:
        self._step, self._training_s = step, 0.0

    def seconds_per_step(self, step: int, training_s: float) -> float:
        """Of the steps since the last call; `training_s` is the time that all steps of the attempt took."""
        steps, seconds = step - self._step, training_s - self._training_s
        self._step, self._training_s = step, training_s
        return max(seconds, 1e-9) / max(steps, 1)


class Recorder:
    """Rank 0's records of one attempt."""

    def __init__(
        self,
        folder: Path,
        reporter: Reporter,
        *,
        plan: Plan,
        scale: Scale,
        tokens_per_step: int,
        attempt: int,
        resumed_step: int | None,
    ) -> None:
        self._reporter = reporter
        self._plan = plan
        self._scale = scale
        self._tokens_per_step = tokens_per_step
        self._attempt = attempt
        self._metrics = open_metrics(folder, resumed_step=resumed_step or 0)
        self.events = EventLog(folder / TENSORBOARD, resumed_step=resumed_step)
        self._began_s = self._reported_s = self._told_s = time.monotonic()
        # Speeds are of steps alone: an evaluation between two reports is no slowness of training.
        self._reported_pace = _Pace(resumed_step or 0)
        self._row_pace = _Pace(resumed_step or 0)
        self._warned_of_space = False

    def row(self, state: LoopState, *, epoch: float, training_s: float) -> None:
        """Adds the row and the points of this step."""
        mean = state.row_losses.take()
        training = None if mean is None else self._scale.loss(mean)
        validation = state.validation if state.evaluated_step == state.step else None
        values: dict[str, float | int | None] = {
            "step": state.step,
            "epoch": epoch,
            "tokens": state.step * self._tokens_per_step,
            "learning_rate": state.learning_rate,
            "gradient_norm": state.gradient_norm,
            **loss_columns("training", training),
            **loss_columns("validation", validation),
        }
        rate = self._tokens_per_step / self._row_pace.seconds_per_step(state.step, training_s)
        values |= {
            "elapsed_seconds": round(time.monotonic() - self._began_s, 3),
            "tokens_per_second": round(rate, 1),
        }
        self._write(metrics_row(values), state.step)
        self._curves(state, training, validation, rate)

    def _write(self, row: str, step: int) -> None:
        if self._metrics.append(row):
            self._warned_of_space = False
        elif not self._warned_of_space:
            self._warned_of_space = True
            self.warn(
                "MetricsWaiting",
                f"{self._metrics.path} cannot be written; rows wait in memory",
                step,
            )

    def _curves(
        self,
        state: LoopState,
        training: Loss | None,
        validation: Loss | None,
        tokens_per_second: float,
    ) -> None:
        points = {
            "learning_rate": state.learning_rate,
            "gradient_norm": state.gradient_norm,
            "tokens_per_second": tokens_per_second,
        }
        for part, loss in (("training", training), ("validation", validation)):
            if loss is not None:
                points[f"{part}_loss/nats_per_token"] = loss.nats_per_token
                points[f"{part}_loss/nats_per_character"] = loss.nats_per_character
                points[f"{part}_loss/bits_per_byte"] = loss.bits_per_byte
        self.events.scalars(points, step=state.step)

    def sync(self) -> None:
        """Has the device keep the rows: a checkpoint must not be ahead of them."""
        self._metrics.sync()

    def progress(self, state: LoopState, *, epoch: float, training_s: float) -> None:
        """A report of this step, when the last one is long enough ago."""
        at_s = time.monotonic()
        if at_s - self._reported_s < REPORT_SECONDS:
            return
        seconds_per_step = self._reported_pace.seconds_per_step(state.step, training_s)
        remaining_s = (self._plan.max_steps - state.step) * seconds_per_step
        self._reported_s = at_s
        report = Stepped(
            time=now(),
            attempt=self._attempt,
            step=state.step,
            max_steps=self._plan.max_steps,
            epoch=epoch,
            tokens=state.step * self._tokens_per_step,
            training_loss=min(state.loss, 1e6),
            learning_rate=min(state.learning_rate, 1e3),
            gradient_norm=min(state.gradient_norm, 1e12),
            tokens_per_second=self._tokens_per_step / seconds_per_step,
            remaining_seconds=min(remaining_s, 1e10),
        )
        self._reporter.report(report)
        if at_s - self._told_s >= _PEOPLE_SECONDS:
            self._told_s = at_s
            self._reporter.say(
                f"step {state.step}/{self._plan.max_steps} (epoch {epoch:.2f}): training loss {state.loss:.4f} nats/token, "
                f"{report.tokens_per_second:,.0f} tokens/s, {remaining_s:.0f} s left"
            )

    def evaluation(self, state: LoopState, *, best: bool, sample: str | None) -> None:
        """A report of the evaluation at this step."""
        validation = state.validation
        assert validation is not None
        training = state.training_loss or 0.0
        self._reporter.report(
            Evaluated(
                time=now(),
                attempt=self._attempt,
                step=state.step,
                validation=validation,
                best=best,
                training_loss=min(training, 1e6),
                sample=None if sample is None else sample[:4000],
            )
        )
        if sample is not None:
            self.events.text("sample", sample, step=state.step)
        self._reporter.say(
            f"step {state.step}/{self._plan.max_steps}: validation loss {validation.nats_per_token:.4f} nats/token, "
            f"{validation.nats_per_character:.4f} nats/char, {validation.bits_per_byte:.4f} bits/byte"
            f"{' (best)' if best else ''}; training loss {training:.4f} nats/token"
        )
        self._told_s = time.monotonic()

    def warn(self, reason: str, message: str, step: int) -> None:
        """A warning in the reports and for people."""
        self._reporter.say(f"warning: {message}")
        self._reporter.report(
            Warned(
                time=now(), attempt=self._attempt, step=step, reason=reason, message=message[:1024]
            )
        )
