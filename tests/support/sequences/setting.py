"""Where a sequence begins: the run, its trainer, two places, and their clocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lightcompute.api.money import MicroUSD, format_usd
from lightcompute.core.snapshot import Offer
from lightcompute.testing.builders import HERE, a_place, a_run
from lightcompute.testing.trainer import Obstacle, Script
from lightcompute.testing.world import World
from support.sequences.steps import Step

PLACES = (HERE, a_place("A100-40GB"))


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How the world is at first."""

    limit: MicroUSD
    rates: tuple[MicroUSD, ...]
    """The price of each place, at most two."""
    script: Script = field(default_factory=Script)
    speaks_contract: bool = True
    max_restarts: int = 3
    active_seconds: int | None = None
    grace_seconds: int = 30
    skew_seconds: int = 0
    """Largest difference of clocks, as snapshots tell it."""
    ahead_seconds: float = 0
    """By how much the clocks of places are truly ahead of ours."""
    is_watched: bool = True
    """Whether a watch tells whoever drives the loop of edits and ends; else only its own next look finds them."""
    obstacle: Obstacle | None = None
    """What keeps the first attempts from beginning."""
    reading_seconds: float = 0

    def world(self, kind: type[World] = World) -> World:
        """The world."""
        run = a_run() if self.speaks_contract else a_run().foreign()
        run = run.limited_to(format_usd(self.limit)).with_spec(
            failurePolicy={"maxRestarts": self.max_restarts}
        )
        if self.speaks_contract:
            run = run.with_spec(progressDeadlineSeconds=60)
        if self.active_seconds is not None:
            run = run.with_spec(activeDeadlineSeconds=self.active_seconds)
        offers = zip(PLACES, self.rates, strict=False)
        return kind(
            run=run.build(),
            script=self.script,
            offers=tuple(
                Offer(place=place, rate_per_hour=rate, any_placement=True) for place, rate in offers
            ),
            grace_seconds=self.grace_seconds,
            clock_skew_seconds=self.skew_seconds,
            places_ahead_seconds=self.ahead_seconds,
            obstacle=self.obstacle,
            reading_seconds=self.reading_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class Sequence:
    """What is played."""

    seed: int
    setting: Setting
    steps: tuple[Step, ...]

    def shorter(self) -> Iterator[Sequence]:
        """The same with less in it: without one of its steps, or with half of a time, or with something plainer to begin with."""
        for number in reversed(range(len(self.steps))):
            yield replace(self, steps=self.steps[:number] + self.steps[number + 1 :])
        for number, step in enumerate(self.steps):
            for name in ("seconds", "down_seconds"):
                seconds = getattr(step, name, 0)
                if seconds > 1:
                    changes: dict[str, Any] = {name: seconds // 2}
                    less = replace(step, **changes)
                    yield replace(
                        self, steps=(*self.steps[:number], less, *self.steps[number + 1 :])
                    )
        for each in fields(self.setting):
            yield from self._plainer(each.name)

    def _plainer(self, name: str) -> Iterator[Sequence]:
        plain = Setting(limit=self.setting.limit, rates=self.setting.rates[:1])
        if getattr(self.setting, name) != getattr(plain, name):
            setting = replace(self.setting, **{name: getattr(plain, name)})
            yield replace(self, setting=setting)

    def __str__(self) -> str:
        lines = [f"    {step}," for step in self.steps]
        return "\n".join((f"seed {self.seed}", f"  {self.setting}", "  steps=(", *lines, "  )"))
