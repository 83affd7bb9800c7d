"""In which order places are tried: by the run's GPU types, by price, or by what a token is expected to cost there."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from lightcompute.core.estimate import gpu_flops
from lightcompute.core.facts import Facts
from lightcompute.core.snapshot import Offer

_LAST = float("inf")
_Rank = tuple[float, float, float, float, str, str, str, str]


def rank_of(facts: Facts) -> Callable[[Offer], _Rank]:
    """A key by which places are sorted, best first. What is equal in all that the run asks for is told apart by name.

    GPUOrder: types, regions, price. LowestPrice: price, types, regions. LowestExpectedCost: dollars a token, as far as the speed
    of the type can be told, price, types, regions.
    """
    wanted = facts.run.spec.placement
    slowness = _slowness(facts) if wanted.preference == "LowestExpectedCost" else None

    def rank(offer: Offer) -> _Rank:
        place, price = offer.place, float(offer.rate_per_hour)
        gpu_type, region = (
            float(_index(place.gpu_type, wanted.gpu_types)),
            float(_index(place.region, wanted.regions)),
        )
        names = (place.cluster, place.region, place.pool, place.gpu_type)
        if slowness is not None:
            return (_per_token(price, slowness(place.gpu_type)), price, gpu_type, region, *names)
        if wanted.preference == "LowestPrice":
            return (price, gpu_type, region, 0.0, *names)
        return (gpu_type, region, price, 0.0, *names)

    return rank


def _per_token(price: float, seconds: float) -> float:
    """Free is cheapest however slow it is, and what nobody knows the speed of comes last."""
    return _LAST if seconds == _LAST else price * seconds


def _index(name: str, names: tuple[str, ...]) -> int:
    return names.index(name) if name in names else len(names)


def _slowness(facts: Facts) -> Callable[[str], float]:
    """Seconds that a GPU type takes for some number of tokens, the same number for all types; infinite where nothing tells.

    What the run measured itself counts most. The rough model says how other types compare with the one measured last.
    """
    training, devices = facts.run.spec.training, facts.run.spec.trainer.devices
    measured: dict[str, float] = {}
    for attempt in facts.status.attempts:
        if attempt.tokens_per_second:
            measured.pop(attempt.place.gpu_type, None)  # the newest stands last
            measured[attempt.place.gpu_type] = attempt.tokens_per_second

    def modelled(gpu_type: str) -> float | None:
        return None if training is None else gpu_flops(gpu_type, devices, training)

    scale = 1.0
    for gpu_type, speed in measured.items():
        flops = modelled(gpu_type)
        if flops:
            scale = speed / flops

    @cache
    def seconds(gpu_type: str) -> float:
        known = measured.get(gpu_type)
        flops = modelled(gpu_type)
        if known is None:
            known = flops * scale if flops else None
        return 1 / known if known else _LAST

    return seconds
