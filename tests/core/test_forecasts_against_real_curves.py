"""The range of a forecast, held against how small real trainings went on: curves of our own trainer, cut off and compared with their ends.

How far it can be trusted is measured on curves by which nothing of it was decided (docs/runs-on-a-cluster.md tells the numbers).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from lightcompute.api.foresight_of_target import TargetForecast, ValidationCurve, ValidationPoint
from lightcompute.api.status import Metric, TrainerStatus
from lightcompute.core.outlook import Outlook
from lightcompute.core.revise import revised
from lightcompute.core.target_outlook import target_forecast
from lightcompute.testing.builders import a_run, a_running_attempt
from support.source import CHECKOUT

SHARES = (0.3, 0.5, 0.7)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A training, and the losses that it reported."""

    training: dict[str, Any]
    points: tuple[tuple[int, float], ...]

    @property
    def end(self) -> float:
        """What a target of it is judged by."""
        return min(loss for _, loss in self.points)

    def every(self, stride: int) -> Curve:
        """Scored less often, still at its end."""
        return Curve(training=self.training, points=self.points[::-1][::stride][::-1])

    def forecast(self, share: float, at_most: float) -> TargetForecast:
        """What is told when `share` of the steps are done."""
        last = self.points[-1][0]
        known = tuple(
            ValidationPoint(step=step, loss=loss)
            for step, loss in self.points
            if step <= share * last
        )
        target = {"unit": "NatsPerCharacter", "atMost": at_most}
        run = a_run().with_spec(training=self.training | {"target": target}).build()
        told = TrainerStatus(
            metrics=(Metric(name="maxSteps", value=str(last)),),
            validation_curve=ValidationCurve(unit="NatsPerCharacter", attempt=1, points=known),
        )
        status = revised(run.status, attempts=(a_running_attempt(),), trainer_status=told)
        found = target_forecast(run, status, Outlook())
        assert found is not None
        return found

    def is_in_range(self, share: float) -> bool:
        """Whether the real end lies in the range that is told."""
        found = self.forecast(share, 0.01)
        assert found.lowest_loss is not None, found.message
        assert found.highest_loss is not None, found.message
        return found.lowest_loss <= self.end <= found.highest_loss * 1.0005  # it is told rounded


def curves(name: str) -> tuple[Curve, ...]:
    file = CHECKOUT / "tests" / "support" / "loss_curves.json"
    return tuple(
        Curve(
            training=each["training"],
            points=tuple((step, loss) for step, loss in each["natsPerCharacter"]),
        )
        for each in json.loads(file.read_text(encoding="utf-8"))["curves"]
        if each["set"] == name
    )


CHECKED = curves("check")


def test_there_are_curves_of_every_schedule_and_both_optimizers() -> None:
    schedules = [each.training["schedule"]["type"] for each in CHECKED]
    assert all(schedules.count(each) >= 9 for each in ("Constant", "Cosine", "WarmupStableDecay"))
    assert {each.training["optimizer"]["type"] for each in CHECKED} == {"AdamW", "Muon"}


@pytest.mark.parametrize("share", SHARES)
def test_nine_of_ten_ranges_hold_the_real_end(share: float) -> None:
    held = sum(each.is_in_range(share) for each in CHECKED)
    assert held >= 0.9 * len(CHECKED)


@pytest.mark.parametrize("share", [0.5, 0.7])
def test_they_do_where_a_run_is_scored_ten_times_as_by_default(share: float) -> None:
    held = sum(each.every(2).is_in_range(share) for each in CHECKED)
    assert held >= 0.9 * len(CHECKED)


def test_what_is_called_likely_or_unlikely_comes_true_in_nine_of_ten_cases() -> None:
    told: list[tuple[str, bool]] = []
    for curve in CHECKED:
        for share in SHARES:
            for factor in (0.8, 0.9, 0.95, 0.99, 1.01, 1.03, 1.05, 1.1):
                at_most = curve.end * factor
                found = curve.forecast(share, at_most)
                told.append((found.likelihood, curve.end <= at_most))
    likely = [met for word, met in told if word == "Likely"]
    unlikely = [met for word, met in told if word == "Unlikely"]
    assert sum(likely) >= 0.9 * len(likely)
    assert sum(unlikely) <= 0.1 * len(unlikely)
    not_yet = [word for word, _ in told if word != "Met"]
    assert len(likely) + len(unlikely) >= 0.15 * len(not_yet), "it does say something"


def test_the_range_narrows_as_a_run_goes_on() -> None:
    def width(share: float) -> float:
        found = [each.forecast(share, 0.01) for each in CHECKED]
        return sum((each.highest_loss or 0) - (each.lowest_loss or 0) for each in found)

    widths = [width(share) for share in SHARES]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < widths[0] / 2
