"""A bucket behind a line so slow that saves take longer than the time between them: real trainers tell so, until it is fast again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lightcompute.core.progress import Progress
from runcontract import environment
from runcontract.document import parse_model
from runcontract.exit_codes import ExitCode
from runcontract.order import Order
from runcontract.progress import CHECKPOINT_SLOW, Report, Saved, Warned, parse_report
from support.carried import Carried
from support.s3_server import Place
from support.slow_wire import SlowWire
from support.training import order_document, small_text

pytestmark = pytest.mark.timeout(240)
SLOW_BYTES_PER_SECOND = 15_000
MODEL = {"layers": 1, "embeddingSize": 16, "heads": 2, "contextLength": 16}


@pytest.fixture
def wire(place: Place) -> Iterator[SlowWire]:
    """The line that leads to the place's bucket from now on; as fast as it can be."""
    host, port = place.server.endpoint.removeprefix("http://").split(":")
    with SlowWire(to=(host, int(port))) as wire:
        place.bucket = place.bucket.model_copy(update={"endpoint": wire.endpoint})
        yield wire


def train(place: Place, folder: Path, checkpoints: dict[str, int]) -> subprocess.Popen[str]:
    """Our trainer as a process, for as long as it is let."""
    document = order_document(
        model=MODEL, maxSteps=1_000_000, evaluation={"everySteps": 1_000_000, "batchSize": 16}
    ) | {"storage": {"s3": place.bucket.document()}, "checkpoints": checkpoints}
    (folder / "text.txt").write_text(small_text(), "utf-8")
    order = folder / "order.yaml"
    order.write_text(parse_model(Order, document).text(), "utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "lightgpt", "train", str(order), "--out", str(folder / "out")],
        env={
            **os.environ,
            environment.S3_CREDENTIALS: str(place.credentials),
            environment.ATTEMPT: "1",
            "OMP_NUM_THREADS": "1",
            "LIGHTCOMPUTE_CACHE": str(folder / "cache"),
        },
        stdout=subprocess.PIPE,
        text=True,
    )


def heard(
    lines: Iterator[str], progress: Progress, until: Callable[[Progress], bool]
) -> tuple[Progress, list[Report]]:
    """What is known when `until` holds, and what was told up to then."""
    told = []
    for line in lines:
        report = parse_report(line)
        if report is not None:
            told.append(report)
            progress = progress.with_report(report)
        if until(progress):
            return progress, told
    raise AssertionError(f"it ended before: {told[-5:]}")


@pytest.mark.parametrize(
    ("checkpoints", "waits"),
    [({"everySeconds": 1}, False), ({"everySteps": 200}, True)],
    ids=["by the clock", "by steps"],
)
def test_our_trainer_tells_while_one_is_under_way_and_with_each_that_is_late(
    place: Place, wire: SlowWire, tmp_path: Path, checkpoints: dict[str, int], waits: bool
) -> None:
    process = train(place, tmp_path, checkpoints)
    try:
        assert process.stdout is not None
        lines = iter(process.stdout)
        progress, _ = heard(lines, Progress(attempt=1), lambda known: len(known.saves) >= 2)
        assert progress.slowness.since_step is None
        wire.bytes_per_second = SLOW_BYTES_PER_SECOND
        progress, told = heard(lines, progress, lambda known: known.slowness.since_step is not None)
        assert isinstance(told[-1], Warned)
        assert told[-1].reason == CHECKPOINT_SLOW
        assert ("training waits for it" in told[-1].message) is waits
        progress, told = heard(lines, progress, lambda known: known.slowness.late >= 2)
        late = [report for report in told if isinstance(report, Saved)][-1]
        assert late.interval_seconds is not None
        assert late.late_seconds > max(late.interval_seconds, 2)
        assert late.waited_seconds is not None
        assert (late.waited_seconds > 2) is waits
        assert "began" in progress.slowness.told
        wire.bytes_per_second = None
        progress, _ = heard(lines, progress, lambda known: known.slowness.keeps_up)
        process.send_signal(signal.SIGTERM)
        for _ in lines:
            continue
        assert process.wait(60) == ExitCode.PREEMPTED
    finally:
        process.kill()
        process.communicate()


def test_a_carrier_tells_it_of_the_program_that_it_carries(place: Place, wire: SlowWire) -> None:
    with Carried(place, steps=1_000_000, step_seconds=0.1) as run:
        run.until_saved(5)
        wire.bytes_per_second = SLOW_BYTES_PER_SECOND / 6
        warned = run.until(lambda each: isinstance(each, Warned))
        assert isinstance(warned, Warned)
        assert warned.reason == CHECKPOINT_SLOW, warned
        progress = Progress(attempt=1)

        def is_slow(report: Report) -> bool:
            nonlocal progress
            progress = progress.with_report(report)
            return progress.slowness.late >= 2

        run.until(is_slow)
        assert "one before it; it began" in progress.slowness.told
        assert "training" not in progress.slowness.told
        wire.bytes_per_second = None

        def keeps_up(report: Report) -> bool:
            nonlocal progress
            progress = progress.with_report(report)
            return progress.slowness.keeps_up

        run.until(keeps_up)
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == ExitCode.PREEMPTED, run.errors
