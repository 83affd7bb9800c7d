"""What pools offer to a run: the place, its price, and why it cannot be had now. Pure; what is free was counted by whoever observes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lightcompute.api.money import MicroUSD
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Place, Whereabouts
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.line import Pools, Turn
from lightcompute.core.quantity import whole
from lightcompute.core.room import Need, Room
from lightcompute.core.snapshot import Offer
from lightcompute.core.text import clock


@dataclass(frozen=True, kw_only=True)
class StockOut:
    """A pool took an attempt not in, whatever its numbers said."""

    label: str
    need: Need
    time: datetime
    until: datetime
    """So long it is believed."""


@dataclass(frozen=True, kw_only=True)
class Stall:
    """A pool as it stands now."""

    place: Place
    price_per_gpu_hour: MicroUSD
    gpu_resource: str = ""
    room: Room | None = None
    """What is free and not reserved; None where nobody counts: then whoever asks is let in."""
    whole: Room | None = None
    """What would be free with nothing in it, grown to its full size."""
    reserved: int = 0
    """GPUs that are reserved and not held yet; for messages."""
    namespaces: tuple[str, ...] = ()
    """Namespaces whose runs may use it; all when empty."""
    shut: tuple[Reason, str] | None = None
    """Why nobody can use it now."""
    stock_out: StockOut | None = None
    whereabouts: Whereabouts | None = None
    """Where the children of an attempt would be."""


def need_of(run: TrainingRun, gpu_resource: str) -> Need:
    """What an attempt of `run` takes up where a GPU is asked for as `gpu_resource`."""
    trainer = run.spec.trainer
    given = trainer.resources_per_node
    asked = given.limits.get(gpu_resource) or given.requests.get(gpu_resource)
    gpus = trainer.num_proc_per_node if asked is None else whole(asked)
    return Need(pods=trainer.num_nodes, gpus=gpus if gpu_resource else 0)


def offers_of(
    run: TrainingRun, stalls: Iterable[Stall], *, now: datetime, turn: Turn | None = None
) -> tuple[Offer, ...]:
    """What each of them offers to `run`; with no `turn`, as if it stood first in the line and everything were free."""
    needs: dict[str, Need] = {}
    offers: list[Offer] = []
    for stall in stalls:
        need = needs.get(stall.gpu_resource)
        if need is None:
            need = needs[stall.gpu_resource] = need_of(run, stall.gpu_resource)
        reason, message = _unavailable(run, stall, need, now, turn) or (None, "")
        offers.append(
            Offer(
                place=stall.place,
                # For the GPUs that it holds, or its processes where it holds none.
                rate_per_hour=stall.price_per_gpu_hour * (need.total or run.spec.trainer.devices),
                unavailable=reason,
                message=message,
                whereabouts=stall.whereabouts,
            )
        )
    return tuple(offers)


def lined_up_for(stalls: Iterable[Stall]) -> Pools:
    """Those of them where what is free is counted."""
    rooms: dict[Place, Room] = {}
    whole: dict[Place, Room] = {}
    for stall in stalls:
        if stall.room is not None and stall.whole is not None:
            rooms[stall.place], whole[stall.place] = stall.room, stall.whole
    return Pools(rooms=rooms, whole=whole)


def _unavailable(
    run: TrainingRun, stall: Stall, need: Need, now: datetime, turn: Turn | None
) -> tuple[Reason, str] | None:
    namespace = run.metadata.namespace or ""
    if stall.namespaces and namespace not in stall.namespaces:
        allowed = ", ".join(stall.namespaces[:5])
        return Reason.NAMESPACE_NOT_ALLOWED, f"{namespace} is not among {allowed}"
    if stall.shut is not None:
        return stall.shut
    fits = stall.room is None or stall.room.holds(need)
    if not fits and stall.whole is not None and not stall.whole.holds(need):
        return Reason.TOO_LARGE, f"{need} GPUs are needed; it has {_size(stall.whole)} in all"
    if _is_stocked_out(stall, need, now):
        assert stall.stock_out is not None
        tried, until = clock(stall.stock_out.time), clock(stall.stock_out.until)
        told = f"it took {stall.stock_out.label} not in at {tried}; believed until {until}"
        return Reason.STOCKED_OUT, told
    return None if turn is None else _taken(stall, need, turn, fits=fits)


def _taken(stall: Stall, need: Need, turn: Turn, *, fits: bool) -> tuple[Reason, str] | None:
    if stall.room is not None and not fits:
        reserved = f", {stall.reserved} reserved" if stall.reserved else ""
        grows = f", {stall.room.growth} nodes may be added" if stall.room.growth else ""
        told = f"{stall.room.free} GPUs are free{reserved}{grows}; {need} are needed"
        return Reason.NO_CAPACITY, told
    if stall.place in turn.behind:
        whom = turn.behind[stall.place]
        return Reason.QUEUED_BEHIND, f"what is free is kept for {whom or 'runs before it'}"
    return None


def _is_stocked_out(stall: Stall, need: Need, now: datetime) -> bool:
    """A smaller run may find room where a larger one did not."""
    out = stall.stock_out
    return (
        out is not None
        and now < out.until
        and (need.gpus >= out.need.gpus or need.total >= out.need.total)
    )


def _size(room: Room) -> str:
    counts = [f"{count} x {gpus}" for gpus, count in reversed(room.nodes)]
    if room.growth:
        counts.append(f"{room.growth} x {room.gpus_per_node} to come")
    return ", ".join(counts) or "none"
