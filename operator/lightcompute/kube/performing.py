"""Carries decisions out in a cluster, each any number of times with the effect of one.

What is to exist is created under its one name, and adopted where it exists already and is ours by UID. What is to go is deleted
only if it is what was seen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from lightcompute.api import labels
from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.core.decision import StartAttempt, TellAttempt
from lightcompute.kube.children import late_seconds
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.creating import created
from lightcompute.kube.family import Family
from lightcompute.kube.faults import NotFound
from lightcompute.kube.manifests import manifests_of
from lightcompute.kube.manifests.attempt import ORDER
from lightcompute.kube.manifests.marks import name_of
from lightcompute.kube.manifests.pod import RENDEZVOUS
from lightcompute.kube.observed import TENSORBOARD, TRAINER, SeenJob
from lightcompute.kube.paths import CONFIG_MAPS, JOBS, PODS, SERVICES
from lightcompute.kube.pools import Home, Pool
from lightcompute.kube.settings import OperatorSettings

CONTROLLER_SECONDS = 5.0
"""So long the controller of a held Job has to ask its pods to leave, before we do."""
KILL_GRACE_SECONDS = 1
"""Zero would only strike the pod from the API server's list, and leave it running where its node cannot be reached."""


class Performer:
    """Does what decisions say."""

    def __init__(
        self,
        client: ClusterClient,
        settings: OperatorSettings,
        family: Family,
        home: Home,
        *,
        made: Callable[[Document], None] = lambda _: None,
    ) -> None:
        self._made = made
        """Told of each Job that was created, as the answer has it."""
        self._client = client
        self._settings = settings
        self._family = family
        self._home = home
        self._asked_at: dict[tuple[str, int], float] = {}
        """When Jobs were held by us."""
        self._deadline_faults: dict[tuple[str, int], str] = {}
        """Why the deadline of a Job could not be moved, until it is."""

    async def start(self, run: TrainingRun, start: StartAttempt, pool: Pool) -> None:
        """Creates the attempt's children on the nodes of `pool`, or finds that they exist. The run is held by our finalizer before.

        The Job comes last: an attempt that is seen is not started again, so what is missing then would be missing for ever.
        """
        start = _as_recorded(run, start, self._settings)
        manifests = manifests_of(run, start, self._settings, pool=pool, home=self._home)
        for config_map in manifests.config_maps:
            await created(self._client, CONFIG_MAPS, config_map)
        for service in manifests.services:
            await created(self._client, SERVICES, service)
        job = await created(self._client, JOBS, manifests.job)
        if job is not None:
            self._made(job)

    async def stop(self, run: TrainingRun, attempt: int, grace_seconds: int) -> None:
        """Holds the Job, whose controller then asks its pods to leave; none can come to be after that.

        Pods are asked by us where there is no Job (it was never created, or somebody deleted it), and where its controller did not.
        """
        path = JOBS.named(self._home.namespace_of(run), name_of(run, attempt, TRAINER))
        job = self._job(run, attempt)
        held = job is not None and (job.suspended or job.deleting) and not job.queue
        if self._has_a_queue(run, attempt):
            # Kueue would let it go on. One that is being deleted makes no pods, and stays until the last of them is gone.
            await self._client.delete(path, propagation="Foreground")
        elif not held:
            with suppress(NotFound):
                await self._client.patch(path, {"spec": {"suspend": True}})
        asked_at = self._asked_at.setdefault((run.metadata.uid, attempt), time.monotonic())
        ignored = held and time.monotonic() - asked_at >= CONTROLLER_SECONDS
        if grace_seconds == 0 or job is None or ignored:
            await self._delete_pods(run, attempt, grace_seconds or KILL_GRACE_SECONDS)

    async def renew(self, run: TrainingRun, attempt: int, deadline_seconds: int | None) -> None:
        """Moves the Job's own deadline, which counts from the Job's start and not from the attempt's."""
        path = JOBS.named(self._home.namespace_of(run), name_of(run, attempt, TRAINER))
        recorded = next((each for each in run.status.attempts if each.number == attempt), None)
        job = self._job(run, attempt)
        if job is None or recorded is None:
            raise TemporaryFault(f"the Job of attempt {attempt} of {run.label} cannot be seen")
        seconds = None
        if deadline_seconds is not None:
            seconds = max(1, deadline_seconds + late_seconds(job, recorded.start_time))
        try:
            await self._client.patch(path, {"spec": {"activeDeadlineSeconds": seconds}})
        except (TemporaryFault, PermanentFault) as fault:
            self._deadline_faults[run.metadata.uid, attempt] = str(fault)
            raise
        self._deadline_faults.pop((run.metadata.uid, attempt), None)

    def deadline_fault(self, run: TrainingRun, attempt: int) -> str:
        """Why the deadline of the attempt's Job could not be moved; empty where it could, or was not tried."""
        return self._deadline_faults.get((run.metadata.uid, attempt), "")

    async def tell(self, run: TrainingRun, told: TellAttempt) -> None:
        """Gives the pods their annotations, which the kubelet has in their files within a minute or two."""
        notes = {
            labels.CHECKPOINT_NOW: told.checkpoint_now,
            labels.PINNED_CHECKPOINTS: told.pins,
        }
        for pod in self._family.of(run.metadata.uid).pods.values():
            if pod.owner.attempt == told.attempt and not pod.is_over:
                body = {"metadata": {"uid": pod.uid, "annotations": notes}}
                with suppress(NotFound):
                    await self._client.patch(PODS.named(pod.namespace, pod.name), body)

    async def release(self, run: TrainingRun, attempt: int) -> None:
        """Removes what is left of an attempt that is gone. The Job goes last, since it is what the rest is found by."""
        namespace = self._home.namespace_of(run)
        self._asked_at.pop((run.metadata.uid, attempt), None)
        self._deadline_faults.pop((run.metadata.uid, attempt), None)
        if run.spec.training is not None:
            await self._client.delete(CONFIG_MAPS.named(namespace, name_of(run, attempt, ORDER)))
        if run.spec.trainer.num_nodes > 1:
            await self._client.delete(SERVICES.named(namespace, name_of(run, attempt, RENDEZVOUS)))
        if run.spec.tensorboard.enabled or self._is_served(run, attempt):
            await self._client.delete(SERVICES.named(namespace, name_of(run, attempt, TENSORBOARD)))
        await self._client.delete(JOBS.named(namespace, name_of(run, attempt, TRAINER)))

    async def _delete_pods(self, run: TrainingRun, attempt: int, grace_seconds: int) -> None:
        pods = self._family.of(run.metadata.uid).pods.values()
        await asyncio.gather(
            *(
                self._client.delete(
                    PODS.named(pod.namespace, pod.name), uid=pod.uid, grace_seconds=grace_seconds
                )
                for pod in pods
                if pod.owner.attempt == attempt and not pod.is_over
            )
        )

    def _is_served(self, run: TrainingRun, attempt: int) -> bool:
        """Its TensorBoard may have been turned off since it began."""
        services = self._family.of(run.metadata.uid).services.values()
        return any(each.owner.attempt == attempt for each in services)

    def _job(self, run: TrainingRun, attempt: int) -> SeenJob | None:
        jobs = self._family.of(run.metadata.uid).jobs.values()
        return next((job for job in jobs if job.owner.attempt == attempt), None)

    def _has_a_queue(self, run: TrainingRun, attempt: int) -> bool:
        job = self._job(run, attempt)
        if job is not None:
            return bool(job.queue)
        return any(each.queue_name for each in run.status.attempts if each.number == attempt)


def _as_recorded(run: TrainingRun, start: StartAttempt, settings: OperatorSettings) -> StartAttempt:
    """`start` with the grace that its record has.

    A CRD of before drops it there: from then on its end is paid for by the setting, so that is what its pods may take.
    """
    recorded = (each for each in run.status.attempts if each.number == start.attempt)
    if any(each.grace_seconds is None for each in recorded):
        return replace(start, grace_seconds=settings.grace_seconds)
    return start
