"""What `explain -f` says of a run that a file wants: where it would go now, who stands before it, how long and how dear. Pure.

Nothing is judged here: the places come out of `core.prospect`, by the checks that decide about runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from lightcompute.api import TrainingRun
from lightcompute.api.status import Candidate, Place
from lightcompute.cli import text
from lightcompute.cli.places import places_table
from lightcompute.core.budget import left_of, limit_of, next_terms, paid_seconds, terms_of
from lightcompute.core.estimate import Basis, Estimate, estimate
from lightcompute.core.placement import PASSING
from lightcompute.core.prospect import Prospect
from lightcompute.core.snapshot import Snapshot
from lightcompute.core.speeds import measured_on
from lightcompute.core.text import span

Row = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Foresight:
    """A run as it would be, and what would become of it."""

    what: str
    """Whether it is new, and where."""
    shape: tuple[Row, ...]
    """What is trained, and on what."""
    snapshot: Snapshot
    prospect: Prospect
    expected: Mapping[Place, Estimate]
    """What the whole run takes, by place, where that can be told."""
    before: str
    """Who stands before it."""
    notes: tuple[Row, ...] = ()
    changes: tuple[str, ...] = ()
    unseen: str = ""
    """What decides as well and cannot be seen from here."""

    def lines(self) -> Iterator[str]:
        """All of it."""
        yield f"{self.snapshot.run.metadata.name}: {self.what}; {self._verdict()}"
        yield text.table(self._rows())
        yield from (f"  changed  {change}" for change in self.changes)
        if self.prospect.found.candidates:
            yield ""
            yield places_table(self.prospect.found.candidates, self.expected)
        more = sum(self.prospect.found.reasons.values()) - len(self.prospect.found.candidates)
        if more > 0:
            yield f"and {more} more"
        if self.unseen:
            yield ""
            yield self.unseen

    def _verdict(self) -> str:
        start = self.prospect.start
        return "it would not start now" if start is None else f"it would go to {start.place} now"

    def _rows(self) -> Iterator[Row]:
        yield from self.shape
        decision, place = self.prospect.decision, self._place()
        if self.prospect.start is None:
            yield "why not", f"{decision.reason}: {decision.message}"
        yield "before it", self.before
        yield "expected", self._expected(place)
        yield "cap", self._cap(place)
        yield "deadline", self._deadline(place)
        yield from self.notes

    def _place(self) -> Candidate | None:
        """Where it would go, or the first place that is worth waiting for, or else the first."""
        found = self.prospect.found
        chosen = None if found.chosen is None else found.chosen.place
        ranked = (
            *(each for each in found.candidates if each.place == chosen),
            *(each for each in found.candidates if each.reason in PASSING),
            *found.candidates,
        )
        return next(iter(ranked), None)

    def _expected(self, place: Candidate | None) -> str:
        known = None if place is None else self.expected.get(place.place)
        if known is not None and place is not None:
            return f"{known}, on {place.place}"
        run = self.snapshot.run
        if run.spec.training is None or run.spec.trainer.command:
            return "not known: the program is not ours"
        return "not known: nothing was measured there, and there is no model of it or no length"

    def _cap(self, place: Candidate | None) -> str:
        run, now = self.snapshot.run, self.snapshot.now
        limit, left = limit_of(run), left_of(run, run.status, now)
        if limit is None or left is None:
            return "none"
        told = f"at most {text.usd(limit)}"
        if left != limit:
            told += f", of which {text.usd(max(left, 0))} are left"
        if place is None:
            return told
        rate = place.rate_per_hour_usd
        if not rate:
            return f"{told}, but no price was given for this machine, so nothing is charged: --price-per-hour-usd"
        terms = next_terms(run.status, terms_of(self.snapshot))
        seconds = paid_seconds(left, rate, terms) or 0
        told += f"; pays for {span(seconds)} at {text.usd(rate)} an hour"
        return told + self._enough(place, seconds)

    def _deadline(self, place: Candidate | None) -> str:
        seconds = self.snapshot.run.spec.active_deadline_seconds
        if seconds is None:
            return ""
        told = f"all attempts together may take {span(seconds)}"
        return told if place is None else told + self._enough(place, seconds)

    def _enough(self, place: Candidate, seconds: int) -> str:
        known = self.expected.get(place.place)
        if known is None or known.seconds <= 0:
            return ""
        rough = ", by the rough model" if known.basis is Basis.ROUGH_MODEL else ""
        if seconds >= known.seconds:
            return f", which is enough{rough}"
        return f", which is not enough: for {seconds / known.seconds:.0%} of the steps{rough}"


def expected_by_place(
    run: TrainingRun,
    candidates: Iterable[Candidate],
    known: Iterable[TrainingRun],
    flops: Callable[[str], float | None],
) -> dict[Place, Estimate]:
    """What the whole of `run` takes at each place: by what `known` runs reached there, else by a rough model of what a type `flops`."""
    training, known = run.spec.training, tuple(known)
    if training is None or run.spec.trainer.command:
        return {}
    speeds: dict[str, float | None] = {}
    found: dict[Place, Estimate] = {}
    for each in candidates:
        gpu_type = each.place.gpu_type
        if gpu_type not in speeds:
            speeds[gpu_type] = measured_on(gpu_type, run, known)
        told = estimate(
            training,
            rate=each.rate_per_hour_usd,
            measured_tokens_per_second=speeds[gpu_type],
            flops=flops(gpu_type),
        )
        if told is not None:
            found[each.place] = told
    return found


def as_if_resumed(run: TrainingRun) -> tuple[TrainingRun, tuple[Row, ...]]:
    """The run without its suspension, and that it is without it: where one would go that holds is asked about later on."""
    if not run.spec.suspend:
        return run, ()
    resumed = run.model_copy(update={"spec": run.spec.model_copy(update={"suspend": False})})
    return resumed, (("suspended", "it goes nowhere; this is as if it were resumed now"),)


def alive_already(run: TrainingRun, where: str, anew: str) -> Iterator[str]:
    """For a run of the name that is alive: it goes nowhere. `anew` is the command about the file as another run."""
    live = run.status.attempts[-1]
    yield f"{run.metadata.name} is alive already: attempt {live.number} is on {live.place}, and goes on there."
    yield "  Another place is looked for only when the attempt ends."
    yield f"  To see why it is there: {where}"
    yield f"  To see where another run of the file would go: {anew}"
