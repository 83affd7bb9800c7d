"""Upkeep of checkpoints in one cluster: its Job is created, asked after and removed. Nothing watches: it is rare, and asked by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightcompute.api import labels
from lightcompute.api.status import Attempt
from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import TemporaryFault
from lightcompute.core.decision import StartUpkeep
from lightcompute.core.snapshot import SeenUpkeep, UpkeepState
from lightcompute.core.text import cut
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.faults import AlreadyExists, NotFound
from lightcompute.kube.manifests.upkeep import UPKEEP, upkeep_job, upkeep_name
from lightcompute.kube.paths import JOBS, PODS
from lightcompute.kube.pools import Home
from lightcompute.kube.settings import OperatorSettings
from runcontract.upkeep import UpkeepReport, UpkeepTask, read_upkeep_report


class Tender:
    """The upkeep Jobs of runs in one cluster."""

    def __init__(self, client: ClusterClient, settings: OperatorSettings, home: Home) -> None:
        self._client = client
        self._settings = settings
        self._home = home

    async def start(self, run: TrainingRun, start: StartUpkeep) -> None:
        """Creates the Job; where it exists it is this one, by its name."""
        job = upkeep_job(run, start, self._settings, home=self._home)
        try:
            await self._client.create(JOBS.within(self._home.namespace_of(run)), job)
        except AlreadyExists:
            return

    async def release(self, run: TrainingRun, number: int) -> None:
        """Deletes the Job with its pod."""
        await self._client.delete(self._path(run, number))

    async def seen(self, run: TrainingRun, number: int, task: UpkeepTask) -> SeenUpkeep:
        """What is seen of the upkeep `number` of the run."""
        try:
            job = await self._client.get(self._path(run, number))
        except NotFound:
            return SeenUpkeep(number=number, state=UpkeepState.ABSENT)
        status = job.get("status") or {}
        ends = {
            each["type"]: each
            for each in status.get("conditions") or ()
            if each["status"] == "True"
        }
        pod = await self._pod(run, job["metadata"]["uid"])
        report = _report(pod)
        if "Failed" in ends:
            said = report.message if report is not None else _why(ends["Failed"], pod)
            return SeenUpkeep(number=number, state=UpkeepState.FAILED, message=said)
        if "Complete" not in ends:
            return SeenUpkeep(number=number, state=UpkeepState.RUNNING, message=_waiting(pod))
        if report is None or not report.done or report.task is not task:
            said = "its pod left no report of it"
            return SeenUpkeep(number=number, state=UpkeepState.FAILED, message=said)
        return SeenUpkeep(
            number=number, state=UpkeepState.DONE, message=report.message, report=report
        )

    async def _pod(self, run: TrainingRun, job_uid: str) -> Document | None:
        query = [("labelSelector", f"{labels.UPKEEP_OF}={run.metadata.uid}")]
        found = await self._client.get(PODS.within(self._home.namespace_of(run)), query)
        for pod in found.get("items") or ():
            owners = pod["metadata"].get("ownerReferences") or ()
            if any(owner["uid"] == job_uid for owner in owners):
                return dict(pod)
        return None

    def _path(self, run: TrainingRun, number: int) -> str:
        return JOBS.named(self._home.namespace_of(run), upkeep_name(run, number))


def _container(pod: Document | None) -> dict[str, Any]:
    status = (pod or {}).get("status") or {}
    for each in status.get("containerStatuses") or ():
        if each["name"] == UPKEEP:
            return dict(each.get("state") or {})
    return {}


def _report(pod: Document | None) -> UpkeepReport | None:
    ended = _container(pod).get("terminated") or {}
    return read_upkeep_report(str(ended.get("message") or ""))


def _why(failed: Document, pod: Document | None) -> str:
    ended = _container(pod).get("terminated") or {}
    said = str(ended.get("message") or failed.get("message") or failed.get("reason") or "")
    return cut(f"its pod failed: {said}", 400)


def _waiting(pod: Document | None) -> str:
    if pod is None:
        return "its pod is not there yet"
    waiting = _container(pod).get("waiting")
    if waiting:
        return cut(
            f"its pod waits: {waiting.get('reason')} {waiting.get('message') or ''}".strip(), 400
        )
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each["type"] == "PodScheduled" and each["status"] == "False":
            return cut(f"its pod has no node: {each.get('message') or each.get('reason')}", 400)
    return "it is at work"


class Upkeeps:
    """Upkeep where it belongs: in the cluster where the newest attempt of the run was, or one that stands in for it."""

    def __init__(
        self, reached: Callable[[TrainingRun], Tender | None], unseen: Callable[[Attempt], str]
    ) -> None:
        """`reached` gives the cluster's, None where that cannot be reached, and `unseen` says why; both as the backend knows it."""
        self._reached = reached
        self._unseen = unseen

    async def seen(self, run: TrainingRun) -> SeenUpkeep:
        """What is seen of the upkeep on record; asked for only while it matters."""
        upkeep, attempts = run.status.upkeep, run.status.attempts
        if upkeep is None or not attempts or upkeep.state != "Requested":
            return SeenUpkeep(number=0, state=UpkeepState.ABSENT)
        try:
            tender = self._reached(run)
            if tender is not None:
                return await tender.seen(run, upkeep.number, upkeep.task)
            told = self._unseen(attempts[-1])
        except TemporaryFault as fault:
            told = str(fault)
        said = f"{attempts[-1].place.cluster} cannot be reached: {told}"
        return SeenUpkeep(number=upkeep.number, state=UpkeepState.UNREACHABLE, message=said)

    async def start(self, run: TrainingRun, start: StartUpkeep) -> None:
        """Has it begun; where that cannot be reached it is begun at a later look."""
        tender = self._reached(run)
        if tender is not None:
            await tender.start(run, start)

    async def release(self, run: TrainingRun, number: int) -> None:
        """Removes what is left of it; where that cannot be reached it removes itself in a while."""
        tender = self._reached(run) if run.status.attempts else None
        if tender is not None:
            await tender.release(run, number)
