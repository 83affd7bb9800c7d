"""Runs of the simulated world from their beginning to their end: what is asked for, what befalls them, and how they end undisturbed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from _pytest.mark import ParameterSet

from lightcompute.api.labels import STOP, VERIFY_CHECKPOINTS
from lightcompute.api.reasons import Reason
from lightcompute.api.words import Phase
from lightcompute.testing.builders import RunBuilder, a_run, an_offer
from lightcompute.testing.drive import Deed, drive
from lightcompute.testing.tending import SimulatedUpkeep
from lightcompute.testing.trainer import NO_IMAGE, NO_POD, NO_ROOM, Fate, Obstacle, Script
from lightcompute.testing.world import World, a_world

CAP = "1.00"
CLAIM = {"persistentVolumeClaim": {"claimName": "runs"}}


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A run and what befalls it."""

    run: RunBuilder = field(default_factory=lambda: a_run().limited_to(CAP))
    script: Script = field(default_factory=Script)
    deeds: tuple[Deed, ...] = ()
    ends: Phase = Phase.SUCCEEDED
    attempts: int = 1
    price: str = "2.00"
    keeps_deadlines: bool = True
    obstacle: Obstacle | None = None
    upkeep: Callable[[], SimulatedUpkeep] | None = None

    def world(self, **parts: Any) -> World:
        """The world that it begins in."""
        offers = (an_offer(self.price, any_placement=True),)
        return a_world(
            self.run,
            script=self.script,
            offers=offers,
            keeps_deadlines=self.keeps_deadlines,
            obstacle=self.obstacle,
            upkeep=self.upkeep() if self.upkeep is not None else None,
            **parts,
        )

    def go(self, world: World, **how: Any) -> World:
        """`world`, when nothing happens in it any more."""
        drive(world, deeds=self.deeds, **how)
        return world


def on_a_claim(**spec: Any) -> RunBuilder:
    """A run whose checkpoints outlive its attempts."""
    return a_run().limited_to(CAP).with_spec(storage=CLAIM, **spec)


def broken(*checkpoints: tuple[int, int]) -> Callable[[], SimulatedUpkeep]:
    """Somebody who finds these checkpoints broken, each told by attempt and step."""
    return lambda: SimulatedUpkeep(broken=frozenset(checkpoints))


