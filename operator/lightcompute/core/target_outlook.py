"""Whether the target of a run is likely to be met in time: before the cap ends the run, or before its last step, whichever comes first.

Judged by the lowest validation loss, as the target itself is. What the extrapolation cannot know is said instead of guessed.
"""

from __future__ import annotations

from lightcompute.api.foresight_of_target import TargetForecast, TargetLikelihood, ValidationCurve
from lightcompute.api.status import TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.ledger import open_charge
from lightcompute.core.likelihood import (
    FARTHEST,
    FEWEST_POINTS,
    Point,
    Range,
    fitting,
    lowest_loss,
)
from lightcompute.core.outlook import Outlook, number_of
from runcontract.order import Target, Training
from runcontract.schedule import learning_rate_factor

EVALUATIONS = 10
"""How often a run is scored whose order does not say how often."""


def target_forecast(
    run: TrainingRun, status: TrainingRunStatus, cap: Outlook
) -> TargetForecast | None:
    """What is to be expected of the live attempt, which the cap ends as `cap` tells; None where none has begun or there is no target."""
    training = run.spec.training
    if training is None or training.target is None:
        return None
    live = status.attempts[-1] if status.attempts and status.attempts[-1].is_live else None
    if live is None or open_charge(live) is None:
        return None
    target, trainer = training.target, status.trainer_status
    curve = trainer.validation_curve if trainer is not None else None
    if curve is None or curve.unit != target.unit:
        curve = ValidationCurve(unit=target.unit, attempt=1)
    doubt = _doubt(training, target)
    lowest = min(curve.points, key=lambda each: each.loss, default=None)
    if lowest is not None and lowest.loss <= target.at_most and not doubt:
        loss = f"{lowest.loss:.4g} at step {lowest.step}"
        return _told(target, "Met", f"the validation loss was {loss}", lowest.step)
    last = number_of(status, "maxSteps")
    if last is None or (cap.time is not None and cap.step is None):
        return _told(target, "TooEarly", "the trainer has not told yet how fast it is")
    end = last if cap.step is None else min(last, _last_score(training, curve, cap.step, last))
    return _extrapolated(training, target, curve, end, last)


def _extrapolated(
    training: Training, target: Target, curve: ValidationCurve, end: int, last: int
) -> TargetForecast:
    """The forecast for the evaluation at step `end` of a run with `last` steps."""
    points = fitting([Point(step=each.step, loss=each.loss) for each in curve.points])
    if len(points) < FEWEST_POINTS:
        few = f"{len(points)} evaluations so far, {FEWEST_POINTS} are needed for a forecast"
        return _told(target, "TooEarly", few)
    newest = points[-1].step
    found = lowest_loss(points, step=end, rate_fall=_rate_fall(training, newest, end, last))
    if found is None:
        far = f"step {end} is more than {FARTHEST} times as far as the newest evaluation, at step {newest}"
        return _told(target, "TooEarly", far)
    low, high = float(f"{found.low:.4g}"), float(f"{found.high:.4g}")
    when = f"by step {end}" + ("" if end >= last else ", the last before the limit ends the run")
    now = f"{points[-1].loss:.4g} at step {newest}"
    said = f"a best validation loss of {low:.4g} to {high:.4g} is expected {when}; {now}"
    doubt = _doubt(training, target)
    reasons = [said, doubt] if doubt else [said]
    if training.early_stopping is not None:
        reasons.append("early stopping may end it before")
    likelihood = "Unclear" if doubt else verdict(found, target.at_most)
    return _told(target, likelihood, "; ".join(reasons), end).model_copy(
        update={"lowest_loss": low, "highest_loss": high}
    )


def verdict(expected: Range, at_most: float) -> TargetLikelihood:
    """How likely a loss in the range `expected` meets a target of `at_most`."""
    if expected.high <= at_most:
        return "Likely"
    return "Unlikely" if expected.low > at_most else "Unclear"


def _told(
    target: Target, likelihood: TargetLikelihood, message: str, step: int | None = None
) -> TargetForecast:
    wanted = f"wanted at most {target.at_most:g} {target.unit}"
    return TargetForecast(
        likelihood=likelihood, unit=target.unit, step=step, message=f"{message}; {wanted}"
    )


def _doubt(training: Training, target: Target) -> str:
    """Why validation losses do not say whether the target is met; empty where they do."""
    if target.metric == "TestLoss":
        return "the target is about the test part, which is scored at the end alone: this is the validation loss"
    if target.unit != "NatsPerToken" and not training.tokenizer.lossless:
        return "the tokenizer may lose characters, and then no loss in this unit meets a target"
    return ""


def _last_score(training: Training, curve: ValidationCurve, step: int, last: int) -> int:
    """The step of the last evaluation at or before `step`, as far as the order tells; a run that the cap ends is not scored then."""
    evaluation = training.evaluation
    if evaluation.every_epochs is not None:
        return step
    every = evaluation.every_steps or -(-last // EVALUATIONS) or 1
    newest = curve.points[-1].step if curve.points else 0
    return max(step - step % every, min(newest, step))


def _rate_fall(training: Training, newest: int, end: int, last: int) -> float:
    """What a fall of the learning rate between the steps `newest` and `end` will do that the losses so far do not show: 1 for a whole fall.

    Its height as a share of the peak, and less the farther the rate has come down already: laws follow the slope that this gave the curve.
    """
    now, then = (
        learning_rate_factor(training.schedule, step=step, max_steps=last) for step in (newest, end)
    )
    return max(now - then, 0.0) * now
