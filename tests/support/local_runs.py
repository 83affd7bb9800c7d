"""A run on this machine as a user has it: `lightcompute run` as a process, with the foreign trainer and its few knobs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightcompute.api import TrainingRun, TrainingRunStatus
from lightcompute.local import records
from lightcompute.local.folder import RunFolder
from lightcompute.local.process import processes_with_variables, send_signal
from lightcompute.local.records import Exit, Started
from lightcompute.local.store import RunStore
from runcontract import environment

FOREIGN = Path(__file__).with_name("foreign_trainer.py")
COMMAND = (sys.executable, "-m", "lightcompute")


def eventually(holds: Callable[[], Any], seconds: float = 60) -> None:
    """Waits until `holds`; fails the test when that does not come."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


class LocalRun:
    """One run in a folder of its own."""

    def __init__(
        self,
        base: Path,
        *,
        name: str = "foreign",
        spec: dict[str, Any] | None = None,
        **knobs: object,
    ):
        self.base = base
        self.name = name
        self.file = base / f"{name}.yaml"
        self.folder = RunFolder(base / "runs" / name)
        self.processes: list[subprocess.Popen[str]] = []
        self.said = ""
        self._read: tuple[tuple[bytes, ...], TrainingRun] | None = None
        variables = [
            {"name": f"FOREIGN_{key.upper()}", "value": str(value)} for key, value in knobs.items()
        ]
        self.document: dict[str, Any] = {
            "apiVersion": "lightcompute.dev/v1alpha1",
            "kind": "TrainingRun",
            "metadata": {"name": name},
            "spec": {
                "trainer": {"command": [sys.executable, str(FOREIGN)], "env": variables},
                "training": {"data": {"files": ["text.txt"]}, "maxSteps": 20},
                "failurePolicy": {"backoff": {"baseSeconds": 0}},
                **(spec or {}),
            },
        }
        self.write()

    def write(self) -> None:
        (self.base / "text.txt").write_text("To be, or not to be.\n" * 100, "utf-8")
        self.file.write_text(yaml.safe_dump(self.document), "utf-8")

    def start(
        self, *options: str, verb: str = "run", subject: str | None = None
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, verb, subject or str(self.file), *options],
            cwd=self.base, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "LIGHTCOMPUTE_RUNS_DIR": str(self.base / "runs")}, start_new_session=True,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def call(self, *options: str, verb: str = "run", subject: str | None = None) -> tuple[int, str]:
        """Runs a command to its end: exit code and what it said."""
        process = self.start(*options, verb=verb, subject=subject)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    def ask(self, verb: str, *options: str) -> tuple[int, str]:
        """A command about this run."""
        return self.call(*options, verb=verb, subject=self.name)

    def run(self) -> TrainingRun:
        """What the run's documents say; who waits asks again and again, and the same bytes are parsed once."""
        before = self._documents()
        if self._read is None or self._read[0] != before or not before:
            # Read after `before`: a document that was written meanwhile is read anew the next time.
            self._read = before, RunStore(self.folder).read()
        return self._read[1]

    def _documents(self) -> tuple[bytes, ...]:
        found: list[bytes] = []
        for file in (self.folder.run_file, self.folder.status_file):
            with suppress(FileNotFoundError):  # not written yet, or deleted by now
                found.append(file.read_bytes())
        return tuple(found)

    def status(self) -> TrainingRunStatus:
        return self.run().status

    def started(self, attempt: int = 1) -> Started | None:
        return records.read_started(self.folder.attempt(attempt))

    def exit(self, attempt: int = 1) -> Exit | None:
        return records.read_exit(self.folder.attempt(attempt))

    def has_trainer(self, attempt: int = 1) -> bool:
        started = self.started(attempt)
        return started is not None and started.trainer is not None

    def steps_reported(self, attempt: int = 1) -> int:
        log = self.folder.attempt(attempt) / records.STDOUT
        return log.read_text("utf-8").count('"event":"step"') if log.exists() else 0

    def metrics(self) -> str:
        return (self.folder.path / "metrics.csv").read_text("utf-8")

    def end(self) -> None:
        """Ends every process that is left of the run."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=30)
        for attempt in self.folder.attempts():
            started = self.started(attempt)
            if started is not None:
                send_signal(started.supervisor, signal.SIGKILL)
                for left in processes_with_variables({environment.RUN_UID: started.run_uid}):
                    send_signal(left, signal.SIGKILL)


@pytest.fixture
def local_run(tmp_path: Path) -> Iterator[Callable[..., LocalRun]]:
    """Makes runs of the foreign trainer, and ends what is left of them."""
    made: list[LocalRun] = []

    def make(**settings: Any) -> LocalRun:
        made.append(LocalRun(tmp_path, **settings))
        return made[-1]

    yield make
    for run in made:
        run.end()
