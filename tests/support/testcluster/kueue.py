"""A real Kueue beside a control plane: its controller as a plain process, its webhooks on the loopback address, its rights by RBAC.

It takes only Jobs with the label kueue.x-k8s.io/queue-name. While it stands, every Job is shown to its webhooks: a Kueue that was
killed lets no Job pass, and one that was stopped has taken them away.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.testcluster.api import Api, Document
from support.testcluster.binaries import KUEUE, binary
from support.testcluster.cluster import Cluster
from support.testcluster.flags import HOST
from support.testcluster.kubeconfig import Access, write_kubeconfig
from support.testcluster.kueue_chart import (
    ACCOUNT,
    NAMESPACE,
    WEBHOOK_SECRET,
    WEBHOOKS,
    apply,
    chart_objects,
    path_of,
)
from support.testcluster.processes import Component, Endpoint, free_ports

_START_SECONDS = 90
_LOOK_SECONDS = 0.05
# Longer than any test run.
_TOKEN_SECONDS = 24 * 60 * 60


class Kueue:
    """The Kueue of one cluster."""

    def __init__(self, *, cluster: Cluster, component: Component, webhooks: tuple[str, ...]):
        self.cluster = cluster
        self.component = component
        self._webhooks = webhooks

    @classmethod
    def start(cls, cluster: Cluster, folder: Path) -> Self:
        """Puts Kueue's chart into the cluster, starts the controller and waits until it is ready. Raises `NoBinaries`."""
        folder.mkdir(parents=True, exist_ok=True)
        health, metrics, webhook = free_ports(3)
        certificates = folder / "certificates"
        configuration = _configuration(
            health=health, metrics=metrics, webhook=webhook, certificates=certificates
        )
        api = cluster.api
        objects = chart_objects(configuration, webhook_port=webhook, home=folder)
        if api.find(f"/api/v1/namespaces/{NAMESPACE}") is None:
            api.post("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for each in objects:
            apply(api, each)
        component = Component(
            "kueue",
            (
                str(binary(KUEUE)),
                f"--config={_written(folder / 'configuration.json', configuration)}",
                f"--kubeconfig={_kubeconfig(cluster, folder / 'kueue.kubeconfig')}",
                "--zap-log-level=2",
            ),
            log=folder / "kueue.log",
            ready=Endpoint(port=health, path="/readyz", secure=False),
        )
        webhooks = tuple(path_of(each) for each in objects if each["kind"] in WEBHOOKS)
        kueue = cls(cluster=cluster, component=component, webhooks=webhooks)
        try:
            for each in objects:
                if each["kind"] == "CustomResourceDefinition":
                    api.eventually(path_of(each), _is_served)
            component.start()
            kueue._mount_certificates(certificates)
            component.wait_ready(_START_SECONDS)
        except BaseException:
            kueue.stop()
            raise
        return kueue

    @property
    def api(self) -> Api:
        """The cluster's API, as an administrator."""
        return self.cluster.api

    def workload(
        self, namespace: str, job: str, holds: Callable[[Document], object], *, seconds: float = 30
    ) -> Document:
        """The Workload of a Job once `holds` says so of it; fails the test when that does not come."""
        owned = self.api.eventually(
            f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{namespace}/workloads",
            lambda found: any(_is_of(each, job) and holds(each) for each in found["items"]),
            seconds=seconds,
        )
        return next(each for each in owned["items"] if _is_of(each, job) and holds(each))

    def stop(self) -> None:
        """Ends the process; the cluster takes Jobs without it again. Its CRDs, queues and Workloads stay."""
        try:
            for path in self._webhooks:
                if self.api.find(path) is not None:
                    self.api.delete(path)
        finally:
            self.component.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _mount_certificates(self, folder: Path) -> None:
        """Kueue makes certificates, writes them into a Secret and waits for a kubelet to mount that; here is no kubelet."""
        path = f"/api/v1/namespaces/{NAMESPACE}/secrets/{WEBHOOK_SECRET}"
        end = time.monotonic() + _START_SECONDS
        while not (made := self.api.get(path).get("data") or {}):
            if not self.component.is_alive or time.monotonic() > end:
                raise RuntimeError(f"kueue made no certificate:\n{self.component.last_words()}")
            time.sleep(_LOOK_SECONDS)
        folder.mkdir(exist_ok=True)
        # tls.crt last: it is what Kueue looks for.
        for name in ("ca.crt", "tls.key", "tls.crt"):
            file = folder / name
            file.touch(mode=0o600)
            file.write_bytes(base64.b64decode(made[name]))


def condition(workload: Document, kind: str) -> Document:
    """A condition of a Workload; an empty one where it has none of that type."""
    conditions = workload.get("status", {}).get("conditions", ())
    return next((dict(each) for each in conditions if each["type"] == kind), {})


def _configuration(*, health: int, metrics: int, webhook: int, certificates: Path) -> Document:
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": f"{HOST}:{health}"},
        "metrics": {"bindAddress": f"{HOST}:{metrics}"},
        "webhook": {"host": HOST, "port": webhook, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "manageJobsWithoutQueueName": False,
        "integrations": {"frameworks": ["batch/job"]},
        "clientConnection": {"qps": 500, "burst": 1000},
        # It is served through the Service network, which is not there.
        "featureGates": {"VisibilityOnDemand": False},
    }


def _written(file: Path, document: Document) -> Path:
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def _kubeconfig(cluster: Cluster, file: Path) -> Path:
    """Kueue as its own service account, so that it may do what its chart grants and no more."""
    account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}/token"
    asked: dict[str, Any] = {"spec": {"expirationSeconds": _TOKEN_SECONDS}}
    token = cluster.api.post(account, asked)["status"]["token"]
    access = Access(server=cluster.server, token=token, ca_file=cluster.ca_file)
    return write_kubeconfig(file, access, name=cluster.name)


def _is_served(crd: Document) -> bool:
    conditions = crd.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


def _is_of(workload: Document, job: str) -> bool:
    owners = workload["metadata"].get("ownerReferences", ())
    return any(owner["kind"] == "Job" and owner["name"] == job for owner in owners)
