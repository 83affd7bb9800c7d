"""The thread that has the bucket keep what the program saved, and the judgement of what fails on the way."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from lightgpt.carry.staging import Staged
from lightgpt.carry.voice import Voice
from lightgpt.checkpoint.faults import MOST_FAILED_SAVES, CheckpointWarning, storage_fault
from lightgpt.train.lateness import LEAST_TOLD_SECONDS
from lightgpt.train.reports import now
from lightgpt.train.requests import Requests
from lightgpt.vault.publishing import publish_and_prune
from lightgpt.vault.vault import Vault
from runcontract.faults import CheckpointFault, ContractFault, StorageFault
from runcontract.losses import Loss
from runcontract.progress import CHECKPOINT_SLOW, Saved


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A checkpoint to be sent. `report` is what the program said of it; None where it said nothing.

    `interval_seconds` is the time since the program told of the one before it, by the program's own clock; `given_s` is of the monotonic clock.
    """

    staged: Staged
    report: Saved | None = None
    interval_seconds: float | None = None
    given_s: float = field(default_factory=time.monotonic)


class Sender:
    """Sends one checkpoint at a time, in the order in which they are given. `end` is called when the program should leave."""

    def __init__(
        self, vault: Vault, requests: Requests, voice: Voice, *, end: Callable[[], None]
    ) -> None:
        self.fault: ContractFault | None = None
        """Why the program was told to leave, or what failed last at its end."""
        self.unforeseen: Exception | None = None
        self.sent: set[int] = set()
        """Steps that the bucket has."""
        self._vault = vault
        self._requests = requests
        self._voice = voice
        self._end = end
        self._failures = 0
        self._under_way: tuple[int, float] | None = None
        self._given: deque[Parcel] = deque()  # and not under way yet
        self._is_slow_told = False
        self._waiting: queue.Queue[Parcel | None] = queue.Queue(maxsize=1)
        self._thread = threading.Thread(target=self._work, name="carry-sender", daemon=True)
        self._thread.start()

    def give(self, parcel: Parcel) -> None:
        """Has it sent; stands still while another one waits already."""
        self._given.append(parcel)
        self._waiting.put(parcel)

    def look(self) -> None:
        """Tells, once, of a checkpoint that has been under way for so long that the next one is late by the whole time between two."""
        under_way, waiting = self._under_way, next(iter(self._given.copy()), None)
        if self._is_slow_told or under_way is None or waiting is None:
            return
        step, began_s = under_way
        interval_s, now_s = waiting.interval_seconds or 0.0, time.monotonic()
        if now_s - waiting.given_s < max(interval_s, LEAST_TOLD_SECONDS):
            return
        self._is_slow_told = True
        message = (
            f"the checkpoint of step {step} has been on its way to the bucket for {now_s - began_s:.0f} s, and the next one came "
            f"{interval_s:.0f} s after the one before it: it waits"
        )
        self._voice.warn(CheckpointWarning(reason=CHECKPOINT_SLOW, message=message))

    def has_room(self) -> bool:
        """Whether `give` would not stand still."""
        return not self._waiting.full()

    def note_validation(self, step: int, validation: Loss) -> None:
        """Tells the loss at `step`, whose checkpoint may have been saved before it was scored."""
        self._vault.scored_later[step] = validation

    def finish(self) -> None:
        """Waits until everything that was given is sent or has failed; after that only `send` may be called."""
        self._waiting.put(None)
        self._thread.join()

    def send(self, parcel: Parcel) -> StorageFault | None:
        """Sends one now, in the caller's thread, and tells it; why that failed. Raises `CheckpointFault` when a later attempt has begun."""
        began_s = time.monotonic()
        step = parcel.staged.manifest.step
        self._look_at_requests()
        if parcel.report is not None and parcel.report.validation is not None:
            self.note_validation(step, parcel.report.validation)
        try:
            kept = publish_and_prune(self._vault, parcel.staged.path, self._voice.warn)
        except OSError as error:
            return storage_fault(parcel.staged.path, error)
        self._failures = 0
        self.sent.add(step)
        self._voice.report(_told(parcel, kept or (), self._voice.attempt, began_s))
        return None

    def failed(self, fault: StorageFault) -> None:
        """Counts a checkpoint that is not in the bucket; the program is told to leave after too many in a row."""
        self._failures += 1
        most = f"checkpoint {self._failures} of at most {MOST_FAILED_SAVES} in a row that may fail to reach the bucket"
        self._voice.warn(CheckpointWarning(reason="CheckpointFailed", message=f"{most}: {fault}"))
        if self._failures >= MOST_FAILED_SAVES:
            self.give_up(fault)

    def give_up(self, fault: ContractFault) -> None:
        """The program is told to leave, and `fault` is why."""
        if self.fault is None:
            self.fault = fault
            self._end()

    @property
    def is_fenced_off(self) -> bool:
        """Whether a later attempt has begun: then nothing may be written any more."""
        return isinstance(self.fault, CheckpointFault)

    def _work(self) -> None:
        while (parcel := self._waiting.get()) is not None:
            self._given.popleft()
            self._under_way = (parcel.staged.manifest.step, time.monotonic())
            self._is_slow_told = False
            try:
                if not self.is_fenced_off and self.unforeseen is None:
                    fault = self.send(parcel)
                    if fault is not None:
                        self.failed(fault)
            except ContractFault as fault:
                self.give_up(fault)
            except Exception as error:  # noqa: BLE001 - told by the main thread, which would wait for ever for a thread that died
                self.unforeseen = error
                self._end()
            finally:
                self._under_way = None
                with suppress(OSError):
                    parcel.staged.discard()

    def _look_at_requests(self) -> None:
        for complaint in self._requests.look(at_once=True):
            self._voice.warn(CheckpointWarning(reason="RequestUnreadable", message=complaint))
        self._vault.pins = self._requests.pins


def _told(parcel: Parcel, kept: tuple[str, ...], attempt: int, began_s: float) -> Saved:
    """What is said of a checkpoint that the bucket has: by its manifest, and `kept` by the bucket."""
    manifest, said = parcel.staged.manifest, parcel.report
    seconds = time.monotonic() - began_s + (said.save_seconds if said is not None else 0.0)
    return Saved(
        time=now(),
        attempt=attempt,
        step=manifest.step,
        name=parcel.staged.path.name,
        size_bytes=manifest.size_bytes,
        digest=parcel.staged.digest,
        validation=manifest.validation or (said.validation if said is not None else None),
        epoch=manifest.epoch,
        save_seconds=seconds,
        interval_seconds=parcel.interval_seconds,
        late_seconds=max(began_s - parcel.given_s, 0.0),
        kept=kept,
    )
