"""How an attempt is seen: from the watches, from its log, and where certainty costs money, from the API server itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from lightcompute.api import labels
from lightcompute.api.status import Attempt, AttemptState
from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import PermanentFault
from lightcompute.core.snapshot import Child
from lightcompute.kube.children import Heard, Seen, child_of
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.curves_services import CurvesServices
from lightcompute.kube.family import Family
from lightcompute.kube.faults import NotFound
from lightcompute.kube.logs import TrainerLogs
from lightcompute.kube.manifests.marks import name_of
from lightcompute.kube.manifests.program import uses_torchrun
from lightcompute.kube.observed import TRAINER, SeenJob, SeenPod, kept_job, kept_pod
from lightcompute.kube.paths import CLAIMS, EVENTS, JOBS, PODS
from lightcompute.kube.pools import Home
from lightcompute.kube.troubles import newest_warning

PATIENCE = timedelta(seconds=10)
"""An attempt that has not begun so long after it was recorded is asked about by its Events, and one whose pods are over for so long, and
that does not end, by name."""


class Sight:
    """Sees the attempts of runs in one cluster."""

    def __init__(
        self,
        client: ClusterClient,
        family: Family,
        logs: TrainerLogs,
        curves: CurvesServices,
        home: Home,
    ) -> None:
        self._curves = curves
        self._client = client
        self._home = home
        self._family = family
        self._logs = logs

    async def child(self, run: TrainingRun, number: int) -> Child | None:
        """What is seen of the attempt `number`; None where there is nothing of it, for certain if it is live."""
        recorded = next((each for each in run.status.attempts if each.number == number), None)
        seen = self._seen(run, number)
        heard = Heard()
        if recorded is not None and recorded.is_live:
            seen = replace(seen, held=recorded.start_time is not None)
            if _must_be_certain(seen, recorded) or _is_over_untold(seen, self._client.now()):
                seen = await self._asked(run, seen)
            if not seen.is_gone and not seen.is_queued and _has_not_begun(seen):
                seen = replace(seen, told=await self._told(seen, recorded))
            heard = await self._heard(run, seen)
            seen = replace(seen, curves_served=self._curves.served(run, number))
        now = self._client.now()
        return child_of(seen, heard, through_torchrun=uses_torchrun(run), now=now)

    async def faults_of_claims(self, run: TrainingRun) -> tuple[str, ...]:
        """Which claims of the spec are not here, each a sentence."""
        return tuple(
            [text for name in _claims(run) if (text := await self._claim_fault(run, name))]
        )

    async def _claim_fault(self, run: TrainingRun, name: str) -> str:
        namespace = self._home.namespace_of(run)
        try:
            claim = await self._client.get(CLAIMS.named(namespace, name))
        except NotFound:
            return f"The claim {name} does not exist in namespace {namespace}. Create it, or name another."
        if claim["metadata"].get("deletionTimestamp"):
            return f"The claim {name} in namespace {namespace} is being deleted. Name another."
        return ""

    def _seen(self, run: TrainingRun, number: int) -> Seen:
        children = self._family.of(run.metadata.uid)
        return Seen(
            attempt=number,
            job=next((job for job in children.jobs.values() if job.owner.attempt == number), None),
            pods=_of_attempt(number, *children.pods.values()),
            departed=_of_attempt(number, *children.departed.values()),
        )

    async def _asked(self, run: TrainingRun, seen: Seen) -> Seen:
        """The attempt as the API server has it now, and what is remembered of pods that it does not have any more."""
        namespace = self._home.namespace_of(run)
        job: SeenJob | None = None
        with suppress(NotFound):
            path = JOBS.named(namespace, name_of(run, seen.attempt, TRAINER))
            job = kept_job(await self._client.get(path))
        selector = f"{labels.RUN_UID}={run.metadata.uid},{labels.ATTEMPT}={seen.attempt}"
        found = await self._client.get(PODS.within(namespace), [("labelSelector", selector)])
        pods = tuple(kept_pod(document) for document in found.get("items") or ())
        uids = {pod.uid for pod in pods}
        went = tuple(pod for pod in seen.pods if pod.uid not in uids)
        return replace(seen, job=job, pods=pods, departed=(*seen.departed, *went))

    async def _told(self, seen: Seen, recorded: Attempt) -> str:
        """The newest Warning about what keeps the attempt from beginning."""
        if self._client.now() < recorded.reserved_time + PATIENCE:
            return ""
        asked = seen.pods[0] if seen.pods else seen.job
        if asked is None:
            return ""
        query: list[tuple[str, str | int]] = [
            ("fieldSelector", f"involvedObject.uid={asked.uid}"),
            ("limit", 50),
        ]
        try:
            events = await self._client.get(EVENTS.within(asked.namespace), query)
        except PermanentFault:
            return ""
        return newest_warning(events.get("items") or ())

    async def _heard(self, run: TrainingRun, seen: Seen) -> Heard:
        """What the first rank said; all of it when the attempt is over."""
        if not run.spec.speaks_contract:
            return Heard()
        pods = (*seen.pods, *seen.departed)
        pod = next((pod for pod in pods if pod.index == 0), None)
        if pod is None:
            return Heard()
        if pod in seen.pods and pod.ended is not None:
            await self._logs.read_to_the_end(pod)
        elif pod.running:
            self._logs.follow(pod)
        return self._logs.heard(pod)


def _must_be_certain(seen: Seen, recorded: Attempt) -> bool:
    """Whether what is seen would end an attempt that may cost money."""
    nothing = seen.job is None and not seen.pods
    # One that was only recorded is created or adopted, whichever is the truth.
    return seen.is_gone and not (nothing and recorded.state is AttemptState.RESERVED)


def _is_over_untold(seen: Seen, now: datetime) -> bool:
    """Whether its pods have been over for a while and its Job tells nothing of it: a watch may have lost that."""
    job = seen.job
    if job is None or job.suspended or seen.is_gone or not seen.pods:
        return False
    ends = [pod.finished_time for pod in seen.pods if pod.is_over and pod.finished_time is not None]
    return len(ends) == len(seen.pods) >= job.completions and max(ends) + PATIENCE < now


def _has_not_begun(seen: Seen) -> bool:
    ranks = {pod.index for pod in (*seen.pods, *seen.departed)}
    if not seen.pods or (seen.job is not None and len(ranks) < seen.job.completions):
        return True
    return any(
        pod.scheduled_time is not None and pod.waiting is not None and not pod.running
        for pod in seen.pods
    )


def _of_attempt(number: int, *pods: SeenPod) -> tuple[SeenPod, ...]:
    found = [pod for pod in pods if pod.owner.attempt == number]
    return tuple(sorted(found, key=lambda pod: (pod.index, pod.name)))


def _claims(run: TrainingRun) -> tuple[str, ...]:
    claim = run.spec.storage.persistent_volume_claim
    named = () if claim is None else (claim.claim_name,)
    return (*named, *(volume.claim_name for volume in run.spec.trainer.volumes))
