"""`lightgpt carry` in each of several pods: rank 0 keeps the bucket, and all go on from the checkpoint that it brought."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from lightcompute.testing.builders import a_run
from runcontract.exit_codes import ExitCode
from runcontract.progress import Saved, Started
from support.carried import Carried, weights_in
from support.corruption import flipped
from support.rendered_runs import in_cluster, trainer_of
from support.s3_server import Place
from support.testcluster.processes import free_ports

pytestmark = [pytest.mark.timeout(300)]
TESTS = Path(__file__).parents[2]
RANKS = TESTS / "support/foreign_ranks.py"


def resumed_from(run: Carried) -> int | None:
    [started] = [report for report in run.reports() if isinstance(report, Started)]
    return started.resumed_from_step


def command_of_pod(place: Place, rank: int, port: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Options of the carrier and the program behind it, as the operator gives them to the pod of `rank`."""
    run = in_cluster(a_run()).with_spec(
        storage={"s3": place.bucket.document()},
        trainer={"command": [sys.executable, str(RANKS)], "numNodes": 2},
    )
    command = [
        each.replace("$(JOB_COMPLETION_INDEX)", str(rank)) for each in trainer_of(run)["command"]
    ]
    assert command[:4] == ["python", "-m", "lightgpt", "carry"]
    dashes = command.index("--")
    program = [sys.executable, *command[dashes + 2 :]]
    for number, each in enumerate(program):
        # A name of the cluster's own, where there is one machine here.
        if each.startswith("--master-addr="):
            program[number] = "--master-addr=127.0.0.1"
        if each.startswith("--master-port="):
            program[number] = f"--master-port={port}"
    return tuple(command[4:dashes]), tuple(program)


@contextmanager
def pods(
    place: Place, attempt: int, *, pause_seconds: float = 0, steps: int, step_seconds: float = 0.05
) -> Iterator[list[Carried]]:
    """The pods of one attempt by rank, each with a disk of its own; that of rank 0 comes `pause_seconds` later."""
    (port,) = free_ports(1)
    told = {
        "PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    with ExitStack() as stack:
        made = {}
        for rank in (1, 0):
            options, program = command_of_pod(place, rank, port)
            made[rank] = stack.enter_context(
                Carried(
                    place,
                    attempt=attempt,
                    options=options,
                    program=program,
                    by_order=True,
                    told=told,
                    steps=steps,
                    step_seconds=step_seconds,
                )
            )
            time.sleep(pause_seconds if rank else 0)
        yield [made[0], made[1]]


def test_they_train_on_from_one_checkpoint_whichever_pod_comes_first(place: Place) -> None:
    with pods(place, 1, step_seconds=0.1, steps=1000) as (main, other):
        main.until_saved(10)
        for pod in (other, main):
            pod.process.send_signal(signal.SIGTERM)
        # torchrun makes 1 of every code; what was meant is in the last word.
        assert main.end() == 1, main.errors
        assert other.end() == 1, other.errors
        assert main.last_word().exit_code == ExitCode.PREEMPTED
        assert not other.last_word_file.exists()
        assert [report for report in other.reports() if isinstance(report, Saved)] == []
    newest = place.committed()[-1]
    assert newest >= 10
    assert newest == main.last_word().step
    with pods(place, 2, pause_seconds=2, steps=newest + 12) as (main, other):
        assert main.end() == ExitCode.DONE, main.errors
        assert other.end() == ExitCode.DONE, other.errors
    assert resumed_from(main) == newest
    assert place.committed()[-1] == newest + 12
    assert all(
        f"step-{step:08d}/attempt-1" not in key for key in place.names() for step in (newest + 12,)
    )
    with Carried(
        Place(place.server, prefix="runs/alone", folder=main.folder.parent / "alone"),
        steps=newest + 12,
        step_seconds=0,
    ) as alone:
        assert alone.end() == ExitCode.DONE
    assert weights_in(place, newest + 12) == weights_in(alone.place, newest + 12)


def test_a_pod_that_comes_late_has_what_rank_0_began_with_and_not_what_it_saved_since(
    place: Place,
) -> None:
    with Carried(place, steps=10) as first:
        assert first.end() == ExitCode.DONE
    with Carried(place, attempt=2, steps=22, keep_latest=9) as main:
        assert main.end() == ExitCode.DONE, main.errors
        assert resumed_from(main) == 10
        with Carried(place, attempt=2, options=("--node-rank", "1"), steps=12) as late:
            assert late.end() == ExitCode.DONE, late.errors
    assert resumed_from(late) == 10


def test_a_pod_that_comes_late_to_a_run_that_began_anew_begins_anew(place: Place) -> None:
    with Carried(place, steps=10) as main:
        assert main.end() == ExitCode.DONE
        with Carried(place, options=("--node-rank", "1"), steps=12) as late:
            assert late.end() == ExitCode.DONE, late.errors
    assert resumed_from(late) is None


def test_a_pod_whose_copy_is_not_whole_says_so_and_starts_nothing(place: Place) -> None:
    with Carried(place, steps=10) as first:
        assert first.end() == ExitCode.DONE
    with Carried(place, attempt=2, steps=12) as main:
        assert main.end() == ExitCode.DONE, main.errors
        [state] = [
            each
            for each in place.names()
            if "step-00000010/" in each and each.endswith("state.json")
        ]
        flipped(place.file(state).parent, random.Random(3))
        with Carried(place, attempt=2, options=("--node-rank", "1"), steps=12) as other:
            assert other.end() == ExitCode.STORAGE_FAULT
    assert not any(isinstance(report, Started) for report in other.reports())
    assert "step-00000010" in other.last_word().message
