"""Checkpoints as the loop sees them: save now, tell what became of it, give up only after several failures.

A device that is full or away for a while must not end a run that could go on: a failed save is a warning, and only
`MOST_FAILED_SAVES` in a row end the run with a storage fault. The store itself is `lightgpt.checkpoint`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lightgpt.checkpoint.faults import MOST_FAILED_SAVES
from lightgpt.checkpoint.snapshot import Snapshot
from lightgpt.checkpoint.store import CheckpointStore, SavedCheckpoint
from lightgpt.train.interval import SaveInterval
from lightgpt.train.lateness import Lateness, Timing
from lightgpt.train.reports import Reporter, now
from lightgpt.train.state import LoopState
from runcontract.faults import StorageFault
from runcontract.losses import Loss
from runcontract.progress import CHECKPOINT_FAILED, CHECKPOINT_SLOW, Saved, Warned

_FIRST_SAVE_S = 3.0
_BYTES_PER_SECOND = 50e6
"""What a first save is taken to need, until one was measured."""
_LOOK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class _UnderWay:
    step: int
    began_s: float
    timing: Timing


class Saving:
    """Rank 0's saves. `parent_step` is the step that this attempt resumed from."""

    def __init__(
        self,
        store: CheckpointStore,
        reporter: Reporter,
        *,
        snapshot: Callable[[], Snapshot],
        interval: SaveInterval,
        attempt: int,
        parent_step: int | None,
    ) -> None:
        self._store = store
        self._reporter = reporter
        self._snapshot = snapshot
        self._interval = interval
        self._attempt = attempt
        self._parent_step = parent_step
        self._failures = 0
        self._fault: StorageFault | None = None
        self._lateness = Lateness(time.monotonic)
        self._under_way: deque[_UnderWay] = deque()  # in the order in which the store tells of them
        self._longest_s: float | None = None
        live = snapshot().tensors
        store.prepare(live)
        self._guess_s = _FIRST_SAVE_S + _size_bytes(live) / _BYTES_PER_SECOND
        self.saved_step: int | None = parent_step

    def expected_seconds(self) -> float:
        """Time that a save takes: the longest so far; before the first one a guess from the size."""
        return self._guess_s if self._longest_s is None else self._longest_s

    def is_due_by_time(self) -> bool:
        """Whether the time between checkpoints is over; not while a save is under way, which the loop would have to wait for."""
        return not self._under_way and self._interval.is_over()

    def pin(self, steps: frozenset[int]) -> None:
        """Keeps the checkpoints at `steps`, and of those that are pinned so no others, from retention."""
        self._store.note_pins(steps)

    def answer(self, request: str, step: int) -> None:
        """Tells people that the checkpoint of `step`, which is saved now, is the one that `request` asked for."""
        self._reporter.say(f"request {request}: the checkpoint of step {step} answers it")

    def begin(self, state: LoopState, *, epoch: float, tokens: int, planned: bool) -> None:
        """Starts a save of this moment; the loop stands still for a copy in memory, and for the save before it where that is under way.

        `planned` are those that the order asks for, by the step or by the clock; what comes between them says nothing about their pace.
        """
        if self.saved_step == state.step:
            return
        scored = state.evaluated_step == state.step
        due_s = time.monotonic() - max(self._interval.overdue_seconds(), 0.0)
        waited = self._waited(due_s, state.step)
        timing = self._lateness.begin(due_s=due_s, planned=planned, waited=waited)
        began_s = time.monotonic()
        self._interval.begin()
        self._store.save(
            self._snapshot(),
            step=state.step,
            epoch=epoch,
            tokens=tokens,
            validation=state.validation if scored else None,
            best_validation=state.best_validation,
            parent_step=self._parent_step,
        )
        self.saved_step = state.step
        self._under_way.append(_UnderWay(step=state.step, began_s=began_s, timing=timing))

    def note_validation(self, step: int, validation: Loss) -> None:
        """Tells the loss at `step`; a checkpoint that a signal hurried may lack it."""
        self._store.note_validation(step, validation)

    def look(self, step: int) -> None:
        """Reports saves that ended since the last look; raises `StorageFault` when too many failed in a row."""
        self._settle(self._store.poll, step)
        overdue_s = self._interval.overdue_seconds()
        if self._under_way and overdue_s > 0:
            self._look_at_lateness(time.monotonic() - overdue_s, step, waits=False)

    def finish(self, state: LoopState, *, epoch: float, tokens: int) -> None:
        """Saves this moment where it is not saved yet, and waits until that is safe; a save that failed is tried once more.

        Raises `StorageFault` when it fails again: there is no later one to make up for it.
        """
        self._settle(self._store.wait, state.step)
        self.begin(state, epoch=epoch, tokens=tokens, planned=False)
        self._settle(self._store.wait, state.step)
        if self.saved_step != state.step:
            assert self._fault is not None, "a save without a fault is a save"
            raise self._fault

    def _waited(self, due_s: float, step: int) -> bool:
        """Stands still while a save is under way; whether there was one."""
        if self._store.is_free(within_seconds=0):
            return False
        while not self._store.is_free(within_seconds=_LOOK_SECONDS):
            self._look_at_lateness(due_s, step, waits=True)
        return True

    def _look_at_lateness(self, due_s: float, step: int, *, waits: bool) -> None:
        now = self._under_way[-1]
        complaint = self._lateness.complaint(
            step=now.step, began_s=now.began_s, due_s=due_s, waits=waits
        )
        if complaint:
            self._warn(CHECKPOINT_SLOW, complaint, step)

    def _settle(self, ended: Callable[[], list[SavedCheckpoint]], step: int) -> None:
        """Tells of every save that ended, failed ones among them."""
        while self._tell(ended, step):
            continue
        for warning in self._store.take_warnings():
            self._warn(warning.reason, warning.message, step)

    def _tell(self, ended: Callable[[], list[SavedCheckpoint]], step: int) -> bool:
        """Whether there was something to tell."""
        try:
            saves = ended()
        except StorageFault as fault:
            self._failures += 1
            self._fault = fault
            self._lateness.note_end(time.monotonic())
            if self._under_way.popleft().step == self.saved_step:
                self.saved_step = None
            if self._failures >= MOST_FAILED_SAVES:
                raise
            self._warn(
                CHECKPOINT_FAILED,
                f"save {self._failures} of at most {MOST_FAILED_SAVES} that may fail in a row: {fault}",
                step,
            )
            return True
        for saved in saves:
            known = self._under_way.popleft()
            self._lateness.note_end(known.began_s + saved.seconds)
            self._report(saved, known.timing)
        return bool(saves)

    def _report(self, saved: SavedCheckpoint, timing: Timing) -> None:
        self._failures = 0
        self._longest_s = max(self._longest_s or 0.0, saved.seconds)
        manifest = saved.manifest
        self._reporter.report(
            Saved(
                time=now(),
                attempt=self._attempt,
                step=manifest.step,
                name=saved.name,
                size_bytes=manifest.size_bytes,
                digest=saved.digest,
                validation=manifest.validation,
                epoch=manifest.epoch,
                save_seconds=saved.seconds,
                interval_seconds=timing.interval_seconds,
                late_seconds=timing.late_seconds,
                waited_seconds=timing.waited_seconds,
                kept=saved.kept,
            )
        )
        self._reporter.say(
            f"checkpoint {saved.name}: {manifest.size_bytes / 1e6:.1f} MB, verified, in {saved.seconds:.2f} s"
        )

    def _warn(self, reason: str, message: str, step: int) -> None:
        self._reporter.say(f"warning: {message}")
        self._reporter.report(
            Warned(
                time=now(), attempt=self._attempt, step=step, reason=reason, message=message[:1024]
            )
        )


def _size_bytes(tensors: Mapping[str, Mapping[str, Tensor]]) -> int:
    return sum(
        tensor.numel() * tensor.element_size()
        for named in tensors.values()
        for tensor in named.values()
    )
