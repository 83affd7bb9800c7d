"""A scripted trainer for the simulated world: steps at a pace, saves, and ends as the test wants, computed and not run.

What it does follows from when it was started, asked to stop and given its deadline; so the clock may jump to any time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lightcompute.api.reasons import Reason
from lightcompute.core.decision import StartAttempt
from lightcompute.core.progress import Progress
from runcontract.exit_codes import ExitCode
from runcontract.losses import Loss
from runcontract.manifest import checkpoint_name
from runcontract.progress import Concluded, Saved, Started, Stepped
from runcontract.results import KeptCheckpoint

_SIGKILL = 9
_REMOVAL_SECONDS = 1
"""Even what never began takes a moment to go."""
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What befalls one attempt, `after_seconds` from its start. Exactly one of the others is set, or none for a good life."""

    after_seconds: float = 0
    exit_code: int | None = None
    signal: int | None = None
    vanishes: bool = False
    interruption: Reason | None = None
    """Who took its machine away, with any end."""
    cause: str = ""
    """What the place says about it."""
    out_of_memory: bool | None = None
    hangs: bool = False
    """It reports and does nothing any more, and does not heed SIGTERM."""

    @property
    def ends_it(self) -> bool:
        """Whether it is an end, not a hang."""
        return self.exit_code is not None or self.signal is not None or self.vanishes


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """What keeps an attempt from beginning, as its place tells it."""

    reason: Reason
    words: str
    takes_in: bool
    """Whether it holds its place meanwhile, and is charged."""


NO_ROOM = Obstacle(
    reason=Reason.NO_CAPACITY,
    words="0/4 nodes are available: 4 Insufficient nvidia.com/gpu.",
    takes_in=False,
)
NO_IMAGE = Obstacle(
    reason=Reason.IMAGE_UNAVAILABLE, words="ErrImagePull: no such image", takes_in=True
)
NO_POD = Obstacle(
    reason=Reason.POD_REFUSED, words='pods "x" is forbidden: exceeded quota', takes_in=False
)


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
    silent: bool = False
    """It reports nothing, as a program that knows of no contract."""
    fates: dict[int, Fate] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class End:
    """How an attempt ended."""

    time: datetime
    exit_code: int | None = None
    signal: int | None = None
    vanished: bool = False
    saved: bool = False
    interruption: Reason | None = None
    cause: str = ""
    out_of_memory: bool | None = None


