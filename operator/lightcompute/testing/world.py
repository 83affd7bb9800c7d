"""The simulated world: a backend with its own clock, scripted trainers, prices, crashes and faults.

It counts what things truly cost, by itself and exactly, so that a test can hold the ledger against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from lightcompute.api.money import MicroUSD
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Place, TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.api.words import Phase
from lightcompute.backend import Conflict, PermanentFault, TemporaryFault
from lightcompute.core.decision import (
    Action,
    DeleteRun,
    Event,
    LetGo,
    ReleaseAttempt,
    ReleaseUpkeep,
    RenewDeadline,
    StartAttempt,
    StartUpkeep,
    StopAttempt,
)
from lightcompute.core.snapshot import (
    Allowance,
    Child,
    ChildState,
    Offer,
    SeenUpkeep,
    Snapshot,
    UpkeepState,
)
from lightcompute.testing.builders import HERE, NOON, RunBuilder
from lightcompute.testing.costs import true_cost
from lightcompute.testing.inventory import Written, inventory, whole_steps, written
from lightcompute.testing.tending import SimulatedUpkeep
from lightcompute.testing.trainer import NEVER, Obstacle, Script, SimulatedAttempt
from lightcompute.testing.troubles import SimulatedCrash, Trouble
from runcontract.results import Results

_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(kw_only=True)
class World:
    """One run and everything around it."""

    run: TrainingRun
    script: Script = field(default_factory=Script)
    now: datetime = NOON
    offers: tuple[Offer, ...] = (Offer(place=HERE, rate_per_hour=0, any_placement=True),)
    grace_seconds: int = 30
    clock_skew_seconds: int = 0
    """Largest difference between the clocks, as snapshots tell it."""
    places_ahead_seconds: float = 0
    """By how much the clocks of places are ahead of ours; less than none where they are behind."""
    keeps_deadlines: bool = True
    """Whether the place itself ends an attempt at its deadline, and can be told of another."""
    refuses_starts: str = ""
    obstacle: Obstacle | None = None
    """What keeps attempts that are started from beginning, until it is `mended`."""
    reading_seconds: float = 0
    """How long whoever drives the loop reads logs after its start before it knows them."""
    read_from: datetime = NOON
    reachable: bool = True
    cut_place: Place | None = None
    """What cannot be reached where something cannot; every place when None."""
    cut_seconds: float = 0
    """How long it cannot be reached after a Trouble.CUT_OFF."""
    cut_until: datetime = NOON
    faults: tuple[str, ...] = ()
    results: Results | None = None
    troubles: dict[int, Trouble] = field(default_factory=dict)
    """By the number of the call that changes the world, from 1."""
    calls: int = 0
    writes: int = 0
    attempts: dict[int, SimulatedAttempt] = field(default_factory=dict)
    upkeep: SimulatedUpkeep | None = None
    """Who sees to checkpoints; None where nobody does, as on a laptop."""
    events: list[Event] = field(default_factory=list)
    history: list[TrainingRunStatus] = field(default_factory=list)
    transitions: set[tuple[Phase, Phase]] = field(default_factory=set)
    """Every change of phase that was written."""
    gone: bool = False
    noted: Callable[[TrainingRun], None] = lambda _: None
    """Told of the run at each look, and of what is about to be its record."""
    allowances: Callable[[TrainingRun], tuple[Allowance, ...]] = lambda _: ()
    """What TrainingBudgets let the run reserve."""
    prices: dict[str, list[tuple[datetime, MicroUSD]]] = field(default_factory=dict)

    # ---- what a person or the weather does ----------------------------------------------------------

    def edit(self, **spec: Any) -> None:
        """Changes keys of spec, as `kubectl apply` does."""
        document = {"metadata": {"name": "x"}, "spec": self.run.document()["spec"] | spec}
        new = TrainingRun.model_validate(document)
        metadata = self.run.metadata.model_copy(
            update={
                "generation": self.run.metadata.generation + 1,
                "resource_version": self._next_version(),
            }
        )
        self.run = self.run.model_copy(update={"spec": new.spec, "metadata": metadata})

    def annotate(self, key: str) -> None:
        """Sets an annotation."""
        self._change_metadata(annotations=self.run.metadata.annotations | {key: "now"})

    def delete(self) -> None:
        """Asks for the run's deletion."""
        self._change_metadata(deletion_timestamp=self.now)

    def price(self, place: Place, rate: MicroUSD) -> None:
        """From now on the place costs `rate` an hour."""
        before = next(each.rate_per_hour for each in self.offers if each.place == place)
        self.offers = tuple(
            replace(offer, rate_per_hour=rate) if offer.place == place else offer
            for offer in self.offers
        )
        self.prices.setdefault(str(place), [(_EVER, before)]).append((self.now, rate))

    def mend(self) -> None:
        """What keeps attempts from beginning is gone: those that wait go on."""
        self.obstacle = None
        for attempt in self.attempts.values():
            if attempt.obstacle is not None and attempt.is_live(self.now):
                attempt.obstacle, attempt.mended_time = None, self.now
                if attempt.start_time == NEVER:
                    attempt.take_in(self.now + timedelta(seconds=self.script.start_seconds))

    # ---- the backend ---------------------------------------------------------------------------------

    async def observe(self, key: str) -> Snapshot | None:
        """As a cluster tells it."""
        assert key == self.run.metadata.uid, "only one run lives here"
        if self.gone:
            return None
        self.noted(self.run)
        upkeep = self._seen_upkeep()  # what it found is known from now on
        return Snapshot(
            run=self.run,
            now=self.now,
            children=self._children(),
            offers=tuple(self._offered(offer) for offer in self.offers),
            checkpoints=inventory(self._written(), self.upkeep),
            results=self.results,
            upkeep=upkeep,
            faults=self.faults,
            allowances=self.allowances(self.run),
            grace_seconds=self.grace_seconds,
            clock_skew_seconds=self.clock_skew_seconds,
        )

    async def record(self, run: TrainingRun, status: TrainingRunStatus) -> TrainingRun:
        """One write, checked against the version that was observed."""
        self.noted(run.with_status(status))
        trouble = self._call()
        self._before(trouble)
        if run.metadata.resource_version != self.run.metadata.resource_version:
            raise Conflict("the run was changed since it was observed")
        self._change_metadata()
        # Through text and back, as through an API server: what does not survive that is not kept.
        text = status.model_dump_json(by_alias=True, exclude_none=True)
        before = self.run.status.phase
        self.run = self.run.with_status(TrainingRunStatus.model_validate_json(text))
        if before != self.run.status.phase:
            self.transitions.add((before, self.run.status.phase))
        self.writes += 1
        self.history.append(self.run.status)
        self._after(trouble)
        return self.run

    async def perform(self, run: TrainingRun, action: Action) -> None:
        """Any number of times with the effect of one."""
        trouble = self._call()
        self._before(trouble)
        if isinstance(action, StartUpkeep | ReleaseUpkeep):
            self._see_to(action)
        elif isinstance(action, DeleteRun | LetGo) or self._reaches(action.attempt):
            self._do(run, action)
        elif isinstance(action, ReleaseAttempt):
            return  # it is swept up when its place is there again
        else:
            raise TemporaryFault("the place cannot be reached")
        self._after(trouble)

    def _see_to(self, action: StartUpkeep | ReleaseUpkeep) -> None:
        assert self.upkeep is not None, "nothing is seen to here"
        if not self.reaches(self.run.status.attempts[-1].place):
            raise TemporaryFault("the place cannot be reached")
        if isinstance(action, ReleaseUpkeep):
            self.upkeep.release(action.number)
            return
        assert not self.live_attempts(), "an upkeep beside a live attempt"
        self.upkeep.start(action, self.now)

    def _do(self, run: TrainingRun, action: Action) -> None:
        match action:
            case StartAttempt():
                self._start(run, action)
            case StopAttempt(attempt=number, grace_seconds=grace):
                self._stop(number, grace)
            case RenewDeadline(attempt=number, deadline_seconds=seconds):
                self.attempts[number].deadline_seconds = seconds
            case ReleaseAttempt(attempt=number) if number not in self.attempts:
                pass  # it was given up before anything of it came to be
            case ReleaseAttempt(attempt=number):
                assert not self.attempts[number].is_live(self.now), "released while alive"
                self.attempts[number].released = True
            case DeleteRun():
                self.delete()
            case LetGo(owed_attempt=owed):
                assert set(self.live_attempts()) <= {owed}, "let go while alive"
                self.gone = True
            case _:
                raise AssertionError(f"nothing is told to anybody here: {action}")

    async def announce(self, run: TrainingRun, events: tuple[Event, ...]) -> None:
        """Remembers what was told."""
        assert run.metadata.uid == self.run.metadata.uid
        self.events.extend(events)

    # ---- what is true, whatever anybody recorded -------------------------------------------------------

    def live_attempts(self) -> list[int]:
        """Attempts of which anything exists now."""
        return [number for number, each in self.attempts.items() if each.is_live(self.now)]

    def true_cost(self) -> Fraction:
        """Micro-dollars that were truly used until now: price by price, to the microsecond, unrounded."""
        each = (true_cost(a, self.now, self.offers, self.prices) for a in self.attempts.values())
        return sum(each, Fraction())

    def next_event(self) -> datetime | None:
        """When something will next change by itself that a watch would tell of."""
        times = [
            time
            for attempt in self.attempts.values()
            for time in (attempt.start_time, attempt.end().time)
        ]
        times.append(self.cut_until)
        if self.upkeep is not None and self.upkeep.end_time is not None:
            times.append(self.upkeep.end_time)
        ahead = (time for time in times if time > self.now and time.year < 9999)
        return min(ahead, default=None)

    def reaches(self, place: Place) -> bool:
        """Whether `place` can be reached now."""
        if self.cut_place is not None and place != self.cut_place:
            return True
        return self.reachable and self.now >= self.cut_until

    def _reaches(self, number: int) -> bool:
        recorded = {each.number: each.place for each in self.run.status.attempts}
        attempt = self.attempts.get(number)
        place = recorded.get(number) if attempt is None else attempt.order.place
        return place is None or self.reaches(place)

    def _children(self) -> tuple[Child, ...]:
        """What can be seen, and what cannot: of a recorded attempt at a place that is away nobody knows whether it exists."""
        kept = [attempt for attempt in self.attempts.values() if not attempt.released]
        unknown = [
            Child(attempt=each.number, state=ChildState.UNKNOWN)
            for each in self.run.status.attempts
            if each.is_live and each.number not in self.attempts and not self.reaches(each.place)
        ]
        return (*(self._child(attempt) for attempt in kept), *unknown)

    def _child(self, attempt: SimulatedAttempt) -> Child:
        number, end = attempt.order.attempt, attempt.end()
        if not self.reaches(attempt.order.place):
            return Child(attempt=number, state=ChildState.UNKNOWN)
        deadline = attempt.deadline_seconds if self.keeps_deadlines else None
        is_read = self.now >= self.read_from
        common: dict[str, Any] = {
            "attempt": number,
            "stopping": attempt.stop_time is not None,
            "stopping_time": self._stamp(attempt.stop_time),
            "asked_time": self._stamp(attempt.asked_time),
            "deadline_seconds": deadline,
            "keeps_deadlines": self.keeps_deadlines,
            "progress": attempt.progress(self.now) if is_read else None,
            "heard_until": self.now if is_read and attempt.obstacle is None else None,
            "start_time": self._stamp(
                attempt.start_time if attempt.start_time <= self.now else None
            ),
        }
        if self.now < end.time:
            return self._alive(attempt, common)
        return Child(
            state=ChildState.VANISHED if end.vanished else ChildState.EXITED,
            end_time=self._stamp(end.time),
            exit_code=end.exit_code,
            signal=end.signal,
            interruption=end.interruption,
            cause=end.cause,
            out_of_memory=end.out_of_memory,
            **common,
        )

    def _alive(self, attempt: SimulatedAttempt, common: dict[str, Any]) -> Child:
        if attempt.obstacle is not None:
            common["waiting_reason"] = attempt.obstacle.reason
            common["waiting"] = attempt.obstacle.words
        holds = attempt.start_time <= self.now
        state = ChildState.RUNNING if holds else ChildState.PENDING
        return Child(
            state=state, began_time=self._stamp(attempt.begin_time if holds else None), **common
        )

    def _stamp(self, time: datetime | None) -> datetime | None:
        """`time`, by the clock of the places."""
        return None if time is None else time + timedelta(seconds=self.places_ahead_seconds)

    def _offered(self, offer: Offer) -> Offer:
        if self.reaches(offer.place):
            return offer
        return replace(offer, unavailable=Reason.NO_CAPACITY, message="it cannot be reached")

    def _written(self) -> Written:
        return written(self.attempts, self.now)

    def _seen_upkeep(self) -> SeenUpkeep | None:
        if self.upkeep is None:
            return None
        recorded, attempts = self.run.status.upkeep, self.run.status.attempts
        number = 0 if recorded is None else recorded.number
        if attempts and not self.reaches(attempts[-1].place):
            return SeenUpkeep(number=number, state=UpkeepState.UNREACHABLE, message="it is away")
        return self.upkeep.seen(number, self.now, self._written())

    def _start(self, run: TrainingRun, order: StartAttempt) -> None:
        if order.attempt in self.attempts:
            return
        recorded = {attempt.number for attempt in self.run.status.attempts if attempt.is_live}
        assert order.attempt in recorded, "an attempt without a record"
        assert run.metadata.uid == self.run.metadata.uid
        assert not self.live_attempts(), "a second live attempt"
        if self.refuses_starts:
            raise PermanentFault(self.refuses_starts, reason=Reason.START_REFUSED)
        whole = whole_steps(self._written(), self.upkeep)
        self.attempts[order.attempt] = SimulatedAttempt(
            order=order,
            script=self.script,
            asked_time=self.now,
            start_time=self.now + timedelta(seconds=self.script.start_seconds)
            if self.obstacle is None or self.obstacle.takes_in
            else NEVER,
            obstacle=self.obstacle,
            first_step=max(whole, default=0),
            deadline_seconds=order.deadline_seconds if self.keeps_deadlines else None,
        )

    def _stop(self, number: int, grace_seconds: int) -> None:
        attempt = self.attempts.get(number)
        if attempt is None:
            return
        if grace_seconds == 0:
            attempt.kill_time = attempt.kill_time or self.now
        attempt.stop_time = attempt.stop_time or self.now

    def _change_metadata(self, **changes: Any) -> None:
        changes["resource_version"] = self._next_version()
        metadata = self.run.metadata.model_copy(update=changes)
        self.run = self.run.model_copy(update={"metadata": metadata})

    def _next_version(self) -> str:
        return str(int(self.run.metadata.resource_version or "0") + 1)

    def _call(self) -> Trouble | None:
        self.calls += 1
        return self.troubles.get(self.calls)

    def _before(self, trouble: Trouble | None) -> None:
        if trouble is Trouble.CRASH_BEFORE:
            raise SimulatedCrash
        if trouble is Trouble.CUT_OFF:
            self.cut_until = self.now + timedelta(seconds=self.cut_seconds)
        if trouble is Trouble.REQUEST_LOST:
            raise TemporaryFault("the request was lost")

    def _after(self, trouble: Trouble | None) -> None:
        if trouble is Trouble.CRASH_AFTER:
            raise SimulatedCrash
        if trouble is Trouble.RESPONSE_LOST:
            raise TemporaryFault("the response was lost")


def a_world(run: RunBuilder, **parts: Any) -> World:
    """A world for `run`, at noon."""
    return World(run=run.build(), **parts)
