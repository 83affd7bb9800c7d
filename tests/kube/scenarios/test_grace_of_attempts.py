"""A run whose saves were measured to take long: its next attempt's pods have the time for them, and the cap keeps the money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from lightcompute.api import labels
from support.played import Scenarios
from support.run_spaces import GRACE_SECONDS, PRICE, Run, Space

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

scenario = Scenarios()
SAVE_SECONDS, STEP_SECONDS = 20, 1
GRACE = 2 * SAVE_SECONDS + STEP_SECONDS
HELD = GRACE + 2
"""With the skew of clocks and a second."""
LIMIT, PER_SECOND = Decimal("0.20"), Decimal(PRICE) / 3600


def test_attempts_have_the_grace_that_their_saves_need(
    space: Space, subtests: pytest.Subtests
) -> None:
    scenario.play(space, subtests)


def grace_of_pods(run: Run, attempt: int) -> int:
    [job] = [
        each for each in run.jobs if each["metadata"]["labels"][labels.ATTEMPT] == str(attempt)
    ]
    seconds: int = job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    return seconds


def usd(status: dict[str, Any], name: str) -> Decimal:
    return Decimal(status["cost"][name])


@scenario
def the_second_attempt_has_it_in_its_record_its_pods_its_deadline_and_its_stop(
    space: Space,
) -> None:
    sim = {"NEVER_ENDS": 1, "SAVE_SECONDS": SAVE_SECONDS}
    run = space.submit("slow-to-save", sim, budget={"limitUSD": str(LIMIT)})
    status = run.until(lambda status: status.get("saves"))
    assert status["saves"]["longestSaveSeconds"] == SAVE_SECONDS
    assert status["attempts"][0]["graceSeconds"] == GRACE_SECONDS
    assert grace_of_pods(run, 1) == GRACE_SECONDS, "it was made before anything was measured"
    run.edit(suspend=True)
    spent = usd(run.in_phase("Suspended"), "spentUSD")
    run.edit(suspend=False)
    status = run.in_phase("Running", attempts=2)
    assert status["attempts"][1]["graceSeconds"] == GRACE
    assert grace_of_pods(run, 2) == GRACE
    assert usd(status, "overshootBoundUSD") == HELD * PER_SECOND
    assert status["attempts"][1]["deadlineSeconds"] == (LIMIT - spent) // PER_SECOND - HELD
    assert usd(status, "spentUSD") + usd(status, "reservedUSD") <= LIMIT
    run.edit(suspend=True)
    run.until(lambda status: f"leave within {GRACE} s" in status["message"])
    run.in_phase("Suspended", attempts=2)
    run.delete()
    run.gone()
