"""Several clusters made into places for one operator: TrainingClusters in the first, and what they need in the others."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.testcluster.api import ApiFault
from support.testcluster.cluster import Cluster

NAMESPACE = "training"
"""Where runs go in the other clusters."""
CLUSTERS = "/apis/lightcompute.dev/v1alpha1/trainingclusters"
PRICES = {"A100-40GB": "1.29", "A100-80GB": "1.79", "L40S": "0.99"}
"""Dollars for a GPU and hour."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Nodes of one GPU type, that are told by their label."""

    gpu_type: str
    gpus_per_node: int = 8
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return self.gpu_type.lower()

    def document(self) -> dict[str, Any]:
        """As a TrainingCluster has it."""
        return {
            "name": self.name,
            "gpuType": self.gpu_type,
            "nodeSelector": {"lightcompute.dev/gpu-type": self.gpu_type},
            "gpusPerNode": self.gpus_per_node,
            "pricePerGPUHourUSD": PRICES.get(self.gpu_type, "2.00"),
            **self.more,
        }


def training_cluster(
    name: str, pools: tuple[Pool, ...], *, own: bool = False, **spec: Any
) -> dict[str, Any]:
    """A TrainingCluster; its kubeconfig is in the Secret of its name."""
    connection = {"inCluster": True} if own else {"kubeconfigSecret": {"name": name}}
    where = {} if own else {"namespace": NAMESPACE}
    return {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingCluster",
        "metadata": {"name": name},
        "spec": {
            "region": name.upper(),
            "connection": connection,
            **where,
            "nodePools": [pool.document() for pool in pools],
            **spec,
        },
    }


def secret(name: str, kubeconfig: Path | bytes) -> dict[str, Any]:
    """A Secret with a kubeconfig."""
    contents = kubeconfig if isinstance(kubeconfig, bytes) else kubeconfig.read_bytes()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "data": {"kubeconfig": base64.b64encode(contents).decode()},
    }


def make_namespace(cluster: Cluster, name: str = NAMESPACE) -> None:
    """A namespace that pods may be made in."""
    try:
        cluster.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    except ApiFault as fault:
        if fault.status != 409:
            raise
    cluster.api.eventually(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)


def join(
    management: Cluster,
    worker: Cluster,
    pools: tuple[Pool, ...],
    *,
    operator_namespace: str,
    kubeconfig: Path | None = None,
    **spec: Any,
) -> str:
    """Makes `worker` a place for runs of `management`; gives the name of its TrainingCluster."""
    own = worker is management
    if not own:
        make_namespace(worker)
        secrets = f"/api/v1/namespaces/{operator_namespace}/secrets"
        management.api.post(secrets, secret(worker.name, kubeconfig or worker.kubeconfig))
    document = training_cluster(worker.name, pools, own=own, **spec)
    management.api.post(CLUSTERS, document, fieldValidation="Strict")
    return worker.name
