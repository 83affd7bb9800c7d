"""`suspend` and `resume` on this machine: the same words as in a cluster, and the run goes on where it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lightcompute.api import Phase
from support.local_runs import LocalRun, eventually

Make = Callable[..., LocalRun]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_a_suspended_run_is_resumed_where_it_was(local_run: Make) -> None:
    run = local_run(steps=20, step_seconds=0.01, save_every=2, hold_at_step=5)
    process = run.start("--set", "checkpoints.keepLatest=4")
    eventually(lambda: run.steps_reported() > 4)
    code, said = run.ask("suspend")
    assert code == 0, said
    assert "foreign: Suspended" in said
    process.communicate(timeout=60)
    # The file has meanwhile gone: what the run is stands in its own documents.
    run.file.unlink()
    code, said = run.ask("resume")
    assert code == 0, said
    assert "succeeded" in said
    status = run.status()
    assert status.phase is Phase.SUCCEEDED
    assert (status.attempts[-1].first_step or 0) > 0
    assert run.run().spec.checkpoints.keep_latest == 4


def test_a_run_that_is_over_is_not_resumed(local_run: Make) -> None:
    run = local_run(steps=2, step_seconds=0.01)
    assert run.call()[0] == 0
    code, said = run.ask("resume")
    assert code == 0
    assert "is over (Succeeded): nothing to go on with" in said
    assert len(run.status().attempts) == 1


def test_a_run_that_somebody_acts_for_is_not_resumed_beside_them(local_run: Make) -> None:
    run = local_run(steps=20, step_seconds=0.01, hold_at_step=5)
    run.start()
    eventually(lambda: run.folder.has_controller() and run.steps_reported() > 0)
    code, said = run.ask("resume")
    assert code == 10
    assert "another process acts for this run" in said
