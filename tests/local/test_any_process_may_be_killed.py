"""Controller, supervisor and trainer are killed, alone and together, at each stage of an attempt's life.

Whatever was killed: the same command goes on, the result is that of a run never interrupted, no two trainers ever lived at
once, nothing is left running, and what the run has cost never falls.
"""

from __future__ import annotations

import hashlib
import signal
import threading
from collections.abc import Callable
from itertools import chain, combinations
from subprocess import Popen
from typing import Any, Self

import pytest

from lightcompute.api import Phase
from lightcompute.local import records
from lightcompute.local.process import processes_with_variables, send_signal
from runcontract import environment
from runcontract.faults import ContractFault
from support.local_runs import LocalRun, eventually

STEPS = 12
ROLES = ("controller", "supervisor", "trainer")
VICTIMS = tuple(chain.from_iterable(combinations(ROLES, count) for count in (1, 2, 3)))
STAGES = ("planned", "begun", "training", "leaving")
QUICK = {(("controller",), "training"), (("supervisor",), "training"), (("trainer",), "training")}


def metrics_of_an_uninterrupted_run() -> str:
    lines, weights = [], ""
    for step in range(1, STEPS + 1):
        weights = hashlib.sha256(f"{weights}/{step}".encode()).hexdigest()
        lines.append(f"{step},{weights}\n")
    return "".join(lines)


class Ledger:
    """Reads what a run has cost again and again, as somebody who watches it."""

    def __init__(self, run: LocalRun) -> None:
        self._run = run
        self._over = threading.Event()
        self.told: list[int] = []
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            try:
                self.told.append(self._run.status().cost.spent_usd)
            except (ContractFault, FileNotFoundError):
                continue

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


SCENARIOS = [
    pytest.param(
        victims,
        stage,
        id=f"{'+'.join(victims)}-{stage}",
        marks=[] if (victims, stage) in QUICK else [pytest.mark.slow],
    )
    for stage in STAGES
    for victims in VICTIMS
]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("victims", "stage"), SCENARIOS)
def test_the_run_ends_as_if_nothing_had_happened(
    local_run: Callable[..., LocalRun], victims: tuple[str, ...], stage: str
) -> None:
    run = local_run(steps=STEPS, step_seconds=0.08, save_every=4, leave_seconds=0.4)
    with Ledger(run) as ledger:
        controller = run.start("--price-per-hour-usd", "100")
        wait_for(run, stage, controller)
        for victim in victims:
            kill(run, victim, controller)
        controller.wait(90)
        code = 0
        if run.status().phase is not Phase.SUCCEEDED:
            code, said = run.call()
            assert code == 0, said
    status = run.status()
    assert status.phase is Phase.SUCCEEDED
    assert run.metrics() == metrics_of_an_uninterrupted_run()
    assert not (run.folder.path / "two-trainers").exists()
    assert ledger.told == sorted(ledger.told)
    assert status.cost.spent_usd > 0
    assert not any(attempt.is_live for attempt in status.attempts)
    assert not list(processes_with_variables({environment.RUN_UID: run.run().metadata.uid}))


def wait_for(run: LocalRun, stage: str, controller: Popen[Any]) -> None:
    if stage == "planned":
        eventually((run.folder.attempt(1) / records.PLAN).exists)
        return
    eventually(run.has_trainer)
    if stage == "begun":
        return
    eventually(lambda: run.steps_reported() >= 5)
    if stage == "leaving":
        controller.send_signal(signal.SIGINT)
        eventually(lambda: (terms := records.read_terms(run.folder.attempt(1))) and terms.stop)


def kill(run: LocalRun, victim: str, controller: Popen[Any]) -> None:
    started = run.started()
    if victim == "controller":
        controller.kill()
    elif started is not None:
        process = started.supervisor if victim == "supervisor" else started.trainer
        send_signal(process, signal.SIGKILL)
