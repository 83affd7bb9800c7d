"""What many sequences came to, as sums: those of two halves add up to those of the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from support.sequences.chance import drawn
from support.sequences.play import Played, play
from support.sequences.rules import Overshoot


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Of sequences that were played."""

    sequences: int = 0
    steps: int = 0
    moments: int = 0
    looks: int = 0
    crashes: int = 0
    attempts: int = 0
    phases: Counter[str] = field(default_factory=Counter)
    worst: Overshoot = field(default_factory=Overshoot)
    closest: Overshoot = field(default_factory=Overshoot)
    unprovoked: Overshoot = field(default_factory=Overshoot)
    failed: tuple[Played, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            sequences=self.sequences + other.sequences,
            steps=self.steps + other.steps,
            moments=self.moments + other.moments,
            looks=self.looks + other.looks,
            crashes=self.crashes + other.crashes,
            attempts=self.attempts + other.attempts,
            phases=self.phases + other.phases,
            worst=max(self.worst, other.worst, key=lambda each: each.amount),
            closest=max(self.closest, other.closest, key=lambda each: each.share),
            unprovoked=max(self.unprovoked, other.unprovoked, key=lambda each: each.amount),
            failed=(*self.failed, *other.failed),
        )

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {phase}" for phase, count in self.phases.most_common())
        return "\n".join(
            (
                f"{self.sequences:,} sequences, {self.steps:,} steps, {self.looks:,} looks, {self.moments:,} moments",
                f"{self.attempts:,} attempts, {self.crashes:,} deaths of whoever drove the loop; at the end {ends}",
                f"worst overshoot with no cap lowered and no price risen: {self.unprovoked}",
                f"worst overshoot after such an edit: {self.worst}; the closest to its bound: {self.closest}",
                f"{len(self.failed)} sequences in which something did not hold",
            )
        )


def of(played: Played) -> Tally:
    """The tally of one."""
    return Tally(
        sequences=1,
        steps=len(played.sequence.steps),
        moments=played.moments,
        looks=played.looks,
        crashes=played.crashes,
        attempts=played.attempts,
        phases=Counter([played.phase]),
        worst=played.worst,
        closest=played.closest,
        unprovoked=played.unprovoked,
        failed=(played,) if played.fault else (),
    )


def played(seeds: Iterable[int]) -> Tally:
    """The tally of the sequences of `seeds`."""
    return sum((of(play(drawn(seed))) for seed in seeds), Tally())
