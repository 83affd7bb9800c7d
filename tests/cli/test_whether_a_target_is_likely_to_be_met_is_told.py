"""`status` and `cost` of a run on this machine say whether its target is likely to be met, from the end of its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lightcompute.api.foresight_of_target import TargetForecast
from lightcompute.api.status import Cost
from lightcompute.cli.outcome import likelihood_text
from lightcompute.cli.view import cost_now
from lightcompute.core.progress import Progress
from lightcompute.core.revise import revised
from lightcompute.testing.builders import NOON, a_run, a_running_attempt, at
from lightcompute.testing.trainer import a_loss
from runcontract.progress import Evaluated, Started
from support.local_runs import LocalRun, eventually

Make = Callable[..., LocalRun]
TARGET = {"unit": "NatsPerCharacter", "atMost": 0.01}


def training(**parts: Any) -> dict[str, Any]:
    return {"data": {"files": ["text.txt"]}, "maxSteps": 40, "target": TARGET} | parts


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_live_run_tells_the_range_that_it_is_held_against(local_run: Make) -> None:
    run = local_run(
        spec={"training": training()}, steps=40, step_seconds=0.01, save_every=4, hold_at_step=25
    )
    run.start()
    eventually(lambda: run.steps_reported() >= 25)
    for verb in ("status", "cost"):
        code, said = run.ask(verb)
        assert code == 0, said
        [line] = [each for each in said.splitlines() if each.strip().startswith("target")]
        assert "not likely to be met: a best validation loss of 0.0" in line
        assert "wanted at most 0.01 NatsPerCharacter" in line


def test_the_end_of_the_log_counts_and_not_the_last_write_of_the_status() -> None:
    progress = Progress(attempt=1).with_report(
        Started(
            time=NOON, attempt=1, step=0, max_steps=40, parameters=1, training_tokens=1, device="x"
        )
    )
    for step in (4, 8, 12, 16):
        progress = progress.with_report(
            Evaluated(
                time=at(step), attempt=1, step=step, validation=a_loss(2 + 5 / step), best=True, training_loss=1
            )
        )  # fmt: skip
    builder = a_run().with_spec(training=training()).with_attempts(a_running_attempt())
    run = builder.build()
    assert run.status.cost.target is None
    found = cost_now(run, progress).target
    assert found is not None
    assert (found.likelihood, found.step) == ("Unlikely", 40)


def test_without_the_log_what_the_operator_wrote_is_told() -> None:
    told = Cost(
        target=TargetForecast(
            likelihood="Likely", unit="NatsPerToken", message="1 to 2 is expected"
        )
    )
    builder = a_run().with_attempts(a_running_attempt())
    run = builder.with_status(revised(builder.status, cost=told)).build()
    assert cost_now(run, None) == told
    assert cost_now(run, Progress(attempt=1)) == told, "nothing was said yet"
    assert likelihood_text(told.target) == "likely to be met: 1 to 2 is expected"
    assert likelihood_text(None) == ""
