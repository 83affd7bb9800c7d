"""Draws sequences: the same one for the same seed, whatever else is drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from lightcompute.api.reasons import Reason
from lightcompute.testing.trainer import NO_IMAGE, NO_POD, NO_ROOM, Fate, Script
from lightcompute.testing.troubles import Trouble
from support.sequences.setting import Sequence, Setting
from support.sequences.steps import (
    Cut,
    Delete,
    Kill,
    Limit,
    Obstruct,
    Price,
    Reedit,
    Step,
    Stop,
    Strike,
    Suspend,
    Wait,
)

_LOST = (Reason.PREEMPTED, Reason.EVICTED, Reason.NODE_LOST)
_WEIGHTS = {
    Limit: 16,
    Price: 12,
    Suspend: 8,
    Strike: 16,
    Cut: 10,
    Kill: 8,
    Obstruct: 8,
    Reedit: 3,
    Stop: 1,
    Delete: 1,
}
_RARELY = 0.03


def drawn(seed: int) -> Sequence:
    """The sequence of `seed`."""
    chance = Random(f"sequence {seed}")
    setting = _setting(chance)
    return Sequence(seed=seed, setting=setting, steps=tuple(_steps(chance, setting)))


def _span(chance: Random, least: float, most: float) -> float:
    """A time between the two in seconds, short ones as likely as long ones."""
    return round(math.exp(chance.uniform(math.log(least), math.log(most))), 3)


def _amount(chance: Random, least: float, most: float) -> int:
    return max(1, round(_span(chance, least, most) * 1_000_000))


def _setting(chance: Random) -> Setting:
    rates = tuple(_amount(chance, 0.01, 40) for _ in range(chance.choice((1, 1, 2))))
    skew = chance.choice((0, 0, 2, 10))
    return Setting(
        limit=max(1, round(rates[0] * _span(chance, 20, 3000) / 3600)),
        rates=rates,
        script=_restless(chance) if chance.random() < _RARELY else _script(chance),
        speaks_contract=chance.random() < 0.85,
        max_restarts=chance.randint(0, 6),
        active_seconds=chance.choice((None, None, None, None, chance.randint(20, 2000))),
        grace_seconds=chance.choice((1, 5, 30, 120)),
        skew_seconds=skew,
        ahead_seconds=chance.choice((-skew, skew, round(chance.uniform(-skew, skew), 3))),
        is_watched=chance.random() < 0.7,
        obstacle=chance.choice((*[None] * 9, NO_ROOM, NO_IMAGE, NO_IMAGE)),
        reading_seconds=chance.choice((0, 0, 20)),
    )


def _script(chance: Random) -> Script:
    return Script(
        steps=round(_span(chance, 1, 3000)),
        save_every=chance.randint(1, 100),
        save_seconds=round(chance.uniform(0, 40), 3),
        start_seconds=chance.choice((0.0, 0.5, 30.0)),
        deaf=chance.random() < 0.4,
        fates={number: _fate(chance) for number in range(1, 9) if chance.random() < 0.5},
    )


def _restless(chance: Random) -> Script:
    """Its machines are taken away again and again: more attempts than a status lists."""
    return Script(
        steps=3000,
        save_every=1,
        fates={
            number: Fate(
                after_seconds=_span(chance, 5, 60), exit_code=137, interruption=Reason.PREEMPTED
            )
            for number in range(1, 41)
        },
    )


def _fate(chance: Random) -> Fate:
    when = _span(chance, 0.1, 1000)
    match chance.randrange(6):
        case 0:
            return Fate(after_seconds=when, exit_code=chance.choice((1, 12, 13, 16, 3)))
        case 1:
            return Fate(after_seconds=when, signal=chance.choice((9, 11, 15)))
        case 2:
            return Fate(after_seconds=when, vanishes=True)
        case 3:
            return Fate(after_seconds=when, hangs=True)
        case 4:
            lost = chance.choice(_LOST)
            return Fate(after_seconds=when, exit_code=137, interruption=lost, cause="taken")
        case _:
            return Fate(after_seconds=when, exit_code=137, out_of_memory=chance.random() < 0.5)


def _steps(chance: Random, setting: Setting) -> Iterator[Step]:
    if chance.random() < _RARELY:
        # More changes of price than an attempt lists.
        for _ in range(chance.randint(15, 30)):
            yield _step(chance, setting, Price)
            yield Wait(seconds=_span(chance, 0.1, 60))
    kinds, weights = tuple(_WEIGHTS), tuple(_WEIGHTS.values())
    for _ in range(chance.randint(2, 9)):
        if chance.random() < 0.7:
            yield Wait(seconds=_span(chance, 0.1, 1500))
        yield _step(chance, setting, chance.choices(kinds, weights)[0])
    yield Wait(seconds=_span(chance, 1, 1500))


def _step(chance: Random, setting: Setting, kind: type[Step]) -> Step:
    number = chance.randrange(len(setting.rates))
    if kind is Limit:
        seconds = _span(chance, 5, 4000)
        amount = max(1, round(setting.rates[0] * seconds / 3600))
        return Limit(amount=None if chance.random() < 0.05 else amount)
    if kind is Price:
        return Price(place=number, rate=_amount(chance, 0.01, 40))
    if kind is Suspend:
        return Suspend(value=chance.random() < 0.5)
    if kind is Strike:
        trouble = chance.choice(tuple(Trouble))
        return Strike(calls=chance.randint(1, 6), trouble=trouble, seconds=_span(chance, 0.1, 3000))
    if kind is Cut:
        place = chance.choice((None, number))
        return Cut(place=place, seconds=_span(chance, 1, 5000))
    if kind is Kill:
        return Kill(down_seconds=_span(chance, 0.1, 10_000))
    if kind is Obstruct:
        return Obstruct(obstacle=chance.choice((None, None, None, NO_ROOM, NO_IMAGE, NO_POD)))
    return _deed(chance, kind)


def _deed(chance: Random, kind: type[Step]) -> Step:
    if kind is Reedit:
        return Reedit(priority=chance.randint(1, 1000))
    return Stop() if kind is Stop else Delete()
