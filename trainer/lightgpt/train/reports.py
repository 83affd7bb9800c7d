"""Progress reports on standard output and in `progress.jsonl`, and the same for people on standard error."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from lightgpt.train.journal import Journal
from runcontract.folder import PROGRESS
from runcontract.progress import Concluded, Finished, Report, parse_report, report_line
from runcontract.results import Results


def now() -> datetime:
    """The time of day, aware of its zone."""
    return datetime.now(UTC)


def open_progress(folder: Path, *, resumed_step: int) -> Journal:
    """The file in `folder` without the reports after `resumed_step`; raises `StorageFault`."""

    def is_before(line: str) -> bool:
        report = parse_report(line)
        return report is not None and report.step <= resumed_step

    return Journal(folder / PROGRESS, header=None, keep=is_before)


class Reporter:
    """Where reports go. On other ranks than 0 it is silent."""

    def __init__(self, *, journal: Journal | None, quiet: bool = False) -> None:
        self._journal = journal
        self._quiet = quiet

    def report(self, report: Report) -> None:
        """Sends the report to whoever reads: a broken pipe or a full disk costs the report, not the run."""
        if self._quiet:
            return
        line = report_line(report)
        if self._journal is not None:
            self._journal.append(line)
        _write(sys.stdout, line)

    def finished(self, results: Results) -> None:
        """The results and the last report, and the same for people."""
        self.report(Concluded.of(results, time=now()))
        self.report(
            Finished(
                time=now(),
                attempt=results.attempt,
                step=results.steps,
                exit_code=results.exit_code,
                reason=results.reason,
                message=results.message,
            )
        )
        self.say(f"{results.reason}: {results.message}")

    def say(self, text: str) -> None:
        """A line for people."""
        if not self._quiet:
            _write(sys.stderr, f"{datetime.now().astimezone():%H:%M:%S} {text}")


def _write(stream: object, line: str) -> None:
    try:
        stream.write(f"{line}\n")  # type: ignore[attr-defined]
        stream.flush()  # type: ignore[attr-defined]
    except (OSError, ValueError):  # closed by the reader, or by the interpreter
        return