SCENARIOS = {
    "happy": Scenario(),
    "fail and retry": Scenario(
        script=Script(fates={1: Fate(after_seconds=35, exit_code=1)}), attempts=2
    ),
    "fail too often": Scenario(
        script=Script(fates={n: Fate(after_seconds=5, exit_code=1) for n in range(1, 9)}),
        ends=Phase.FAILED,
        attempts=4,
    ),
    "out of memory once": Scenario(
        script=Script(fates={1: Fate(after_seconds=35, signal=9)}), attempts=2
    ),
    "the user's fault": Scenario(
        script=Script(fates={1: Fate(after_seconds=5, exit_code=10)}), ends=Phase.FAILED
    ),
    "suspend and resume": Scenario(
        deeds=((30.5, lambda w: w.edit(suspend=True)), (100, lambda w: w.edit(suspend=False))),
        attempts=2,
    ),
    "suspend for good": Scenario(
        deeds=((30.5, lambda w: w.edit(suspend=True)),), ends=Phase.SUSPENDED
    ),
    "stop by a person": Scenario(deeds=((30.5, lambda w: w.annotate(STOP)),), ends=Phase.STOPPED),
    "budget stop": Scenario(
        run=a_run().limited_to("0.05"), script=Script(steps=1000), ends=Phase.BUDGET_EXHAUSTED
    ),
    "budget stop of a program that never leaves by itself": Scenario(
        run=a_run().foreign().limited_to("0.05"),
        script=Script(steps=1000, deaf=True),
        ends=Phase.BUDGET_EXHAUSTED,
    ),
    "budget stop where the place keeps no deadline": Scenario(
        run=a_run().foreign().limited_to("0.05"),
        script=Script(steps=1000, deaf=True),
        ends=Phase.BUDGET_EXHAUSTED,
        keeps_deadlines=False,
    ),
    "budget raised after the stop": Scenario(
        run=a_run().limited_to("0.05"),
        deeds=((200, lambda w: w.edit(budget={"limitUSD": "1.00"})),),
        attempts=2,
    ),
    "budget raised while it runs": Scenario(
        run=a_run().limited_to("0.06"),
        deeds=((20, lambda w: w.edit(budget={"limitUSD": "1.00"})),),
        attempts=2,
    ),
    "budget lowered below what is spent": Scenario(
        run=a_run().limited_to("1.00"),
        deeds=((50, lambda w: w.edit(budget={"limitUSD": "0.01"})),),
        ends=Phase.BUDGET_EXHAUSTED,
    ),
    "delete while it runs": Scenario(deeds=((30.5, lambda w: w.delete()),), ends=Phase.STOPPED),
    "delete when it is over": Scenario(deeds=((500, lambda w: w.delete()),)),
    "time to live": Scenario(run=a_run().with_spec(ttlSecondsAfterFinished=60)),
    "hang": Scenario(
        run=a_run().with_spec(progressDeadlineSeconds=60),
        script=Script(fates={1: Fate(after_seconds=35, hangs=True)}),
        attempts=2,
    ),
    "preempt": Scenario(
        script=Script(
            fates={1: Fate(after_seconds=35, exit_code=13, interruption=Reason.PREEMPTED)}
        ),
        attempts=2,
    ),
    "vanished": Scenario(
        script=Script(fates={1: Fate(after_seconds=35, vanishes=True)}), attempts=2
    ),
    "evicted": Scenario(
        script=Script(
            fates={1: Fate(after_seconds=35, exit_code=137, interruption=Reason.EVICTED)}
        ),
        attempts=2,
    ),
    "lost with its machine": Scenario(
        script=Script(
            fates={1: Fate(after_seconds=35, vanishes=True, interruption=Reason.NODE_LOST)}
        ),
        attempts=2,
    ),
    "memory ran out, as the place says": Scenario(
        script=Script(fates={1: Fate(after_seconds=35, exit_code=1, out_of_memory=True)}),
        attempts=2,
    ),
    "waits for a place, then gets it": Scenario(obstacle=NO_ROOM, deeds=((60, World.mend),)),
    "waits for a place, is given up, then gets it": Scenario(
        obstacle=NO_ROOM, deeds=((700, World.mend),), attempts=2
    ),
    "waits for a place in vain": Scenario(
        run=a_run().limited_to(CAP).with_spec(placement={"preRunningDeadlineSeconds": 700}),
        obstacle=NO_ROOM,
        ends=Phase.FAILED,
        attempts=2,
    ),
    "no image, then mended": Scenario(obstacle=NO_IMAGE, deeds=((60, World.mend),)),
    "no image for long, then mended": Scenario(
        obstacle=NO_IMAGE, deeds=((250, World.mend),), attempts=2
    ),
    "no image ever": Scenario(obstacle=NO_IMAGE, ends=Phase.FAILED, attempts=6),
    "refused by its place, then mended": Scenario(obstacle=NO_POD, deeds=((60, World.mend),)),
    "refused by its place for ever": Scenario(obstacle=NO_POD, ends=Phase.FAILED, attempts=6),
    "edited while it waits for a place": Scenario(
        obstacle=NO_ROOM,
        deeds=((30, lambda w: w.edit(placement={"priority": 1})), (60, World.mend)),
    ),
    "edited while it runs": Scenario(
        deeds=((30.5, lambda w: w.edit(placement={"priority": 1})),),
    ),
    "suspended while it waits for a place": Scenario(
        obstacle=NO_ROOM,
        deeds=(
            (30, lambda w: w.edit(suspend=True)),
            (60, World.mend),
            (90, lambda w: w.edit(suspend=False)),
        ),
        attempts=2,
    ),
    "deleted while it waits for its image": Scenario(
        obstacle=NO_IMAGE, deeds=((30, lambda w: w.delete()),), ends=Phase.STOPPED
    ),
    "a program that says nothing": Scenario(
        run=a_run().foreign().limited_to(CAP), script=Script(silent=True, steps=300)
    ),
    "active deadline": Scenario(run=a_run().with_spec(activeDeadlineSeconds=60), ends=Phase.FAILED),
    "start refused, then mended": Scenario(
        deeds=(
            (0, lambda w: setattr(w, "refuses_starts", "quota of 0 GPUs")),
            (60, lambda w: setattr(w, "refuses_starts", "")),
            (60, lambda w: w.edit(placement={"priority": 1})),
        ),
        attempts=2,
    ),
    "verified at its end": Scenario(run=on_a_claim(), upkeep=SimulatedUpkeep),
    "verified at its end at the third try": Scenario(
        run=on_a_claim(), upkeep=lambda: SimulatedUpkeep(failing=frozenset({1, 2}))
    ),
    "broken at its end once": Scenario(run=on_a_claim(), upkeep=broken((1, 100)), attempts=2),
    "broken at its end each time": Scenario(
        run=on_a_claim(),
        upkeep=broken(*((attempt, 100) for attempt in range(1, 9))),
        ends=Phase.FAILED,
        attempts=4,
    ),
    "an older one broken at its end": Scenario(run=on_a_claim(), upkeep=broken((1, 90))),
    "suspended while it is verified, and broken": Scenario(
        run=on_a_claim(),
        upkeep=broken((1, 100)),
        deeds=((110, lambda w: w.edit(suspend=True)),),
        ends=Phase.SUSPENDED,
    ),
    "broken, held, verified by a person's word, then gone on with": Scenario(
        run=on_a_claim(),
        upkeep=broken((1, 100)),
        deeds=(
            (110, lambda w: w.edit(suspend=True)),
            (200, lambda w: w.annotate(VERIFY_CHECKPOINTS)),
            (300, lambda w: w.edit(suspend=False)),
        ),
        attempts=2,
    ),
    "stopped while it is verified": Scenario(
        run=on_a_claim(),
        upkeep=SimulatedUpkeep,
        deeds=((110, lambda w: w.annotate(STOP)),),
        ends=Phase.STOPPED,
    ),
    "deleted while it is verified": Scenario(
        run=on_a_claim(),
        upkeep=SimulatedUpkeep,
        deeds=((110, lambda w: w.delete()),),
        ends=Phase.STOPPED,
    ),
    "deleted with its checkpoints while it is verified": Scenario(
        run=on_a_claim(checkpoints={"whenDeleted": "Delete"}),
        upkeep=SimulatedUpkeep,
        deeds=((110, lambda w: w.delete()),),
        ends=Phase.STOPPED,
    ),
    "spec edited after a failure": Scenario(
        script=Script(fates={1: Fate(after_seconds=5, exit_code=11)}),
        deeds=((60, lambda w: w.edit(placement={"priority": 1})),),
        attempts=2,
    ),
}

FIRST = frozenset({
    "happy", "fail and retry", "suspend and resume", "budget stop", "budget lowered below what is spent", "delete while it runs", "hang", "preempt",
    "waits for a place, then gets it", "verified at its end",
})  # fmt: skip
"""Tried at every moment by `make check` already; all others by `make test`."""


def at_every_moment(names: Iterable[str] = SCENARIOS) -> list[str | ParameterSet]:
    """`names` for tests that try each moment of a scenario, which takes a second or more for each."""
    return [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in names]
