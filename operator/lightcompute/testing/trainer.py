"""A scripted trainer for the simulated world: steps at a pace, saves, and ends as the test wants, computed and not run.

What it does follows from when it was started, asked to stop and given its deadline; so the clock may jump to any time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lightcompute.core.decision import StartAttempt
from lightcompute.core.progress import Progress
from runcontract.exit_codes import ExitCode
from runcontract.losses import Loss
from runcontract.manifest import checkpoint_name
from runcontract.progress import Started, Stepped
from runcontract.results import KeptCheckpoint

_SIGKILL = 9


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What befalls one attempt, `after_seconds` from its start. Exactly one of the others is set, or none for a good life."""

    after_seconds: float = 0
    exit_code: int | None = None
    signal: int | None = None
    vanishes: bool = False
    preempted: bool = False
    hangs: bool = False
    """It reports and does nothing any more, and does not heed SIGTERM."""

    @property
    def ends_it(self) -> bool:
        """Whether it is an end, not a hang."""
        return self.exit_code is not None or self.signal is not None or self.vanishes


@dataclass(frozen=True, kw_only=True)
class Script:
    """How the trainer of a run behaves in all its attempts."""

    steps: int = 100
    seconds_per_step: float = 1.0
    save_every: int = 10
    save_seconds: float = 2.0
    start_seconds: float = 1.0
    """From the wish to start it until it holds its place."""
    deaf: bool = False
    """It heeds neither its stop time nor SIGTERM, and is killed after the grace."""
    fates: dict[int, Fate] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class End:
    """How an attempt ended."""

    time: datetime
    exit_code: int | None = None
    signal: int | None = None
    vanished: bool = False
    preempted: bool = False
    saved: bool = False


@dataclass(kw_only=True)
class SimulatedAttempt:
    """The processes of one attempt. `stop_time` and `deadline_seconds` change as the world is told to."""

    order: StartAttempt
    script: Script
    start_time: datetime
    first_step: int
    deadline_seconds: int | None
    stop_time: datetime | None = None
    kill_time: datetime | None = None
    released: bool = False

    @property
    def fate(self) -> Fate:
        """What befalls it."""
        return self.script.fates.get(self.order.attempt, Fate())

    def end(self) -> End:
        """How and when it ends, as things stand."""
        script, fate = self.script, self.fate
        hang = self.start_time + timedelta(seconds=fate.after_seconds) if fate.hangs else None
        left = max(script.steps - self.first_step, 0) * script.seconds_per_step
        done = End(
            time=self.start_time + timedelta(seconds=left),
            exit_code=ExitCode.DONE,
            saved=True,
        )
        willing = [done]
        if self.order.stop_after_seconds is not None and not script.deaf:
            early = max(self.order.stop_after_seconds - script.save_seconds, 0)
            time = self.start_time + timedelta(seconds=early)
            willing.append(End(time=time, exit_code=ExitCode.BUDGET_REACHED, saved=True))
        term = self._term_time()
        save = timedelta(seconds=script.save_seconds)
        if term is not None and not script.deaf:
            willing.append(End(time=term + save, exit_code=ExitCode.PREEMPTED, saved=True))
        ends = [end for end in willing if hang is None or end.time <= hang]
        return min(ends + self._forced(term), key=lambda end: end.time)

    def _forced(self, term: datetime | None) -> list[End]:
        fate = self.fate
        ends: list[End] = []
        if fate.ends_it:
            ends.append(
                End(
                    time=self.start_time + timedelta(seconds=fate.after_seconds),
                    exit_code=fate.exit_code,
                    signal=fate.signal,
                    vanished=fate.vanishes,
                    preempted=fate.preempted,
                )
            )
        kills = [] if term is None else [term + timedelta(seconds=self.order.grace_seconds)]
        kills += [] if self.kill_time is None else [self.kill_time]
        ends += [End(time=max(kill, self.start_time), signal=_SIGKILL) for kill in kills]
        return ends or [End(time=datetime.max.replace(tzinfo=self.start_time.tzinfo))]

    def _term_time(self) -> datetime | None:
        times = [] if self.stop_time is None else [max(self.stop_time, self.start_time)]
        if self.deadline_seconds is not None:
            times.append(self.start_time + timedelta(seconds=self.deadline_seconds))
        return min(times, default=None)

    def is_live(self, now: datetime) -> bool:
        """Whether anything of it exists at `now`, started or not."""
        return now < self.end().time

    def step(self, now: datetime) -> int:
        """Steps done at `now`."""
        until = min(now, self.end().time)
        if self.fate.hangs:
            until = min(until, self.start_time + timedelta(seconds=self.fate.after_seconds))
        seconds = max((until - self.start_time).total_seconds(), 0)
        return min(self.first_step + int(seconds / self.script.seconds_per_step), self.script.steps)

    def saved_steps(self, now: datetime) -> tuple[int, ...]:
        """Steps of its checkpoints at `now`."""
        step, every = self.step(now), self.script.save_every
        steps = set(range((self.first_step // every + 1) * every, step + 1, every))
        end = self.end()
        if end.saved and now >= end.time and step > 0:
            steps.add(step)
        return tuple(sorted(steps))

    def progress(self, now: datetime) -> Progress | None:
        """What it reported until `now`."""
        if now < self.start_time:
            return None
        number, step = self.order.attempt, self.step(now)
        told = Progress(attempt=number).with_report(
            Started(
                time=self.start_time,
                attempt=number,
                step=self.first_step,
                max_steps=self.script.steps,
                parameters=1000,
                training_tokens=100_000,
                resumed_from_step=self.first_step or None,
                device="simulated",
            )
        )
        if step == self.first_step:
            return told
        seconds = (step - self.first_step) * self.script.seconds_per_step
        return told.with_report(
            Stepped(
                time=self.start_time + timedelta(seconds=seconds),
                attempt=number,
                step=step,
                max_steps=self.script.steps,
                epoch=step / 100,
                tokens=step * 1000,
                training_loss=2.0,
                learning_rate=1e-3,
                gradient_norm=1.0,
                tokens_per_second=1000 / self.script.seconds_per_step,
                remaining_seconds=(self.script.steps - step) * self.script.seconds_per_step,
            )
        )


def kept(step: int) -> KeptCheckpoint:
    """The verified checkpoint at `step`."""
    return KeptCheckpoint(
        name=checkpoint_name(step),
        step=step,
        size_bytes=1000,
        digest="0" * 64,
        verified=True,
        validation=a_loss(3.0 - step / 1000),
    )


def a_loss(nats_per_character: float) -> Loss:
    """A loss in three units that fit together for text in ASCII with two characters a token."""
    return Loss(
        nats_per_token=nats_per_character * 2,
        nats_per_character=nats_per_character,
        bits_per_byte=nats_per_character * 1.4427,
    )
