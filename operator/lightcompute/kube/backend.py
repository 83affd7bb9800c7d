"""A cluster as a world for the loop: runs, Jobs and pods are observed from watches, decisions carried out by idempotent requests.

It decides nothing. Watches may lie by omission, so three things are asked of the API server itself: whether an attempt that
costs money is really gone, whether a run that conflicts has changed, and whether what was to be created exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from lightcompute.api import labels
from lightcompute.api.status import TrainingRunStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import Conflict, TemporaryFault
from lightcompute.core.decision import (
    Action,
    DeleteRun,
    Event,
    LetGo,
    ReleaseAttempt,
    RenewDeadline,
    StartAttempt,
    StopAttempt,
)
from lightcompute.core.snapshot import Child, ChildState, Offer, Snapshot
from lightcompute.kube.children import attempts_of
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.events import EventRecorder
from lightcompute.kube.family import Family
from lightcompute.kube.faults import NotFound
from lightcompute.kube.logs import TrainerLogs
from lightcompute.kube.observed import SeenJob, SeenPod, kept_job, kept_pod
from lightcompute.kube.paths import JOBS, PODS, RUNS
from lightcompute.kube.performing import Performer
from lightcompute.kube.reading import ReadRun, Unreadable
from lightcompute.kube.reflector import Reflector
from lightcompute.kube.runs import RunStore
from lightcompute.kube.settings import OperatorSettings
from lightcompute.kube.sight import Sight
from runcontract.base import API_VERSION

OURS = f"{labels.MANAGED_BY}=lightcompute,{labels.RUN_UID}"


class KubeBackend:
    """The runs of one API server. `key` is a run's UID; `wake` is told of one about which something changed."""

    def __init__(
        self,
        client: ClusterClient,
        settings: OperatorSettings,
        runs: RunStore,
        wake: Callable[[str], None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._runs = runs
        self.family = Family(wake)
        self.logs = TrainerLogs(
            client, reads_per_second=settings.log_reads_per_second, changed=wake
        )
        self.events = EventRecorder(client)
        self._sight = Sight(client, self.family, self.logs)
        self._performer = Performer(client, settings, self.family, runs)
        self.reflectors: tuple[Reflector[Any], ...] = tuple(
            reflector
            for namespace in settings.namespaces or (None,)
            for reflector in self._reflectors(namespace)
        )

    def _reflectors(self, namespace: str | None) -> tuple[Reflector[Any], ...]:
        jobs: Reflector[SeenJob] = Reflector(
            self._client,
            JOBS.within(namespace),
            keep=kept_job,
            changed=self.family.job_changed,
            selector=OURS,
        )
        pods: Reflector[SeenPod] = Reflector(
            self._client,
            PODS.within(namespace),
            keep=kept_pod,
            changed=self.family.pod_changed,
            selector=OURS,
        )
        return jobs, pods

    def background(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What runs beside the loop for ever: watches, the reading of logs, the writing of events."""
        return (
            *(reflector.run() for reflector in self.reflectors),
            self.logs.run(),
            self.events.run(),
        )

    async def synced(self) -> None:
        """Returns when every watch has listed what there is: before that nothing is known to be missing."""
        await asyncio.gather(*(reflector.synced.wait() for reflector in self.reflectors))

    async def observe(self, key: str) -> Snapshot | None:
        """The run as it was last seen, and its children."""
        await self.synced()
        try:
            read = self._runs.get(key)
        except Unreadable as fault:
            raise TemporaryFault(
                f"it cannot be read, so nothing is done about it: {fault}"
            ) from fault
        if read is None:
            self.family.forget(key)
            return None
        run = read.run
        children = await self._children(run)
        self._settle(run)
        return Snapshot(
            run=run,
            now=self._client.now(),
            children=children,
            offers=(self._offer(run),),
            tensorboard_url=self._tensorboard(run, children),
            faults=await self._faults(read),
            grace_seconds=self._settings.grace_seconds,
            clock_skew_seconds=self._settings.clock_skew_seconds,
        )

    async def record(self, run: TrainingRun, status: TrainingRunStatus) -> TrainingRun:
        """Writes the status if the run is still the version that was observed."""
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
            case StartAttempt():
                await self._performer.start(run, action)
            case StopAttempt(attempt=attempt, grace_seconds=grace_seconds):
                await self._performer.stop(run, attempt, grace_seconds)
            case RenewDeadline(attempt=attempt, deadline_seconds=deadline_seconds):
                await self._performer.renew(run, attempt, deadline_seconds)
            case ReleaseAttempt(attempt=attempt):
                await self._performer.release(run, attempt)
            case DeleteRun():
                await self._performer.delete(run)
            case LetGo(delete_checkpoints=delete_checkpoints):
                await self._performer.let_go(run, delete_checkpoints=delete_checkpoints)

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

    async def _children(self, run: TrainingRun) -> tuple[Child, ...]:
        known = self.family.of(run.metadata.uid)
        numbers = set(attempts_of(known.jobs.values(), known.pods.values()))
        live = {attempt.number for attempt in run.status.attempts if attempt.is_live}
        seen = [await self._sight.child(run, number) for number in sorted(numbers | live)]
        return tuple(child for child in seen if child is not None)

    def _settle(self, run: TrainingRun) -> None:
        """Last states of pods are kept until the end of their attempt is on record, and no longer."""
        attempts = run.status.attempts
        if not attempts:
            return
        newest = attempts[-1]
        ended = newest.number - 1 if newest.is_live else newest.number
        for pod_uid in self.family.settle(run.metadata.uid, ended):
            self.logs.forget(pod_uid)

    def _offer(self, run: TrainingRun) -> Offer:
        pool = self._settings.pool
        rate = pool.price_per_gpu_hour_usd * run.spec.trainer.devices
        return Offer(place=pool.place, rate_per_hour=rate)

    def _tensorboard(self, run: TrainingRun, children: tuple[Child, ...]) -> str | None:
        if not run.spec.tensorboard.enabled:
            return None
        if not any(child.state is ChildState.RUNNING for child in children):
            return None
        return f"lightcompute tensorboard {run.metadata.name} -n {run.metadata.namespace}"

    async def _faults(self, read: ReadRun) -> tuple[str, ...]:
        if read.faults:
            return read.faults
        return await self._sight.faults(read.run)
