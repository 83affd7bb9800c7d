"""One TrainingCluster at work: its connection, the watches in it, and whether it can be relied on now.

A cluster that does not answer for a moment is only not asked: looks at runs that are there come to nothing and nothing changes. After
UNREACHABLE_SECONDS it counts as unreachable: what runs there can no longer be seen, is charged on, and is replaced by nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kubernetes.aio.client import Configuration

from lightcompute.api.reasons import Reason
from lightcompute.api.status import Whereabouts
from lightcompute.api.training_cluster import TrainingCluster
from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.client import ClusterClient, Document, Heard
from lightcompute.kube.cluster_site import Site
from lightcompute.kube.connection import why_unusable
from lightcompute.kube.credentials import Credentials, Found
from lightcompute.kube.kubeconfig import Unusable
from lightcompute.kube.paths import NAMESPACES
from lightcompute.kube.pools import Home, Pool, pools_of
from lightcompute.kube.reflector import Reflector
from lightcompute.kube.settings import OperatorSettings
from lightcompute.kube.stock import Stock

logger = logging.getLogger(__name__)

PROBE_SECONDS = 10.0
PROBE_AGAIN_SECONDS = 2.0
"""Time to the next probe after one that failed."""
UNREACHABLE_SECONDS = 30.0
"""A cluster that has not answered for so long counts as unreachable."""
TIMEOUT_SECONDS = 10.0
"""So long another cluster may take for an answer."""
RIGHTS_SECONDS = 600.0
"""So often it is asked again what we may do there."""
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_NEEDED: tuple[tuple[str, str, str], ...] = (
    *((verb, "batch", "jobs") for verb in ("get", "list", "watch", "create", "patch", "delete")),
    *((verb, "", "pods") for verb in ("list", "watch", "delete")),
    ("get", "", "pods/log"),
    *((verb, "", "configmaps") for verb in ("get", "list", "create", "delete")),
    *((verb, "", "services") for verb in ("get", "list", "watch", "create", "delete")),
    ("get", "", "persistentvolumeclaims"),
    ("list", "", "events"),
)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Whether the cluster answers."""

    reason: Reason = Reason.CLUSTER_SYNCING
    message: str = "it has not been asked yet"
    version: str = ""
    latency_milliseconds: int | None = None

    @property
    def answers(self) -> bool:
        """Whether what is seen of it is what there is."""
        return self.reason is Reason.CLUSTER_ANSWERS


