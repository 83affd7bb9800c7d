"""A line to the bucket on which a save takes longer than the time between two: whoever asks is told, and training goes on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lightcompute.api.status import Condition
from runcontract.environment import S3_CREDENTIALS
from support.local_runs import FOREIGN, LocalRun, eventually
from support.s3_server import S3Server
from support.slow_wire import SlowWire
from support.testcluster.binaries import NoBinaries

Make = Callable[..., LocalRun]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
SLOW_BYTES_PER_SECOND = 2500


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    """Where it cannot be built the test is skipped, but under CI it fails."""
    try:
        server = S3Server(tmp_path / "s3")
    except NoBinaries as reason:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(reason))
    with server:
        yield server


def ready(run: LocalRun) -> Condition:
    [found] = [each for each in run.status().conditions if each.type == "CheckpointReady"]
    return found


def test_a_slow_line_is_told_until_it_is_fast_again(
    local_run: Make, server: S3Server, tmp_path: Path
) -> None:
    host, port = server.endpoint.removeprefix("http://").split(":")
    with SlowWire(to=(host, int(port))) as wire:
        bucket = server.bucket("runs/slow").model_copy(update={"endpoint": wire.endpoint})
        command = [
            "env", f"{S3_CREDENTIALS}={server.key_files(tmp_path / 'key')}",
            sys.executable, "-m", "lightgpt", "carry", "--s3", json.dumps(bucket.document()),
            "--", sys.executable, str(FOREIGN),
        ]  # fmt: skip
        run = local_run(steps=1_000_000, step_seconds=0.1)
        run.document["spec"]["trainer"]["command"] = command
        run.write()
        run.start()
        eventually(lambda: run.has_trainer() and run.status().checkpoints)
        assert ready(run).reason == "CheckpointVerified"
        wire.bytes_per_second = SLOW_BYTES_PER_SECOND
        eventually(lambda: ready(run).reason == "CheckpointsSlow", 90)
        found = ready(run)
        assert found.status == "True"
        assert "is verified; saves are slow since step " in found.message
        _, told = run.ask("status")
        assert "slow since step " in told
        wire.bytes_per_second = None
        eventually(lambda: ready(run).reason == "CheckpointVerified", 90)
        _, told = run.ask("status")
        assert "slow since step " not in told
        run.ask("stop")
        eventually(lambda: not any(attempt.is_live for attempt in run.status().attempts))
    assert [attempt.exit_code for attempt in run.status().attempts] == [13]
