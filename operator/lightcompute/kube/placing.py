"""Where each waiting run may go: pools as they stand, less what is reserved and what is kept for those before it in the line.

It counts and hands over; what is decided from it is `core` (`market`, `line`, `placement`). From the look at the pools to the moment
that a reservation is noted nothing else runs, so two runs never take the same GPU.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Place, Whereabouts
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.line import Line, Plan, Turn, Waiting, line_up
from lightcompute.core.market import Stall, StockOut, lined_up_for, need_of, offers_of
from lightcompute.core.room import Room
from lightcompute.core.seeking import waiting_of
from lightcompute.core.snapshot import Snapshot, Standing
from lightcompute.kube.atlas import Atlas
from lightcompute.kube.holds import Hold, Holds, hold_of
from lightcompute.kube.pools import Pool
from lightcompute.kube.seekers import Opened, Seekers
from lightcompute.kube.stock import Count
from lightcompute.kube.worker_cluster import WorkerCluster

STOCK_OUT = timedelta(seconds=300)
"""So long it is believed that a pool takes nothing in, when an attempt found that out."""
PLAN_SECONDS = 0.5
"""The line is gone through anew at most so often; what is really free is counted at each look."""


class Placing:
    """Offers to runs. `wake` is told of a waiting run that could be served now."""

    def __init__(
        self,
        atlas: Atlas,
        holds: Holds,
        pool: Pool,
        now: Callable[[], datetime],
        wake: Callable[[str], None],
    ) -> None:
        self._atlas = atlas
        self._holds = holds
        self._pool = pool
        """What there is while there are no clusters: nobody counts what is free in it."""
        self._now = now
        self._wake = wake
        self._line = Line()
        self._plan: Plan | None = None
        self._planned_at = 0.0
        self._stale = True
        self._seekers = Seekers()
        self._counts: dict[str, tuple[Count, ...]] = {}
        self._stock_outs: dict[Place, StockOut] = {}
        atlas.changed = self._changed
        holds.changed = self._held

    @property
    def waiting(self) -> int:
        """How many runs stand in the line."""
        return len(self._line)

    def pool(self, place: Place) -> Pool | None:
        """The pool at `place`."""
        return self._pool if place == self._pool.place else self._atlas.pool(place)

    def note(self, run: TrainingRun) -> None:
        """Takes in what the status of `run` says it holds, and what it found out about pools."""
        self.hold(run, run)
        for attempt in run.status.attempts[-1:]:
            if attempt.start_time is not None:
                known = self._stock_outs.get(attempt.place)
                if known is not None and attempt.start_time > known.time:
                    del self._stock_outs[attempt.place]
            if attempt.stop_reason == Reason.NO_CAPACITY and _is_plain(run):
                self._stocked_out(run, attempt.place, attempt.stop_time or attempt.reserved_time)

    def hold(self, run: TrainingRun, written: TrainingRun) -> None:
        """`run` holds what `written`, which is about to be its record or is it, says."""
        status = written.status
        live = status.attempts[-1] if status.attempts else None
        pool = None if live is None else self.pool(live.place)
        resource = "nvidia.com/gpu" if pool is None else pool.gpu_resource
        self._holds.put(run.metadata.uid, hold_of(run, status, resource))

    def gone(self, run_uid: str) -> None:
        """The run does not exist any more."""
        self._holds.put(run_uid, None)
        self._seekers.forget(run_uid)
        self._leave(run_uid)

    def looked_over(self, snapshot: Snapshot, missing: Mapping[str, str]) -> Snapshot:
        """`snapshot` with what there is for its run; `missing` names clusters that lack what it needs, and what that is."""
        run, now = snapshot.run, snapshot.now
        stalls = tuple(
            replace(stall, shut=(Reason.CLAIM_MISSING, missing[stall.place.cluster]))
            if stall.shut is None and stall.place.cluster in missing
            else stall
            for stall in self._stalls(now)
        )
        free = replace(snapshot, offers=offers_of(run, stalls, now=now))
        self._seekers.note(free)
        waiting = waiting_of(free, stalls)
        if waiting is None:
            self._leave(run.metadata.uid)
            return free
        offers = offers_of(run, stalls, now=now, turn=self._turn(waiting))
        standing = Standing(position=self._line.ahead(waiting) + 1, length=len(self._line))
        return replace(snapshot, offers=offers, line=standing)

    async def run(self) -> None:
        """Wakes those who could be served, as often as the line changes."""
        while True:
            await asyncio.sleep(PLAN_SECONDS)
            if not self._stale:
                continue
            for uid in self._seekers.told(self._opened()):
                self._wake(uid)
            if len(self._line):
                before = {} if self._plan is None else self._plan.turns
                after = self._planned().turns
                for uid, turn in after.items():
                    if turn.granted is not None and _granted(before, uid) != turn.granted:
                        self._wake(uid)

    # ---- the line -----------------------------------------------------------------------------------

    def _turn(self, waiting: Waiting) -> Turn:
        known = self._line.put(waiting)
        plan = self._plan
        old = time.monotonic() - self._planned_at >= PLAN_SECONDS
        if plan is None or (self._stale and old) or (known is not None and known != waiting):
            return self._planned().turns[waiting.uid]
        if waiting.uid in plan.turns:
            return plan.turns[waiting.uid]
        if plan.is_behind_all(waiting):
            return plan.add(waiting)
        return self._planned().turns[waiting.uid]

    def _planned(self) -> Plan:
        pools = lined_up_for(self._stalls(self._now()))
        self._plan = line_up(self._line.runs, pools)
        self._planned_at = time.monotonic()
        self._stale = False
        return self._plan

    def _leave(self, run_uid: str) -> None:
        if self._line.leave(run_uid) is not None:
            self._stale = True

    def _held(self, before: Hold | None, after: Hold | None) -> None:
        for hold in (before, after):
            if hold is not None:
                self._counts.pop(hold.place.cluster, None)
        if before is None and after is not None:
            known = self._line.leave(after.run_uid)
            turn = None if self._plan is None else self._plan.turns.get(after.run_uid)
            if known is not None and turn is not None and turn.granted == after.place:
                return  # as it was planned: everybody else's turn is what it was
        self._stale = True

    def _changed(self) -> None:
        self._counts.clear()
        self._stale = True

    # ---- the pools ----------------------------------------------------------------------------------

    def _stalls(self, now: datetime) -> tuple[Stall, ...]:
        if not len(self._atlas):
            return (
                Stall(
                    place=self._pool.place,
                    price_per_gpu_hour=self._pool.price_per_gpu_hour,
                    gpu_resource=self._pool.gpu_resource,
                    whereabouts=Whereabouts(),
                ),
            )
        return tuple(
            stall for worker in self._atlas.workers for stall in self._stalls_of(worker, now)
        )

    def _opened(self) -> dict[str, Opened]:
        return {
            worker.name: Opened(
                generation=worker.cluster.metadata.generation,
                nodes=sum(_nodes(count.whole) for count in self._counted(worker)),
            )
            for worker in self._atlas.workers
            if self._shut(worker) is None and self._counted(worker)
        }

    def _stalls_of(self, worker: WorkerCluster, now: datetime) -> tuple[Stall, ...]:
        counts = self._counted(worker)
        shut = self._shut(worker)
        if shut is None and not counts:
            shut = Reason.CLUSTER_UNREACHABLE, "its nodes are not known yet"
        padded = counts or (None,) * len(worker.pools)
        return tuple(
            Stall(
                place=pool.place,
                price_per_gpu_hour=pool.price_per_gpu_hour,
                gpu_resource=pool.gpu_resource,
                room=Room() if count is None else count.room,
                whole=Room() if count is None else count.whole,
                reserved=0 if count is None else count.reserved,
                namespaces=worker.cluster.spec.allowed_namespaces,
                shut=shut,
                stock_out=self._believed(pool.place, now),
                whereabouts=worker.whereabouts,
            )
            for pool, count in zip(worker.pools, padded, strict=True)
        )

    def _counted(self, worker: WorkerCluster) -> tuple[Count, ...]:
        counts = self._counts.get(worker.name)
        if counts is None:
            counts = self._counts[worker.name] = self._atlas.counts(worker)
        return counts

    def _shut(self, worker: WorkerCluster) -> tuple[Reason, str] | None:
        fault = self._atlas.fault_of(worker.name)
        if fault is not None:
            return Reason.CLUSTER_REFUSED, f"{fault[0]}: {fault[1]}"
        if not worker.reach.answers or worker.is_suspect:
            return Reason.CLUSTER_UNREACHABLE, f"{worker.reach.reason}: {worker.reach.message}"
        return None

    def _believed(self, place: Place, now: datetime) -> StockOut | None:
        out = self._stock_outs.get(place)
        if out is not None and now >= out.until:
            del self._stock_outs[place]
            return None
        return out

    def _stocked_out(self, run: TrainingRun, place: Place, time_: datetime) -> None:
        pool, known = self.pool(place), self._stock_outs.get(place)
        if pool is None or (known is not None and known.time >= time_):
            return
        need = need_of(run, pool.gpu_resource)
        self._stock_outs[place] = StockOut(
            label=run.label, need=need, time=time_, until=time_ + STOCK_OUT
        )
        self._stale = True


def _nodes(room: Room) -> int:
    return room.growth + sum(count for _, count in room.nodes)


def _granted(turns: Mapping[str, Turn], uid: str) -> Place | None:
    turn = turns.get(uid)
    return None if turn is None else turn.granted


def _is_plain(run: TrainingRun) -> bool:
    """Whether the run asks for nothing but GPUs: another one would have found the same."""
    trainer = run.spec.trainer
    given = trainer.resources_per_node
    return not (trainer.node_selector or trainer.volumes or given.requests or given.limits)