class WorkerCluster:
    """What is known of the cluster that `cluster` names, and the tasks that keep it known."""

    def __init__(
        self,
        cluster: TrainingCluster,
        *,
        own: Site,
        settings: OperatorSettings,
        origin: str,
        wake: Callable[[str], None],
        changed: Callable[[], None],
        heard: Heard | None = None,
    ) -> None:
        self.cluster = cluster
        self.pools = pools_of(cluster)
        self._own = own
        self._settings = settings
        self._origin = origin
        self._wake = wake
        self._changed = changed
        self._heard = heard
        self.site: Site | None = own if cluster.spec.connection.in_cluster else None
        self.stock: Stock | None = None
        self.reach = Reach()
        self._begun_at = time.monotonic()
        self._answered_at: float | None = None
        self._trouble: Unusable | None = None
        """What the last probe failed by; None when it did not."""
        self._is_deaf = False
        """Whether the last probe got no answer, or one that was no use to us."""
        self._credentials = self._new_credentials()
        self.uid = ""
        """UID of its namespace kube-system: which cluster it is, whatever it is called."""
        self._rights_at = 0.0

    @property
    def name(self) -> str:
        """Its name."""
        return self.cluster.metadata.name

    @property
    def is_own(self) -> bool:
        """Whether it is the cluster that the operator works for."""
        return self.cluster.spec.connection.in_cluster

    @property
    def whereabouts(self) -> Whereabouts:
        """Where children of runs are in it; only what answers is known to be the cluster that it was."""
        if self.is_own:
            return Whereabouts()
        return Whereabouts(cluster_uid=self.uid, namespace=str(self.cluster.spec.namespace))

    @property
    def is_suspect(self) -> bool:
        """Whether it does not answer at this moment, and did a short while ago, or began to be asked no longer ago than that."""
        if self.reach.answers:
            return self._trouble is not None
        unknown = self._answered_at is None or self.reach.reason is Reason.CLUSTER_SYNCING
        return unknown and time.monotonic() - self._begun_at < UNREACHABLE_SECONDS

    def pool(self, name: str) -> Pool | None:
        """The pool `name`."""
        return next((pool for pool in self.pools if pool.place.pool == name), None)

    def takes(self, cluster: TrainingCluster) -> bool:
        """Goes on with a changed spec; False where it must be begun anew."""
        before, after = self.cluster.spec, cluster.spec
        if (before.connection, before.namespace) != (after.connection, after.namespace):
            return False
        if [_counted(pool) for pool in self.pools] != [
            _counted(pool) for pool in pools_of(cluster)
        ]:
            return False
        self.cluster, self.pools = cluster, pools_of(cluster)
        if self.stock is not None:
            self.stock.pools = self.pools
        self._changed()
        return True

    async def run(self) -> None:
        """Connects, watches and probes, for ever. Begun anew it knows nothing of before but which cluster it is."""
        self._credentials = self._new_credentials()
        self._begun_at, self._answered_at, self._rights_at = time.monotonic(), None, 0.0
        self.reach = Reach()
        with TemporaryDirectory(prefix="lightcompute-") as folder:
            client = await self._connected(Path(folder))
            try:
                async with asyncio.TaskGroup() as group:
                    for each in self._watching(client):
                        group.create_task(each)
                    group.create_task(self._probing(client, Path(folder)))
            finally:
                if not self.is_own:
                    await client.close()

    def _watching(self, client: ClusterClient) -> tuple[Coroutine[Any, Any, None], ...]:
        self.stock = Stock(client, self.pools, self._changed)
        counting = tuple(reflector.run() for reflector in self.stock.reflectors)
        if self.is_own:
            return counting
        home = Home(namespace=self.cluster.spec.namespace, origin=self._origin)
        site = Site(client, self._settings, home, self._wake)
        self.site = site
        return (*counting, *(reflector.run() for reflector in site.reflectors), site.logs.run())

    # ---- connection ---------------------------------------------------------------------------------

    async def _connected(self, folder: Path) -> ClusterClient:
        if self.is_own:
            return self._own.client
        found: Found | None = None
        while found is None:
            try:
                found = await self._credentials.newer(folder)
            except Unusable as trouble:
                self._judge(trouble)
            except TemporaryFault as fault:
                self._judge(Unusable(Reason.SECRET_MISSING, str(fault)[:600]))
            if found is None:
                await asyncio.sleep(self._wait_seconds())
        self._credentials.taken(found)
        client = self._client(found.connection.configuration)
        client.guard = self._own.client.guard
        return client

    def _new_credentials(self) -> Credentials:
        return Credentials(self._own, self.cluster.spec.connection, self._settings)

    def _client(self, configuration: Configuration) -> ClusterClient:
        return ClusterClient(
            configuration,
            requests_per_second=self._settings.requests_per_second,
            burst=round(2 * self._settings.requests_per_second),
            heard=self._heard,
            timeout_seconds=TIMEOUT_SECONDS,
        )

    # ---- whether it answers -------------------------------------------------------------------------

    async def _probing(self, client: ClusterClient, folder: Path) -> None:
        while True:
            try:
                await self._probe(client, folder)
                self._judge(None)
            except Unusable as trouble:
                self._judge(trouble)
            if self._trouble is not None and self._trouble.reason is Reason.CREDENTIALS_REFUSED:
                self._credentials.refused()
            await asyncio.sleep(self._wait_seconds())

    def _wait_seconds(self) -> float:
        """Time to the next try; a program that failed is no cheaper to run than a good one."""
        trouble = self._trouble
        if trouble is None:
            return PROBE_SECONDS if self.reach.answers else PROBE_AGAIN_SECONDS
        return PROBE_SECONDS if trouble.reason is Reason.EXEC_FAILED else PROBE_AGAIN_SECONDS

    async def _probe(self, client: ClusterClient, folder: Path) -> None:
        """Raises Unusable unless all is well with the connection."""
        was_deaf, self._is_deaf = self._is_deaf, True
        try:
            if not self.is_own:
                await self._renew(client, folder)
            began = time.monotonic()
            version = await client.get("/version")
            took = time.monotonic() - began
            if not self.uid:
                await self._check_identity(client)
            if not self.is_own:
                await self._check_rights(client)
        except (TemporaryFault, PermanentFault) as fault:
            raise why_unusable(fault) from fault
        self._is_deaf = False
        if was_deaf:
            # What watches could not do is done now, and not when their own long wait is over.
            for reflector in self._reflectors():
                reflector.hurry()
        self.reach = replace(
            self.reach,
            version=str(version.get("gitVersion") or "")[:64],
            latency_milliseconds=_rounded(took),
        )
        for reflector in self._reflectors():
            if isinstance(reflector.fault, PermanentFault):
                raise why_unusable(reflector.fault)

    async def _renew(self, client: ClusterClient, folder: Path) -> None:
        """Takes up a changed Secret, once it is certain that it leads to the same cluster."""
        try:
            found = await self._credentials.newer(folder)
        except TemporaryFault:
            return  # our own server does not answer: the credentials of before may do
        if found is None:
            return
        trial = self._client(found.connection.configuration)
        try:
            await self._check_identity(trial)
        finally:
            await trial.close()
        await client.use(found.connection.configuration)
        self._credentials.taken(found)
        self._rights_at = 0.0
        logger.info("The credentials of the cluster %s were renewed.", self.name)

    async def _check_identity(self, client: ClusterClient) -> None:
        """Another cluster behind the same name would make everything that runs in the first one look gone."""
        found = await client.get(NAMESPACES.named("kube-system"))
        uid = str(found["metadata"]["uid"])
        known = self.uid or self.cluster.status.cluster_uid
        if known and uid != known:
            raise Unusable(
                Reason.CLUSTER_REPLACED,
                f"the kubeconfig leads to cluster {uid}, and this TrainingCluster is of {known}",
            )
        self.uid = uid

    async def _check_rights(self, client: ClusterClient) -> None:
        """Asks what we may do there, before an attempt fails by it."""
        if time.monotonic() < self._rights_at:
            return
        missing = [right for right in _NEEDED if not await self._may(client, *right)]
        if missing:
            verb, group, resource = missing[0]
            told = f"the account may not {verb} {resource}{group and '.'}{group} in namespace {self.cluster.spec.namespace}"
            more = f", and {len(missing) - 1} rights more are missing" if len(missing) > 1 else ""
            raise Unusable(Reason.RIGHTS_MISSING, told + more)
        self._rights_at = time.monotonic() + RIGHTS_SECONDS

    async def _may(self, client: ClusterClient, verb: str, group: str, resource: str) -> bool:
        name, _, part = resource.partition("/")
        asked: Document = {
            "namespace": self.cluster.spec.namespace,
            "verb": verb,
            "group": group,
            "resource": name,
            "subresource": part,
        }
        review = await client.create(
            _REVIEW,
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": asked},
            },
        )
        return bool((review.get("status") or {}).get("allowed"))

    def _judge(self, trouble: Unusable | None) -> None:
        if (trouble is None) != (self._trouble is None):
            self._changed()  # what is free there is offered no more, or again
        self._trouble = trouble
        now = time.monotonic()
        before = self.reach
        if trouble is None:
            self._answered_at = now
            synced = all(reflector.synced.is_set() for reflector in self._reflectors())
            reason = Reason.CLUSTER_ANSWERS if synced else Reason.CLUSTER_SYNCING
            self.reach = replace(before, reason=reason, message=reason.sentence)
        elif (
            not before.answers
            or self._answered_at is None
            or now - self._answered_at >= UNREACHABLE_SECONDS
        ):
            self.reach = replace(
                before, reason=trouble.reason, message=str(trouble), latency_milliseconds=None
            )
        if (self.reach.reason, self.reach.message) != (before.reason, before.message):
            logger.log(
                logging.WARNING if trouble is not None else logging.INFO,
                "The cluster %s: %s: %s",
                self.name,
                self.reach.reason.value,
                self.reach.message,
            )
            self._changed()

    def _reflectors(self) -> tuple[Reflector[Any], ...]:
        of_runs = () if self.site is None else self.site.reflectors
        of_nodes = () if self.stock is None else self.stock.reflectors
        return (*of_runs, *of_nodes)


def _counted(pool: Pool) -> Pool:
    """What of a pool decides how nodes are counted."""
    return replace(pool, price_per_gpu_hour=0, max_nodes=None)


def _rounded(seconds: float) -> int:
    """Roughly, so that a status does not change by itself: 1, 2, 5, 10, 20, 50 and so on, in milliseconds."""
    value = seconds * 1000
    step = 1
    while True:
        for factor in (1, 2, 5):
            if value <= factor * step:
                return factor * step
        step *= 10
