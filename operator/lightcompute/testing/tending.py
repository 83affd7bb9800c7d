"""Upkeep of checkpoints in the simulated world: a Job that takes a while and finds what the test has broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lightcompute.core.decision import StartUpkeep
from lightcompute.core.snapshot import SeenUpkeep, UpkeepState
from runcontract.upkeep import TendedCheckpoint, UpkeepReport, UpkeepTask

Written = Mapping[int, int]
"""By the step of each checkpoint the number of the attempt that wrote it last."""


@dataclass(kw_only=True)
class SimulatedUpkeep:
    """The upkeeps of one run. Nothing is pruned or deleted in truth: the simulated trainer keeps its own inventory."""

    seconds: float = 20
    broken: frozenset[tuple[int, int]] = frozenset()
    """Attempt and step of checkpoints that are broken, whatever the trainer read back."""
    failing: frozenset[int] = frozenset()
    """Numbers of upkeeps that fail."""
    judged: set[tuple[int, int]] = field(default_factory=set)
    """Attempt and step of checkpoints that were verified."""
    job: StartUpkeep | None = None
    begin_time: datetime | None = None

    @property
    def end_time(self) -> datetime | None:
        """When the one that is there is done."""
        return (
            None if self.begin_time is None else self.begin_time + timedelta(seconds=self.seconds)
        )

    def start(self, start: StartUpkeep, now: datetime) -> None:
        """Begins it, where it is not there yet."""
        if self.job is None or self.job.number != start.number:
            self.job, self.begin_time = start, now

    def release(self, number: int) -> None:
        """It is not there any more."""
        if self.job is not None and self.job.number == number:
            self.job = self.begin_time = None

    def seen(self, wanted: int, now: datetime, written: Written) -> SeenUpkeep:
        """What is seen of the upkeep with the number `wanted`."""
        if self.job is None or self.end_time is None or self.job.number != wanted:
            return SeenUpkeep(number=wanted, state=UpkeepState.ABSENT)
        if now < self.end_time:
            return SeenUpkeep(number=wanted, state=UpkeepState.RUNNING, message="it is at work")
        if wanted in self.failing:
            return SeenUpkeep(number=wanted, state=UpkeepState.FAILED, message="no such Secret")
        report = self._report(self.job.task, written)
        return SeenUpkeep(
            number=wanted, state=UpkeepState.DONE, message=report.message, report=report
        )

    def is_broken(self, step: int, written: Written) -> bool:
        """Whether the checkpoint at `step` is broken in truth."""
        return (written[step], step) in self.broken

    def _report(self, task: UpkeepTask, written: Written) -> UpkeepReport:
        if task is not UpkeepTask.VERIFY:
            return UpkeepReport(task=task, done=True, message="seen to")
        self.judged |= {(attempt, step) for step, attempt in written.items()}
        found = tuple(
            TendedCheckpoint(
                step=step, verdict="Invalid" if self.is_broken(step, written) else "Valid"
            )
            for step in sorted(written)
        )
        bad = sum(each.verdict == "Invalid" for each in found)
        told = f"{len(found)} checkpoints; {len(found) - bad} valid"
        return UpkeepReport(task=task, done=True, message=told, checkpoints=found)
