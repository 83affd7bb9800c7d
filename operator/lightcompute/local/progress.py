"""What the newest attempt of a run has said, read from its log by whoever wants to show it: no controller is needed."""

from __future__ import annotations

from lightcompute.api import TrainingRun
from lightcompute.core.progress import Progress
from lightcompute.local import records
from lightcompute.local.folder import RunFolder
from lightcompute.local.tail import ReportTail


def newest_progress(run: TrainingRun, folder: RunFolder) -> Progress | None:
    """The newest attempt's progress, from the end of its log; None before the first attempt."""
    if not run.status.attempts:
        return None
    number = run.status.attempts[-1].number
    tail = ReportTail(folder.attempt(number) / records.STDOUT)
    progress = Progress(attempt=number)
    for report in tail.read():
        progress = progress.with_report(report)
    return progress
