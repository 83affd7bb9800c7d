"""Ctrl-C, SIGTERM and `lightcompute stop`: the trainer saves, the status says how it stands, and the same command goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from lightcompute.api import Phase
from lightcompute.local.process import is_alive
from support.local_runs import LocalRun, eventually

Make = Callable[..., LocalRun]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def begun(run: LocalRun, *options: str) -> LocalRun:
    run.start(*options)
    eventually(lambda: run.steps_reported() >= 3)
    return run


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_saved_and_goes_on(local_run: Make, number: int, code: int) -> None:
    run = begun(local_run(steps=20, step_seconds=0.01, save_every=100, hold_at_step=5))
    controller = run.processes[0]
    # As a terminal does it: to every process of the session, so that a trainer in it would be hit as well.
    os.killpg(controller.pid, number)
    said, _ = controller.communicate(timeout=60)
    assert controller.returncode == code, said
    assert f"To go on: lightcompute run {run.file}" in said
    status, ended = run.status(), run.exit()
    assert status.phase is Phase.SUSPENDED
    assert status.checkpoints[-1].verified
    assert ended is not None
    assert (ended.exit_code, ended.stopped_because) == (13, "Asked")
    code, said = run.call()
    assert code == 0, said
    assert run.status().attempts[-1].first_step == status.checkpoints[-1].step


def test_who_insists_does_not_wait_for_a_trainer_that_does_not_listen(local_run: Make) -> None:
    run = begun(local_run(steps=20, save_every=2, deaf=1, hold_at_step=5))
    controller = run.processes[0]
    controller.send_signal(signal.SIGINT)
    eventually(lambda: run.status().phase is Phase.STOPPING)
    assert controller.poll() is None
    controller.send_signal(signal.SIGINT)
    said, _ = controller.communicate(timeout=20)
    assert controller.returncode == 130, said
    ended, status = run.exit(), run.status()
    assert ended is not None
    assert ended.signal == signal.SIGKILL
    assert status.phase is Phase.SUSPENDED
    assert status.checkpoints[-1].step >= run.steps_reported() - 2


def test_another_process_stops_a_run(local_run: Make) -> None:
    run = begun(local_run(steps=3000))
    code, said = run.ask("stop")
    assert code == 0, said
    assert "Suspended" in said
    assert run.processes[0].wait(30) == 13
    assert run.status().phase is Phase.SUSPENDED


def test_a_run_that_lost_its_controller_is_stopped_too(local_run: Make) -> None:
    run = begun(local_run(steps=3000))
    run.processes[0].kill()
    run.processes[0].wait(10)
    started = run.started()
    assert started is not None
    assert is_alive(started.trainer)
    assert "Nobody acts for this run" in run.ask("status")[1]
    code, said = run.ask("stop")
    assert code == 0, said
    assert not is_alive(started.trainer)
    ended = run.exit()
    assert ended is not None
    assert ended.exit_code == 13


def test_a_run_that_was_stopped_for_good_is_over(local_run: Make) -> None:
    run = begun(local_run(steps=3000))
    assert run.ask("stop", "--for-good")[0] == 0
    assert run.status().phase is Phase.STOPPED
    run.processes[0].wait(30)
    code, said = run.call()
    assert code == 13
    assert "is over (Stopped)" in said
    assert len(run.status().attempts) == 1


def test_a_second_command_on_a_live_run_is_refused_and_says_who_acts(local_run: Make) -> None:
    run = begun(local_run(steps=3000))
    code, said = run.call()
    assert code == 10
    assert f"process {run.processes[0].pid}" in said
    assert run.ask("stop")[0] == 0
    assert run.processes[0].wait(60) == 13
    assert len(run.status().attempts) == 1


def test_two_commands_that_make_one_run_at_once_make_one(local_run: Make) -> None:
    run = local_run(steps=10)
    processes = [run.start() for _ in range(3)]
    codes = sorted(process.wait(60) for process in processes)
    assert 0 in codes
    assert set(codes) <= {0, 10}
    assert run.status().phase is Phase.SUCCEEDED
    assert [attempt.number for attempt in run.status().attempts] == [1]
    assert not (run.folder.path / "two-trainers").exists()


def test_the_trainers_own_faults_end_the_run_with_its_code(local_run: Make) -> None:
    run = local_run(steps=10, exit_at_step=3, exit_code=11)
    code, said = run.call()
    assert code == 11, said
    assert run.status().phase is Phase.FAILED
    assert len(run.status().attempts) == 1
    assert "lightcompute logs" in said


def test_a_trainer_that_crashed_is_started_again_from_its_checkpoint(local_run: Make) -> None:
    run = local_run(steps=10, save_every=2, exit_at_step=4, exit_code=1)
    code, said = run.call()
    assert code == 0, said
    first, second = run.status().attempts
    assert (first.exit_code, first.counts) == (1, True)
    assert second.first_step == 4


def test_a_failed_run_is_tried_again_by_the_same_command(local_run: Make) -> None:
    run = local_run(steps=10, save_every=2, exit_at_step=4, exit_code=11)
    assert run.call()[0] == 11
    # The foreign trainer passes the step once it has resumed at it: somebody mended the text.
    code, said = run.call()
    assert code == 0, said
    assert run.status().phase is Phase.SUCCEEDED


def test_a_program_that_is_no_trainer_of_ours_runs_too(local_run: Make) -> None:
    run = local_run()
    run.document["spec"] = {"trainer": {"command": ["sh", "-c", "echo did it"]}}
    run.write()
    code, said = run.call()
    assert code == 0, said
    assert run.status().phase is Phase.SUCCEEDED
    assert "did it" in run.ask("logs")[1]


def test_the_budget_stops_the_run_and_more_of_it_goes_on(local_run: Make) -> None:
    # A dollar a second: some 31 s of grace and rounding are held back, so $64 pay for 33 s, of which the trainer gets 28.
    run = local_run(spec={"budget": {"limitUSD": "64.00"}}, steps=330, step_seconds=0.1)
    code, said = run.call("--price-per-hour-usd", "3600")
    assert code == 12, said
    status = run.status()
    assert status.phase is Phase.BUDGET_EXHAUSTED
    assert 0 < status.cost.spent_usd <= 64_000_000
    assert status.attempts[-1].exit_code == 12
    assert "limitUSD" in said
    code, said = run.call("--set", 'budget.limitUSD="200.00"')
    assert code == 0, said
    assert "spec.budget.limitUSD: '64.00' -> '200.00'" in said
    after = run.status()
    assert after.phase is Phase.SUCCEEDED
    assert after.cost.spent_usd > status.cost.spent_usd
