"""A foreign trainer behind `lightgpt carry`, as a pod runs it: processes of its own, an empty disk each, and one bucket between them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from runcontract import environment
from runcontract.document import parse_model
from runcontract.order import Order
from runcontract.progress import Report, Saved, parse_report
from runcontract.results import TerminationMessage
from support.s3_server import Place
from support.training import order_document

FOREIGN = Path(__file__).with_name("foreign_trainer.py")


class Carried:
    """One attempt. `knobs` are those of the foreign trainer; `program` runs another one."""

    def __init__(
        self,
        place: Place,
        *,
        attempt: int = 1,
        program: tuple[str, ...] = (sys.executable, str(FOREIGN)),
        options: tuple[str, ...] = (),
        by_order: bool = False,
        told_bucket: bool = True,
        keep_latest: int = 3,
        told: dict[str, str] | None = None,
        folder: Path | None = None,
        **knobs: object,
    ) -> None:
        self.place = place
        self.folder = folder or place.machine().parent / "out"
        base = self.folder.parent
        base.mkdir(exist_ok=True)
        self.requests = base / "requests"
        self.requests.mkdir(exist_ok=True)
        self.last_word_file = base / f"last-word-{attempt}"
        document = order_document() | {"checkpoints": {"keepLatest": keep_latest}}
        if by_order:
            document |= {"storage": {"s3": place.bucket.document()}}
        elif told_bucket:
            bucket = json.dumps(place.bucket.document())
            options = ("--s3", bucket, "--keep-latest", str(keep_latest), *options)
        order = base / "order.yaml"
        order.write_text(parse_model(Order, document).text(), "utf-8")
        variables = os.environ | {
            environment.ORDER: str(order),
            environment.OUTPUT_FOLDER: str(self.folder),
            environment.RUN_UID: "uid-1",
            environment.ATTEMPT: str(attempt),
            environment.TERMINATION_LOG: str(self.last_word_file),
            environment.REQUESTS: str(self.requests),
            environment.S3_CREDENTIALS: str(place.credentials),
            **{f"FOREIGN_{key.upper()}": str(value) for key, value in knobs.items()},
            **(told or {}),
        }
        self._errors_file = base / f"errors-{attempt}"
        errors = self._errors_file.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lightgpt", "carry", *options, "--", *program],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        errors.close()
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def errors(self) -> str:
        """What was written to standard error."""
        return self._errors_file.read_text("utf-8")

    def hear(self) -> Iterator[Report]:
        """The reports, as they come."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            report = parse_report(line)
            if report is not None:
                yield report

    def until(self, holds: Callable[[Report], bool]) -> Report:
        """Listens until a report comes for which `holds`."""
        for report in self.hear():
            if holds(report):
                return report
        raise AssertionError(f"it ended before: {self.lines[-5:]}, {self.end()}, {self.errors}")

    def until_saved(self, step: int) -> None:
        """Listens until the checkpoint of `step` is told."""
        self.until(lambda report: isinstance(report, Saved) and report.step == step)

    def end(self, *, seconds: float = 120) -> int:
        """Listens to the end; the exit code."""
        for _ in self.hear():
            continue
        return self.process.wait(seconds)

    def reports(self) -> list[Report]:
        """What was heard so far."""
        found = (parse_report(line) for line in self.lines)
        return [report for report in found if report is not None]

    def kill(self) -> None:
        """Takes the machine away: carrier and program end at once."""
        children = subprocess.run(
            ["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False
        ).stdout.split()
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)

    def last_word(self) -> TerminationMessage:
        """What is left for the supervisor."""
        return TerminationMessage.model_validate_json(self.last_word_file.read_text("utf-8"))


def weights_in(place: Place, step: int) -> str:
    """The foreign trainer's weights in the bucket's checkpoint of `step`."""
    [state] = [
        name
        for name in place.names()
        if f"step-{step:08d}/" in name and name.endswith("state.json")
    ]
    document: dict[str, Any] = json.loads(place.file(state).read_bytes())
    return str(document["weights"])


def eventually(holds: Callable[[], object], *, seconds: float = 60) -> None:
    """Waits until `holds`."""
    until_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until_s, "it never came to be"
        time.sleep(0.02)
