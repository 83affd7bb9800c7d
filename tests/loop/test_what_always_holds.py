"""Random runs, fates, edits, crashes and losses on the simulator, and what must hold at every moment of them."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from lightcompute.api.labels import STOP
from lightcompute.api.money import format_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.status import TrainingRunStatus
from lightcompute.core.budget import limit_of
from lightcompute.core.decide import decide
from lightcompute.core.decision import StopAttempt
from lightcompute.core.ledger import total_cost
from lightcompute.loop import look
from lightcompute.testing.builders import HERE, a_run, an_offer
from lightcompute.testing.drive import Deed, drive
from lightcompute.testing.trainer import NO_IMAGE, NO_POD, NO_ROOM, Fate, Obstacle, Script
from lightcompute.testing.troubles import Trouble
from lightcompute.testing.world import World, a_world

seconds = st.floats(0, 400, allow_nan=False).map(lambda value: round(value, 3))
rates = st.integers(1, 40_000_000)
limits = st.integers(1, 2_000_000).map(format_usd)


@st.composite
def fates(draw: st.DrawFn) -> Fate:
    when = draw(seconds)
    match draw(st.integers(0, 5)):
        case 0:
            return Fate(after_seconds=when, exit_code=draw(st.sampled_from([1, 12, 13, 16, 3])))
        case 1:
            return Fate(after_seconds=when, signal=draw(st.sampled_from([9, 11, 15])))
        case 2:
            return Fate(after_seconds=when, vanishes=True)
        case 3:
            return Fate(after_seconds=when, hangs=True)
        case 4:
            lost = draw(st.sampled_from([Reason.PREEMPTED, Reason.EVICTED, Reason.NODE_LOST]))
            return Fate(after_seconds=when, exit_code=137, interruption=lost, cause="it was taken")
        case _:
            return Fate(after_seconds=when, exit_code=137, out_of_memory=draw(st.booleans()))


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    return Script(
        steps=draw(st.integers(1, 400)),
        save_every=draw(st.integers(1, 100)),
        save_seconds=draw(st.floats(0, 40)),
        start_seconds=draw(st.sampled_from([0.0, 0.5, 30.0])),
        deaf=draw(st.booleans()),
        fates=draw(st.dictionaries(st.integers(1, 6), fates(), max_size=5)),
    )


def set_limit(limit: str) -> Any:
    return lambda world: world.edit(budget={"limitUSD": limit})


def suspend(value: bool) -> Any:
    return lambda world: world.edit(suspend=value)


def reach(value: bool) -> Any:
    return lambda world: setattr(world, "reachable", value)


def obstruct(obstacle: Obstacle | None) -> Any:
    return World.mend if obstacle is None else lambda w: setattr(w, "obstacle", obstacle)


obstacles = st.sampled_from([None, NO_ROOM, NO_IMAGE, NO_POD])
harmless_deeds = st.one_of(
    obstacles.map(obstruct),
    st.booleans().map(suspend),
    st.booleans().map(reach),
    st.just(lambda world: world.annotate(STOP)),
    st.just(lambda world: world.delete()),
)
troubles = st.dictionaries(st.integers(1, 40), st.sampled_from(list(Trouble)), max_size=6)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, list[Deed]]:
    rate = draw(rates)
    run = (
        a_run()
        .limited_to(draw(limits))
        .with_spec(
            progressDeadlineSeconds=60,
            failurePolicy={"maxRestarts": draw(st.integers(0, 4))},
        )
    )
    world = a_world(
        run,
        script=draw(scripts()),
        offers=(an_offer(format_usd(rate), any_placement=True),),
        troubles=draw(troubles),
        obstacle=draw(st.none() | obstacles),
        reading_seconds=draw(st.sampled_from([0, 0, 20])),
        cut_seconds=draw(st.sampled_from([7, 200, 2500])),
    )
    deeds = draw(st.lists(st.tuples(seconds, harmless_deeds), max_size=4))
    # In the end everything can be reached again: a run whose place is lost for ever is another test.
    return world, [*deeds, (900.0, reach(True))]


@given(worlds(), st.sampled_from([0.0, 3.0, 500.0]))
@settings(max_examples=60)
def test_the_cap_holds_whatever_happens(world_and_deeds: Any, down_seconds: float) -> None:
    world, deeds = world_and_deeds
    seen: list[TrainingRunStatus] = []
    watched(world, seen)
    journey = drive(world, deeds=deeds, down_seconds=down_seconds)
    limit = limit_of(world.run) or 0
    assert journey.worst_excess == 0, "true cost passed the cap"
    for status in seen:
        assert status.cost.spent_usd + status.cost.reserved_usd <= limit
    event(f"ends {world.run.status.phase}")
    event(f"attempts {len(world.attempts)}")


@given(worlds())
@settings(max_examples=50)
def test_the_ledger_never_falls_and_charges_at_least_what_it_cost(world_and_deeds: Any) -> None:
    world, deeds = world_and_deeds
    drive(world, deeds=deeds)  # asserts that spent never falls between two writes
    charged = total_cost(world.run.status, world.now)
    true = world.true_cost()
    assert charged >= true
    if not world.live_attempts():
        assert world.run.status.cost.spent_usd == charged, "recomputed from the attempts"


@given(worlds(), seconds)
@settings(max_examples=50)
def test_looking_again_at_the_same_world_does_nothing(world_and_deeds: Any, stop_at: float) -> None:
    world, deeds = world_and_deeds
    drive(world, deeds=deeds, until_seconds=stop_at)
    world.troubles, world.reachable, world.cut_until = {}, True, world.now

    async def settle() -> None:
        for _ in range(4):
            await look(world, world.run.metadata.uid)

    if not world.gone:
        asyncio.run(settle())
    if not world.gone:
        snapshot = asyncio.run(world.observe(world.run.metadata.uid))
        assert snapshot is not None
        # Nothing tells that an attempt was killed but its end: until that is seen it is killed again.
        kills = [
            action
            for action in decide(snapshot).actions
            if isinstance(action, StopAttempt) and action.grace_seconds == 0
        ]
        calls = world.calls
        done = asyncio.run(look(world, world.run.metadata.uid))
        assert not done.changed
        assert world.calls == calls + len(kills)


@given(worlds(), seconds)
@settings(max_examples=50)
def test_the_same_snapshot_gives_the_same_decision(world_and_deeds: Any, stop_at: float) -> None:
    world, deeds = world_and_deeds
    drive(world, deeds=deeds, until_seconds=stop_at)
    if world.gone:
        return
    snapshot = asyncio.run(world.observe(world.run.metadata.uid))
    assert snapshot is not None
    assert decide(snapshot) == decide(snapshot)


@given(
    st.lists(st.tuples(seconds, st.one_of(limits.map(set_limit), rates)), max_size=5),
    scripts(),
    rates,
    limits,
)
@settings(max_examples=60)
def test_edits_of_limit_and_price_overshoot_by_no_more_than_the_stated_bound(
    changes: list[tuple[float, Any]], script: Script, rate: int, limit: str
) -> None:
    """Lowering the cap or a dearer price cannot undo what is spent; from then on only the end itself may cost more."""
    world = a_world(
        a_run().limited_to(limit),
        script=script,
        offers=(an_offer(format_usd(rate), any_placement=True),),
    )
    seen: list[tuple[int, TrainingRunStatus]] = []
    highest: list[int] = [rate]

    def change(value: Any) -> Any:
        def deed(world: World) -> None:
            if callable(value):
                value(world)
                return
            highest.append(value)
            world.price(HERE, value)

        return deed

    watched_costs(world, seen)
    drive(world, deeds=[(when, change(value)) for when, value in changes])
    bound = -(-max(highest) * (world.grace_seconds + 2) // 3600)
    for spent_before, status in seen:
        limit_now = status.cost.limit_usd or 0
        # Whatever was spent when the cap was cut stays spent; nothing beyond the bound is added to it.
        assert status.cost.spent_usd <= max(limit_now, spent_before) + bound


def watched(world: World, seen: list[TrainingRunStatus]) -> None:
    """Collects every status that is written."""
    plain = world.record

    async def record(run: Any, status: TrainingRunStatus) -> Any:
        recorded = await plain(run, status)
        seen.append(recorded.status)
        return recorded

    world.record = record  # type: ignore[method-assign]


def watched_costs(world: World, seen: list[tuple[int, TrainingRunStatus]]) -> None:
    """Collects every status that is written, with what was spent when its limit or price was first seen."""
    plain = world.record
    known: dict[str, Any] = {"terms": None, "spent": 0}

    async def record(run: Any, status: TrainingRunStatus) -> Any:
        recorded = await plain(run, status)
        terms = (status.cost.limit_usd, status.cost.rate_per_hour_usd)
        if terms != known["terms"]:
            known.update(terms=terms, spent=status.cost.spent_usd)
        seen.append((known["spent"], recorded.status))
        return recorded

    world.record = record  # type: ignore[method-assign]
