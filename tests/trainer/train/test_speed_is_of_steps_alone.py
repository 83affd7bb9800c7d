"""The speed that reports give, and the time left that follows from it."""

import pytest

from lightgpt.train.recorder import _Pace


def test_an_evaluation_between_two_reports_is_no_slowness_of_training() -> None:
    pace = _Pace(0)
    assert pace.seconds_per_step(10, training_s=5.0) == pytest.approx(0.5)
    # A minute of evaluation passes; the steps after it took as long as those before.
    assert pace.seconds_per_step(20, training_s=10.0) == pytest.approx(0.5)


def test_a_resumed_attempt_counts_its_own_steps_only() -> None:
    assert _Pace(100).seconds_per_step(104, training_s=2.0) == pytest.approx(0.5)


def test_a_report_without_a_step_divides_by_nothing() -> None:
    assert _Pace(3).seconds_per_step(3, training_s=0.0) > 0
