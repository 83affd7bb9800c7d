"""One API server in which attempts run: what is seen of them there, and what is done about them there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from lightcompute.api import labels
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.snapshot import Child
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.curves_services import CurvesServices
from lightcompute.kube.family import Family
from lightcompute.kube.logs import TrainerLogs
from lightcompute.kube.observed import (
    TENSORBOARD,
    SeenJob,
    SeenPod,
    SeenService,
    kept_job,
    kept_pod,
    kept_service,
)
from lightcompute.kube.paths import JOBS, PODS, SERVICES, Kind
from lightcompute.kube.performing import Performer
from lightcompute.kube.pools import Home
from lightcompute.kube.reflector import Reflector
from lightcompute.kube.settings import OperatorSettings
from lightcompute.kube.sight import Sight
from lightcompute.kube.tending import Tender

OURS = f"{labels.MANAGED_BY}=lightcompute,{labels.RUN_UID}"


class Site:
    """Children of runs in one cluster; `wake` is told of a run about whose children something changed."""

    def __init__(
        self,
        client: ClusterClient,
        settings: OperatorSettings,
        home: Home,
        wake: Callable[[str], None],
    ) -> None:
        self.client = client
        self.home = home
        self.family = Family(wake)
        self.logs = TrainerLogs(
            client, reads_per_second=settings.log_reads_per_second, changed=wake
        )
        self.curves = CurvesServices(client, self.family, home, made=self._service_made)
        self.sight = Sight(client, self.family, self.logs, self.curves, home)
        self.performer = Performer(client, settings, self.family, home, made=self._job_made)
        self.tender = Tender(client, settings, home)
        self._jobs: dict[str, Reflector[SeenJob]] = {}
        """The watches of Jobs, by what they watch."""
        self._services: dict[str, Reflector[SeenService]] = {}
        """Those of TensorBoard's Services."""
        self.selector = OURS + (f",{labels.ORIGIN}={home.origin}" if home.origin else "")
        namespaces: Iterable[str | None] = settings.namespaces or (None,)
        if home.namespace is not None:
            namespaces = (home.namespace,)
        self.reflectors: tuple[Reflector[Any], ...] = tuple(
            reflector for namespace in namespaces for reflector in self._reflectors(namespace)
        )

    def _reflectors(self, namespace: str | None) -> tuple[Reflector[Any], ...]:
        jobs: Reflector[SeenJob] = Reflector(
            self.client,
            JOBS.within(namespace),
            keep=kept_job,
            changed=self.family.job_changed,
            selector=self.selector,
        )
        pods: Reflector[SeenPod] = Reflector(
            self.client,
            PODS.within(namespace),
            keep=kept_pod,
            changed=self.family.pod_changed,
            selector=self.selector,
        )
        services: Reflector[SeenService] = Reflector(
            self.client,
            SERVICES.within(namespace),
            keep=kept_service,
            changed=self.family.service_changed,
            selector=f"{self.selector},{labels.PURPOSE}={TENSORBOARD}",
        )
        self._jobs[JOBS.within(namespace)] = jobs
        self._services[SERVICES.within(namespace)] = services
        return jobs, pods, services

    def _job_made(self, document: Document) -> None:
        _take_in(self._jobs, JOBS, document)

    def _service_made(self, document: Document) -> None:
        _take_in(self._services, SERVICES, document)

    @property
    def is_synced(self) -> bool:
        """Whether everything that there is was listed once."""
        return all(reflector.synced.is_set() for reflector in self.reflectors)

    async def synced(self) -> None:
        """Returns when every watch has listed what there is: before that nothing is known to be missing."""
        await asyncio.gather(*(reflector.synced.wait() for reflector in self.reflectors))

    async def child(self, run: TrainingRun, number: int) -> Child | None:
        """What is seen of the attempt `number`, and what became of the last try to move its deadline; None where there is nothing of it."""
        child = await self.sight.child(run, number)
        fault = self.performer.deadline_fault(run, number)
        return replace(child, deadline_fault=fault) if child is not None and fault else child

    def settle(self, run_uid: str, attempt: int) -> None:
        """The end of `attempt` and all before it is on record: the last states and logs of their pods are forgotten."""
        for pod_uid in self.family.settle(run_uid, attempt):
            self.logs.forget(pod_uid)
        self.curves.forget(run_uid, attempt)


def _take_in(watches: Mapping[str, Reflector[Any]], kind: Kind, document: Document) -> None:
    """We created it: whichever watch will tell of it takes it in."""
    namespace = document["metadata"]["namespace"]
    for path, watch in watches.items():
        if path in {kind.within(None), kind.within(namespace)}:
            watch.made(document)
