"""When the cap will stop a run, and at which step: told while that comes before the end, and not after."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from lightcompute.api.status import Metric, TrainerStatus
from lightcompute.core.budget import Terms, end_time, new_deadline
from lightcompute.core.outlook import Outlook, outlook_of
from lightcompute.core.revise import revised
from lightcompute.testing.builders import (
    NOON,
    RunBuilder,
    a_run,
    a_running_attempt,
    an_ended_attempt,
    at,
)

TERMS = Terms(grace_seconds=30, clock_skew_seconds=2)
PRICE = "3.60"
"""A tenth of a cent a second; 33 s of it are held back."""


def told(step: int, last: int | None, remaining: int | None, when: datetime) -> TrainerStatus:
    metrics = [Metric(name="step", value=str(step))]
    if last is not None:
        metrics.append(Metric(name="maxSteps", value=str(last)))
    return TrainerStatus(
        estimated_remaining_seconds=remaining, metrics=tuple(metrics), last_updated_time=when
    )


def outlook(run: RunBuilder, trainer: TrainerStatus | None = None) -> Outlook:
    built = run.build()
    return outlook_of(built, revised(built.status, trainer_status=trainer), TERMS)


def running(limit: str = "0.133") -> RunBuilder:
    return a_run().limited_to(limit).with_attempts(a_running_attempt(price=PRICE))


def test_the_cap_is_reached_when_its_place_would_end_the_attempt() -> None:
    run = running()
    found = outlook(run).time
    assert found == at(100)
    built = run.build()
    deadline = new_deadline(
        built,
        revised(built.status, attempts=()),
        rate=built.status.attempts[-1].rate_per_hour_usd,
        now=NOON,
        terms=TERMS,
    )
    assert end_time(revised(built.status.attempts[-1], deadline_seconds=deadline)) == found


def test_the_step_follows_from_the_speed_that_was_reported() -> None:
    """At 20 s it was at step 200 of 2,000 with 180 s to go: ten steps a second, so step 1,000 at 100 s."""
    assert outlook(running(), told(200, 2000, 180, at(20))) == Outlook(time=at(100), step=1000)


@pytest.mark.parametrize(("remaining", "reached"), [(79, False), (80, False), (81, True)])
def test_a_run_that_ends_before_has_none(remaining: int, reached: bool) -> None:
    found = outlook(running(), told(200, 2000, remaining, at(20)))
    assert (found.time is not None) == reached


def test_without_steps_or_an_estimate_only_the_time_is_told() -> None:
    assert outlook(running(), told(200, None, 180, at(20))) == Outlook(time=at(100))
    assert outlook(running(), told(200, 2000, None, at(20))) == Outlook(time=at(100))


def test_no_cap_no_price_and_nothing_that_runs_have_no_outlook() -> None:
    assert outlook(a_run().with_attempts(a_running_attempt(price=PRICE))) == Outlook()
    free = a_run().limited_to("1.00").with_attempts(a_running_attempt(price="0"))
    assert outlook(free) == Outlook()
    assert outlook(a_run().limited_to("1.00").with_attempts(an_ended_attempt())) == Outlook()


def test_what_earlier_attempts_cost_is_not_there_any_more() -> None:
    earlier = an_ended_attempt(seconds=40, price=PRICE)
    run = a_run().limited_to("0.133").with_attempts(earlier, a_running_attempt(2, price=PRICE))
    assert outlook(run).time == at(60)


def test_a_report_from_before_the_cap_never_gives_a_step_before_its_own() -> None:
    late = told(900, 2000, 500, at(0) + timedelta(seconds=150))
    found = outlook(running(), late)
    assert found == Outlook(time=at(100), step=900)
