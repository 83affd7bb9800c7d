"""What came out of a run, as rows of a table; the same after `run` and in `status`. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lightcompute.api.came_out import RunResults
from lightcompute.api.foresight_of_target import TargetForecast, TargetLikelihood
from lightcompute.cli import text

_LIKELIHOODS: dict[TargetLikelihood, str] = {
    "Met": "met",
    "Likely": "likely to be met",
    "Unclear": "may be met or missed",
    "Unlikely": "not likely to be met",
    "TooEarly": "too early to say",
}
_NOT_OVER = frozenset({"Preempted", "BudgetReached"})


def result_rows(results: RunResults) -> Iterator[tuple[str, str]]:
    """What came out, by name; a target that may yet be met is left out."""
    if results.steps is not None:
        tokens = "" if results.tokens is None else f" ({text.count(results.tokens)} tokens)"
        yield "steps", f"{text.count(results.steps)}{tokens}"
    if results.final_validation:
        yield "validation loss", text.losses(results.final_validation)
    if results.best_validation:
        at = "" if results.best_step is None else f" at step {text.count(results.best_step)}"
        yield "best validation loss", text.losses(results.best_validation) + at
    if results.test:
        yield "test loss", text.losses(results.test)
    target = results.target
    # A run that only holds may yet meet it.
    if target is not None and (results.reason not in _NOT_OVER or target.met):
        unit = text.UNITS[target.unit]
        reached = "was not scored" if target.reached is None else f"is {target.reached:.4f} {unit}"
        verdict = "met" if target.met else "not met"
        yield (
            "target",
            f"{verdict}: {target.metric} {reached}, wanted at most {target.at_most} {unit}",
        )
    if results.training_seconds and results.tokens_per_second:
        time = text.duration(results.training_seconds)
        yield "speed", f"{text.count(results.tokens_per_second)} tokens/s, {time} in steps"


def likelihood_text(forecast: TargetForecast | None) -> str:
    """Whether a target is likely to be met, in words; empty where nothing is forecast."""
    return "" if forecast is None else f"{_LIKELIHOODS[forecast.likelihood]}: {forecast.message}"
