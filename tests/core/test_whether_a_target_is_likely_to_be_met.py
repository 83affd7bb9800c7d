"""Whether the target is likely to be met before the cap or the end: told beside the forecast of cost, by what the trainer reported."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from lightcompute.api.foresight_of_target import TargetForecast, TargetLikelihood
from lightcompute.core.decide import decide
from lightcompute.core.progress import Progress
from lightcompute.core.snapshot import Snapshot
from lightcompute.testing.builders import (
    RunBuilder,
    a_child,
    a_run,
    a_running_attempt,
    a_snapshot,
    an_attempt,
    an_ended_attempt,
    at,
)
from lightcompute.testing.trainer import a_loss
from runcontract.progress import Evaluated, Started, Stepped

STEPS = 1000
PRICE = "3.60"
"""A tenth of a cent a second; 31 s of it are held back."""


def loss_at(step: int) -> float:
    return 1.0 + 8 / math.sqrt(step)


def a_target(at_most: float, **parts: Any) -> RunBuilder:
    target = {"unit": "NatsPerCharacter", "atMost": at_most} | parts.pop("target", {})
    training = {
        "data": {"dataset": "tinyshakespeare"},
        "maxSteps": STEPS,
        "schedule": {"type": "Constant"},
        "evaluation": {"everySteps": 50},
        "target": target,
    }
    return a_run().with_spec(training=training | parts)


def heard(until: int, *, attempt: int = 1, first: int = 0, lift: float = 0.0) -> Progress:
    """What a trainer of ten steps a second has said at the step `until`."""
    common: dict[str, Any] = {"attempt": attempt, "max_steps": STEPS}
    progress = Progress(attempt=attempt).with_report(
        Started(**common, time=at(0), step=first, parameters=1, training_tokens=1, device="x",
                resumed_from_step=first or None)
    )  # fmt: skip
    for step in range(first + 50, until + 1, 50):
        progress = progress.with_report(
            Stepped(**common, time=at(step / 10), step=step, epoch=0, tokens=step, training_loss=1, learning_rate=1,
                    gradient_norm=1, tokens_per_second=1, remaining_seconds=(STEPS - step) / 10)
        ).with_report(
            Evaluated(time=at(step / 10), attempt=attempt, step=step, validation=a_loss(loss_at(step) + lift),
                      best=True, training_loss=1)
        )  # fmt: skip
    return progress


def looked(run: RunBuilder, progress: Progress | None, now: float) -> Snapshot:
    live = a_running_attempt(price=PRICE)
    return a_snapshot(run.with_attempts(live), a_child(progress=progress), now=at(now))


def forecast(run: RunBuilder, until: int = 500) -> TargetForecast:
    found = decide(looked(run, heard(until), until / 10)).status.cost.target
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("at_most", "likelihood"),
    [(1.4, "Met"), (1.35, "Likely"), (loss_at(STEPS), "Unclear"), (1.1, "Unlikely")],
)
def test_a_target_is_held_against_the_range_at_the_last_step(
    at_most: float, likelihood: TargetLikelihood
) -> None:
    found = forecast(a_target(at_most))
    assert found.likelihood == likelihood, found.message
    if likelihood != "Met":
        assert found.step == STEPS
        assert found.lowest_loss is not None
        assert found.highest_loss is not None
        assert found.lowest_loss < loss_at(STEPS) < found.highest_loss < loss_at(500)
        assert f"{found.lowest_loss:.4g} to {found.highest_loss:.4g}" in found.message
    assert f"wanted at most {at_most:g} NatsPerCharacter" in found.message


def test_the_cap_counts_where_it_comes_before_the_last_step() -> None:
    """31 s are held back of 91: it is stopped after 60 s, at step 600, and what was scored last counts."""
    run = a_target(1.28)
    assert forecast(run).likelihood == "Unclear"
    capped = forecast(run.limited_to("0.091"))
    assert (capped.likelihood, capped.step) == ("Unlikely", 600)
    assert "the last before the limit ends the run" in capped.message


def test_nothing_that_was_not_scored_before_the_cap_counts() -> None:
    found = forecast(a_target(1.2, evaluation={"everySteps": 250}).limited_to("0.091"))
    assert found.step == 500
    assert found.lowest_loss == found.highest_loss == pytest.approx(loss_at(500), abs=1e-3)


def test_a_target_once_met_stays_met_when_the_loss_rises() -> None:
    run = a_target(loss_at(500))
    risen = heard(600).with_report(
        Evaluated(time=at(61), attempt=1, step=610, validation=a_loss(5.0), best=False, training_loss=1)
    )  # fmt: skip
    found = decide(looked(run, risen, 61)).status.cost.target
    assert found is not None
    assert found.likelihood == "Met"


@pytest.mark.parametrize("until", [0, 50, 150])
def test_few_evaluations_give_none_and_say_how_many_are_needed(until: int) -> None:
    found = forecast(a_target(1.3), until)
    assert found.likelihood == "TooEarly"
    assert (found.step, found.lowest_loss, found.highest_loss) == (None, None, None)
    assert f"{until // 50} evaluations so far, 4 are needed" in found.message


def test_a_trainer_that_has_not_told_its_speed_gets_none_under_a_cap() -> None:
    silent = Progress(attempt=1)
    found = decide(looked(a_target(1.3).limited_to("0.091"), silent, 10)).status.cost.target
    assert found is not None
    assert found.likelihood == "TooEarly"
    assert "how fast" in found.message


def test_what_validation_losses_do_not_tell_is_unclear_and_says_why() -> None:
    test = forecast(a_target(1.4, target={"metric": "TestLoss"}))
    lossy = forecast(a_target(1.4, tokenizer={"type": "BPE", "lossless": False}))
    assert (test.likelihood, lossy.likelihood) == ("Unclear", "Unclear")
    assert "the test part" in test.message
    assert "lose characters" in lossy.message
    assert "early stopping" in forecast(a_target(1.1, earlyStopping={"patience": 3})).message


def test_a_decay_of_the_learning_rate_that_is_still_ahead_lowers_the_low_end() -> None:
    plain = forecast(a_target(1.1))
    decays = forecast(a_target(1.1, schedule={"type": "WarmupStableDecay", "finalFraction": 0}))
    assert plain.lowest_loss is not None
    assert decays.lowest_loss is not None
    assert decays.lowest_loss < plain.lowest_loss
    assert decays.highest_loss == plain.highest_loss


def test_there_is_none_without_a_target_and_where_nothing_runs() -> None:
    untargeted = decide(looked(a_run(), heard(500), 50)).status
    assert untargeted.cost.target is None
    assert untargeted.trainer_status is not None
    assert untargeted.trainer_status.validation_curve is None
    told = decide(looked(a_target(1.3), heard(500), 50)).status
    run = a_target(1.3).with_status(told)
    ended = a_snapshot(run.suspended().with_attempts(an_ended_attempt()), now=at(100))
    assert decide(ended).status.cost.target is None
    waits = a_snapshot(run.with_attempts(an_ended_attempt(), an_attempt(2)), now=at(100))
    assert decide(waits).status.cost.target is None


def test_the_curve_goes_on_over_attempts() -> None:
    first = decide(looked(a_target(1.1), heard(500), 50)).status
    again = a_target(1.1).with_status(first)
    run = again.with_attempts(an_ended_attempt(), a_running_attempt(2, price=PRICE))
    child = a_child(2, progress=heard(450, attempt=2, first=300, lift=0.001))
    status = decide(a_snapshot(run, child, now=at(100))).status
    assert status.trainer_status is not None
    curve = status.trainer_status.validation_curve
    assert curve is not None
    assert [each.step for each in curve.points] == list(range(50, 451, 50))
    assert curve.attempt == 2
    assert status.cost.target is not None
    assert status.cost.target.likelihood == "Unlikely"


def test_no_write_comes_about_that_progress_would_not_have_brought() -> None:
    run = a_target(1.1)
    first = decide(looked(run, heard(500), 50)).status
    known = run.with_status(first)
    for later, until in ((1, 500), (9, 550)):
        snapshot = a_snapshot(
            known, a_child(progress=heard(until)), now=at(50) + timedelta(seconds=later)
        )
        assert decide(snapshot).status == first
    due = a_snapshot(known, a_child(progress=heard(550)), now=at(60))
    assert decide(due).status != first
