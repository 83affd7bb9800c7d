"""Clusters as a world for the loop: runs and their children are observed from watches, decisions carried out by idempotent requests.

It decides nothing. Watches may lie by omission, so three things are asked of the API server itself: whether an attempt that
costs money is really gone, whether a run that conflicts has changed, and whether what was to be created exists. What is in a
cluster that does not answer cannot be seen, and is said to be so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Attempt, TrainingRunStatus, Whereabouts
from lightcompute.api.training_cluster import Owed
from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import Conflict, PermanentFault, TemporaryFault
from lightcompute.core.decision import (
    Action,
    AttemptAction,
    DeleteRun,
    Event,
    LetGo,
    ReleaseAttempt,
    ReleaseUpkeep,
    RenewDeadline,
    ServeCurves,
    StartAttempt,
    StartUpkeep,
    StopAttempt,
    TellAttempt,
)
from lightcompute.core.snapshot import Child, ChildState, Snapshot
from lightcompute.kube.accounts import Accounts
from lightcompute.kube.atlas import Atlas
from lightcompute.kube.children import attempts_of
from lightcompute.kube.client import ClusterClient, Heard
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.curves_services import way_to_curves
from lightcompute.kube.events import EventRecorder
from lightcompute.kube.faults import NotFound
from lightcompute.kube.holding import Holder
from lightcompute.kube.holds import Holds
from lightcompute.kube.paths import RUNS
from lightcompute.kube.placing import Placing
from lightcompute.kube.pools import Home, pool_of_settings
from lightcompute.kube.reading import ReadRun, Unreadable
from lightcompute.kube.reflector import Reflector
from lightcompute.kube.runs import RunStore
from lightcompute.kube.settings import OperatorSettings
from lightcompute.kube.standing_in import tender_of
from lightcompute.kube.storage_faults import storage_faults
from lightcompute.kube.sweep import Sweep
from lightcompute.kube.tending import Upkeeps
from lightcompute.kube.worker_cluster import WorkerCluster
from runcontract.base import API_VERSION


class KubeBackend:
    """The runs of one API server, in all clusters. `key` is a run's UID; `wake` is told of one about which something changed."""

    def __init__(
        self,
        client: ClusterClient,
        settings: OperatorSettings,
        runs: RunStore,
        wake: Callable[[str], None],
        *,
        heard: Heard | None = None,
        swept: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._settings = settings
        self._runs = runs
        self.own = Site(client, settings, Home(), wake)
        self.events = EventRecorder(client)
        self._holder = Holder(client, runs)
        self._unsure: set[str] = set()
        """Runs whose last write may or may not have taken effect."""
        holds = Holds()
        self.atlas = Atlas(client, settings, self.own, holds, wake, heard)
        self.placing = Placing(self.atlas, holds, pool_of_settings(settings.pool), client.now, wake)
        self.accounts = Accounts(client, settings, runs, wake)
        self._upkeeps = Upkeeps(
            lambda run: tender_of(run, self._reached(run.status.attempts[-1]), self.atlas),
            lambda attempt: self._unseen(attempt).waiting,
        )
        self._sweep = Sweep(client, runs, self.atlas, removed=swept)

    @property
    def reflectors(self) -> tuple[Reflector[Any], ...]:
        """The watches of children in our own cluster."""
        return self.own.reflectors

    def background(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs beside the loop for ever: watches, the reading of logs, the writing of events, the other clusters."""
        return (
            *(reflector.run() for reflector in self.reflectors),
            self.own.logs.run(),
            self.events.run(),
            self.atlas.run(),
            self.placing.run(),
            self._sweep.run(),
            self.accounts.run(),
        )

    async def synced(self) -> None:
        """Returns when every watch of ours has listed what there is: before that nothing is known to be missing."""
        await asyncio.gather(
            self.own.synced(), self.atlas.listed.wait(), self.accounts.listed.wait()
        )

    async def begin(self) -> None:
        """Counts what every run holds, before the first of them is offered anything."""
        await self.synced()
        for number, key in enumerate(self._runs.keys()):
            try:
                read = self._runs.get(key)
            except Unreadable:
                continue  # nothing new is started for it, and the pods that it has are counted
            if read is not None:
                self.placing.note(read.run)
                self.accounts.note(read.run)
            if number % 50 == 0:
                await asyncio.sleep(0)

    async def observe(self, key: str) -> Snapshot | None:
        """The run as it was last seen, and its children."""
        await self.synced()
        read = await self._read(key)
        if read is None:
            self.own.family.forget(key)
            self.placing.gone(key)
            self.accounts.gone(key)
            return None
        run = read.run
        self.placing.note(run)
        self.accounts.note(run)
        children = await self._children(run)
        self._settle(run)
        faults, missing = read.faults, dict[str, str]()
        if not faults:
            faults, missing = await storage_faults(run, self.own, self.atlas)
        snapshot = Snapshot(
            run=run,
            now=self._client.now(),
            children=children,
            upkeep=await self._upkeeps.seen(run),
            tensorboard_url=way_to_curves(run, children),
            faults=faults,
            allowances=self.accounts.allowances(run),
            grace_seconds=self._settings.grace_seconds,
            clock_skew_seconds=self._settings.clock_skew_seconds,
        )
        # Nothing may be waited for from here until the decision is being recorded: what is offered is free now.
        return self.placing.looked_over(snapshot, missing)

    async def _read(self, key: str) -> ReadRun | None:
        try:
            read = self._runs.get(key)
            if key in self._unsure and read is not None:
                await self._look_again(read.run)
                self._unsure.discard(key)
                read = self._runs.get(key)
        except Unreadable as fault:
            raise TemporaryFault(
                f"it cannot be read, so nothing is done about it: {fault}"
            ) from fault
        return read

    async def record(self, run: TrainingRun, status: TrainingRunStatus) -> TrainingRun:
        """Writes the status if the run is still the version that was observed."""
        # Before anything is waited for: from now on nobody else is offered what it takes.
        self.placing.hold(run, run.with_status(status))
        self.accounts.hold(run, run.with_status(status))
        metadata = run.metadata
        path = RUNS.named(str(metadata.namespace), metadata.name, "status")
        body = {
            "apiVersion": API_VERSION,
            "kind": "TrainingRun",
            "metadata": {
                "name": metadata.name,
                "namespace": metadata.namespace,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            },
            "status": status.document(),
        }
        try:
            written = await self._client.replace(path, body)
        except NotFound as fault:
            self._runs.gone(metadata.uid)
            raise Conflict(f"{run.label} is gone") from fault
        except Conflict:
            await self._look_again(run)
            raise
        except PermanentFault:
            self.placing.hold(run, run)  # nothing was written
            self.accounts.hold(run, run)
            raise
        except TemporaryFault:
            self._unsure.add(metadata.uid)
            raise
        version = written["metadata"]["resourceVersion"]
        # Kept as it will be read: what does not survive the way there and back is not in the status.
        kept = TrainingRunStatus.model_validate(written["status"])
        recorded = run.with_status(kept).model_copy(
            update={"metadata": metadata.model_copy(update={"resource_version": version})}
        )
        self._runs.wrote(recorded)
        return recorded

    async def perform(self, run: TrainingRun, action: Action) -> None:
        """Carries `action` out; twice is the same as once."""
        try:
            await self._carry_out(run, action)
        except Conflict:
            await self._look_again(run)
            raise

    async def _carry_out(self, run: TrainingRun, action: Action) -> None:
        match action:
            case StartUpkeep():
                await self._upkeeps.start(run, action)
            case ReleaseUpkeep(number=number):
                await self._upkeeps.release(run, number)
            case DeleteRun():
                await self._holder.delete(run)
            case LetGo(owed_attempt=owed):
                if owed is not None:
                    await self._owe(run, owed)
                await self.accounts.depart(run)
                await self._holder.let_go(run)
                self.placing.gone(run.metadata.uid)
                self.accounts.gone(run.metadata.uid)
            case _:
                await self._do_to_attempt(run, action)

    async def _do_to_attempt(self, run: TrainingRun, action: AttemptAction) -> None:
        match action:
            case StartAttempt():
                await self._start(run, action)
            case StopAttempt(attempt=attempt, grace_seconds=grace_seconds):
                await self._site(run, attempt).performer.stop(run, attempt, grace_seconds)
            case RenewDeadline(attempt=attempt, deadline_seconds=deadline_seconds):
                await self._site(run, attempt).performer.renew(run, attempt, deadline_seconds)
            case TellAttempt(attempt=attempt):
                await self._site(run, attempt).performer.tell(run, action)
            case ServeCurves(attempt=attempt):
                trouble = await self._site(run, attempt).curves.serve(run, attempt)
                if trouble is not None:
                    self.events.add(run, trouble)
            case ReleaseAttempt(attempt=attempt):
                await self._release(run, attempt)

    async def _start(self, run: TrainingRun, start: StartAttempt) -> None:
        pool = self.placing.pool(start.place)
        if pool is None:
            raise TemporaryFault(f"the pool {start.place} is not offered any more")
        site = self._site(run, start.attempt)
        await self._holder.hold(run)
        await site.performer.start(run, start, pool)

    async def _release(self, run: TrainingRun, attempt: int) -> None:
        recorded = _recorded(run, attempt)
        if recorded is not None and self._reached(recorded) is None:
            return  # it is swept up when the cluster is there again
        await self._site(run, attempt).performer.release(run, attempt)

    async def _owe(self, run: TrainingRun, attempt: int) -> None:
        recorded = _recorded(run, attempt)
        if recorded is None:
            return
        owed = Owed(
            run=run.label,
            run_uid=run.metadata.uid,
            attempt=attempt,
            whereabouts=recorded.whereabouts,
            since=self._client.now().replace(microsecond=0),
        )
        await self.atlas.owe(recorded.place.cluster, owed)

    async def announce(self, run: TrainingRun, events: tuple[Event, ...]) -> None:
        """Hands the events over to be written."""
        for event in events:
            self.events.add(run, event)

    async def _look_again(self, run: TrainingRun) -> None:
        """Takes in what the run is now: the watch may be behind."""
        path = RUNS.named(str(run.metadata.namespace), run.metadata.name)
        try:
            document = await self._client.get(path)
        except NotFound:
            self._runs.gone(run.metadata.uid)
            return
        if document["metadata"]["uid"] != run.metadata.uid:
            self._runs.gone(run.metadata.uid)
        self._runs.seen(document)

    # ---- where attempts are -------------------------------------------------------------------------

    def _reached(self, attempt: Attempt) -> Site | None:
        """The site that `attempt` is in, if that can be seen now. Raises TemporaryFault where it only does not answer at this moment."""
        cluster = attempt.place.cluster
        worker = self.atlas.worker(cluster)
        if worker is None or worker.is_own:
            leads_here = worker is not None or cluster == self._settings.pool.cluster
            return self.own if leads_here and _is_there(attempt, Whereabouts()) else None
        if worker.is_suspect:
            raise TemporaryFault(f"the cluster {cluster} does not answer at this moment")
        # The name may lead elsewhere than when the attempt was placed: nothing of it there says nothing about it.
        is_seen = worker.reach.answers and _is_there(attempt, worker.whereabouts)
        return worker.site if is_seen else None

    def _site(self, run: TrainingRun, attempt: int) -> Site:
        """Where `attempt` is: where its record says, or else where something of it is seen. Raises TemporaryFault."""
        recorded = _recorded(run, attempt)
        if recorded is None:
            uid = run.metadata.uid
            return next(
                (site for site in self._sites() if attempt in _numbers(site, uid)), self.own
            )
        site = self._reached(recorded)
        if site is None:
            told = self._unseen(recorded).waiting
            raise TemporaryFault(f"the cluster {recorded.place.cluster} cannot be reached: {told}")
        return site

    def _sites(self) -> tuple[Site, ...]:
        """Our own, and every other that can be seen now."""
        others = (
            worker.site
            for worker in self.atlas.workers
            if not worker.is_own and worker.reach.answers and not worker.is_suspect
        )
        return (self.own, *(site for site in others if site is not None))

    async def _children(self, run: TrainingRun) -> tuple[Child, ...]:
        children: list[Child] = []
        uid = run.metadata.uid
        live = run.status.attempts[-1] if run.status.attempts else None
        if live is not None and live.is_live:
            site = self._reached(live)
            child = self._unseen(live) if site is None else await site.child(run, live.number)
            if child is not None:
                children.append(child)
        seen = {live.number} if live is not None and live.is_live else set[int]()
        for site in self._sites():
            for number in sorted(_numbers(site, uid) - seen):
                child = await site.child(run, number)
                if child is not None:
                    children.append(child)
                    seen.add(number)
        return tuple(sorted(children, key=lambda child: child.attempt))

    def _unseen(self, attempt: Attempt) -> Child:
        """An attempt in a cluster that cannot be reached, or that no TrainingCluster leads to any more."""
        worker: WorkerCluster | None = self.atlas.worker(attempt.place.cluster)
        if worker is None:
            reason, told = Reason.CLUSTER_UNKNOWN, Reason.CLUSTER_UNKNOWN.sentence
        elif worker.reach.answers:
            reason = Reason.ATTEMPT_ELSEWHERE
            told = f"it is {attempt.whereabouts}, and the TrainingCluster {worker.name} leads {worker.whereabouts}"
        else:
            reason = Reason.CLUSTER_UNREACHABLE
            told = f"{worker.reach.reason}: {worker.reach.message}"
        return Child(
            attempt=attempt.number,
            state=ChildState.UNKNOWN,
            start_time=attempt.start_time,
            waiting_reason=reason,
            waiting=told[:400],
        )

    def _settle(self, run: TrainingRun) -> None:
        """Last states of pods are kept until the end of their attempt is on record, and no longer."""
        attempts = run.status.attempts
        if not attempts:
            return
        newest = attempts[-1]
        ended = newest.number - 1 if newest.is_live else newest.number
        for site in self._sites():
            site.settle(run.metadata.uid, ended)


def _recorded(run: TrainingRun, attempt: int) -> Attempt | None:
    return next((each for each in run.status.attempts if each.number == attempt), None)


def _is_there(attempt: Attempt, whereabouts: Whereabouts) -> bool:
    """Whether its children are at `whereabouts`; where that is not on record, its place is believed."""
    return attempt.whereabouts in (None, whereabouts)


def _numbers(site: Site, run_uid: str) -> set[int]:
    """Attempts of the run of which anything is seen there."""
    known = site.family.of(run_uid)
    return set(attempts_of(known.jobs.values(), known.pods.values()))