@dataclass(kw_only=True)
class SimulatedAttempt:
    """The processes of one attempt. `stop_time` and `deadline_seconds` change as the world is told to."""

    order: StartAttempt
    script: Script
    asked_time: datetime
    """When its place heard of it."""
    start_time: datetime
    """From when it holds its place; NEVER while it does not."""
    first_step: int
    deadline_seconds: int | None
    stop_time: datetime | None = None
    kill_time: datetime | None = None
    released: bool = False
    obstacle: Obstacle | None = None
    mended_time: datetime | None = None
    """When an obstacle was taken out of its way."""
    _known: tuple[tuple[object, ...], End] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    @property
    def begin_time(self) -> datetime:
        """From when its processes run, if nothing is in their way."""
        return max(self.start_time, self.mended_time or self.start_time)

    def take_in(self, start: datetime) -> None:
        """Its place takes it in at `start`, later than it was asked to. Its deadline stays when it was, as that of a Job does."""
        if self.deadline_seconds is not None:
            self.deadline_seconds -= int((start - self.asked_time).total_seconds())
        self.start_time = start

    @property
    def fate(self) -> Fate:
        """What befalls it."""
        return self.script.fates.get(self.order.attempt, Fate())

    def end(self) -> End:
        """How and when it ends, as things stand; worked out anew when they have changed, since every look asks many times."""
        # By identity where nothing has changed: scripts and orders are not compared field by field.
        things = (
            self.order,
            self.script,
            self.obstacle,
            self.start_time,
            self.mended_time,
            self.first_step,
            self.deadline_seconds,
            self.stop_time,
            self.kill_time,
        )
        if self._known is None or self._known[0] != things:
            self._known = things, self._end()
        return self._known[1]

    def _end(self) -> End:
        if self.obstacle is not None:
            return self._end_before_it_began()
        script, fate = self.script, self.fate
        hang = self.begin_time + timedelta(seconds=fate.after_seconds) if fate.hangs else None
        left = max(script.steps - self.first_step, 0) * script.seconds_per_step
        done = End(
            time=self.begin_time + timedelta(seconds=left),
            exit_code=ExitCode.DONE,
            saved=True,
        )
        willing = [done]
        if self.order.stop_after_seconds is not None and not script.deaf:
            early = max(self.order.stop_after_seconds - script.save_seconds, 0)
            time = self.begin_time + timedelta(seconds=early)
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
                    time=self.begin_time + timedelta(seconds=fate.after_seconds),
                    exit_code=fate.exit_code,
                    signal=fate.signal,
                    vanished=fate.vanishes,
                    interruption=fate.interruption,
                    cause=fate.cause,
                    out_of_memory=fate.out_of_memory,
                )
            )
        kills = [] if term is None else [term + timedelta(seconds=self.order.grace_seconds)]
        kills += [] if self.kill_time is None else [self.kill_time]
        ends += [End(time=max(kill, self.start_time), signal=_SIGKILL) for kill in kills]
        return ends or [End(time=NEVER)]

    def _end_before_it_began(self) -> End:
        times = [time for time in (self.stop_time, self.kill_time) if time is not None]
        if self.deadline_seconds is not None:
            # As the deadline of a Job counts before any of its pods has a node.
            start = self.asked_time if self.start_time == NEVER else self.start_time
            times.append(start + timedelta(seconds=self.deadline_seconds))
        time = min(times) + timedelta(seconds=_REMOVAL_SECONDS) if times else NEVER
        return End(time=time, vanished=True)

    def _term_time(self) -> datetime | None:
        times = [] if self.stop_time is None else [max(self.stop_time, self.begin_time)]
        if self.deadline_seconds is not None:
            times.append(self.start_time + timedelta(seconds=self.deadline_seconds))
        return min(times, default=None)

    def is_live(self, now: datetime) -> bool:
        """Whether anything of it exists at `now`, started or not."""
        return now < self.end().time

    def step(self, now: datetime) -> int:
        """Steps done at `now`."""
        if self.obstacle is not None:
            return self.first_step
        until = min(now, self.end().time)
        if self.fate.hangs:
            until = min(until, self.begin_time + timedelta(seconds=self.fate.after_seconds))
        seconds = max((until - self.begin_time).total_seconds(), 0)
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
        if now < self.begin_time or self.obstacle is not None or self.script.silent:
            return None
        number, step = self.order.attempt, self.step(now)
        told = Progress(attempt=number).with_report(
            Started(
                time=self.begin_time,
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
        told = told.with_report(
            Stepped(
                time=self.begin_time + timedelta(seconds=seconds),
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
        saved = self.saved_steps(now)
        told = told.with_report(self._saved(saved[-1])) if saved else told
        end = self.end()
        return told.with_report(self._concluded(end)) if end.saved and now >= end.time else told

    def _saved(self, step: int) -> Saved:
        seconds = (step - self.first_step) * self.script.seconds_per_step
        return Saved(
            time=self.begin_time + timedelta(seconds=seconds),
            attempt=self.order.attempt,
            step=step,
            name=checkpoint_name(step),
            size_bytes=1000,
            digest="0" * 64,
            save_seconds=self.script.save_seconds,
        )

    def _concluded(self, end: End) -> Concluded:
        step = self.step(end.time)
        return Concluded(
            time=end.time,
            attempt=self.order.attempt,
            step=step,
            reason="MaxStepsReached" if end.exit_code is ExitCode.DONE else "Preempted",
            message=f"left at step {step}",
            exit_code=end.exit_code or 0,
            max_steps=self.script.steps,
            epochs=step / 100,
            tokens=step * 1000,
            parameters=1000,
            training_seconds=(step - self.first_step) * self.script.seconds_per_step,
            tokens_per_second=1000 / self.script.seconds_per_step,
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
