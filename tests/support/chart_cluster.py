"""A cluster that the chart is installed in: releases of it, what exists afterwards, and accounts of it as users."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.helm_chart import CHART, NAMESPACE, RELEASE, Document, Helm, Refused
from support.testcluster.api import Api
from support.testcluster.cluster import Cluster
from support.testcluster.kubeconfig import Access, write_kubeconfig

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_PATIENCE = "180s"
"""A shared machine may be slow; what fails says so at once."""
_NETWORK = "/apis/networking.k8s.io/v1"
_ROOTS = {
    "ClusterRole": (_RBAC, "clusterroles"),
    "ClusterRoleBinding": (_RBAC, "clusterrolebindings"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "NetworkPolicy": (_NETWORK, "networkpolicies"),
    "Pod": ("/api/v1", "pods"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "Role": (_RBAC, "roles"),
    "RoleBinding": (_RBAC, "rolebindings"),
    "Service": ("/api/v1", "services"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
}


def collection_of(document: Document) -> str:
    """Where an object of this kind is created."""
    root, plural = _ROOTS[document["kind"]]
    namespace = document["metadata"].get("namespace")
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def path_of(document: Document) -> str:
    """Where it is."""
    return f"{collection_of(document)}/{document['metadata']['name']}"


@dataclass(frozen=True, kw_only=True)
class ChartCluster:
    """Installs and removes releases; what is left of them is removed at the end."""

    cluster: Cluster
    helm: Helm
    releases: set[tuple[str, str]] = field(default_factory=set)

    @property
    def api(self) -> Api:
        return self.cluster.api

    def install(
        self,
        values: Mapping[str, Any] | None = None,
        *words: str,
        release: str = RELEASE,
        namespace: str = NAMESPACE,
    ) -> str:
        """`helm install --wait`; what it printed. Raises Refused."""
        self.releases.add((namespace, release))
        with self._told_why_it_is_not_ready(namespace):
            return self.helm.run(
                "install",
                release,
                str(CHART),
                *("--namespace", namespace, "--create-namespace", "--wait", "--timeout", _PATIENCE),
                *words,
                values=values or {},
            )

    def upgrade(self, values: Mapping[str, Any], *, namespace: str = NAMESPACE) -> str:
        """`helm upgrade --wait`."""
        with self._told_why_it_is_not_ready(namespace):
            return self.helm.run(
                "upgrade",
                RELEASE,
                str(CHART),
                *("--namespace", namespace, "--wait", "--timeout", _PATIENCE),
                values=values,
            )

    @contextmanager
    def _told_why_it_is_not_ready(self, namespace: str) -> Iterator[None]:
        """Helm says that time was up, and nothing else."""
        try:
            yield
        except Refused as refusal:
            if "context deadline exceeded" not in str(refusal):
                raise
            kinds = (
                f"/apis/apps/v1/namespaces/{namespace}/deployments",
                f"/apis/apps/v1/namespaces/{namespace}/replicasets",
                f"/api/v1/namespaces/{namespace}/pods",
                f"/api/v1/namespaces/{namespace}/events",
                "/api/v1/nodes",
            )
            told = "\n".join(_brief(each) for kind in kinds for each in self.api.get(kind)["items"])
            raise Refused(f"{refusal}\n{told}") from refusal

    def uninstall(self, *, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
        """`helm uninstall --wait`."""
        self.releases.discard((namespace, release))
        return self.helm.run("uninstall", release, "--namespace", namespace, "--wait")

    def definitions(self) -> tuple[str, ...]:
        """Names of our CustomResourceDefinitions that exist."""
        found = self.api.get(CRDS)["items"]
        names = (each["metadata"]["name"] for each in found)
        return tuple(sorted(name for name in names if name.endswith(".lightcompute.dev")))

    def make_namespaces(self, *names: str) -> None:
        """Those that do not exist yet."""
        for name in names:
            if self.api.find(f"/api/v1/namespaces/{name}") is None:
                self.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
                self.api.eventually(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)

    def as_account(self, name: str, folder: Path, *, namespace: str = NAMESPACE) -> Path:
        """A kubeconfig of a service account."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = self.api.post(path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        access = Access(server=self.cluster.server, token=token, ca_file=self.cluster.ca_file)
        return write_kubeconfig(folder / f"{name}.kubeconfig", access, name=name)

    def clean(self) -> None:
        """Removes releases and definitions, and with them every run."""
        for namespace, release in sorted(self.releases):
            self.helm.run(
                "uninstall", release, "--namespace", namespace, "--wait", "--ignore-not-found"
            )
        for name in self.definitions():
            self.api.delete(f"{CRDS}/{name}")
            self.api.gone(f"{CRDS}/{name}")


def _brief(found: Document) -> str:
    """What of an object tells why something is not ready."""
    keys = ("status", "spec") if "nodeName" in found.get("spec", {}) else ("status", "message")
    told = {key: found[key] for key in keys if key in found}
    return f"{found['metadata']['name']}: {json.dumps(told)[:1500]}"


@contextmanager
def chart_cluster(cluster: Cluster, helm: Helm) -> Iterator[ChartCluster]:
    """For the length of a block."""
    made = ChartCluster(
        cluster=cluster,
        helm=Helm(program=helm.program, home=helm.home, kubeconfig=cluster.kubeconfig),
    )
    try:
        yield made
    finally:
        made.clean()
