"""Nodes with GPUs that exist in the API server only; kwok keeps them alive and runs their pods in name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MANAGED = "sim.lightcompute.dev/managed"
"""Label: kwok keeps this node alive."""
LOST = "sim.lightcompute.dev/lost"
"""Annotation: the pod is on a lost node."""
GPU = "nvidia.com/gpu"
POOL = "sim.lightcompute.dev/pool"
"""Label: the pool that a simulated node is of."""
_TROUBLE = "node.kubernetes.io"
_PRODUCTS = {
    "A100-40GB": "NVIDIA-A100-SXM4-40GB",
    "A100-80GB": "NVIDIA-A100-SXM4-80GB",
    "H100-80GB": "NVIDIA-H100-80GB-HBM3",
    "L40S": "NVIDIA-L40S",
}


def gpu_node(
    name: str,
    *,
    gpu_type: str,
    gpus: int,
    kubelet_port: int,
    labels: Mapping[str, str],
    taints: tuple[dict[str, str], ...],
) -> dict[str, Any]:
    """A node of a pool; its kubelet is asked for logs at `kubelet_port` of the loopback address."""
    room: dict[str, str] = {
        "cpu": "64",
        "memory": "512Gi",
        "pods": "110",
        "ephemeral-storage": "1Ti",
    }
    if gpus:
        room[GPU] = str(gpus)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            # By which people know a node of kwok.
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {
                MANAGED: "true",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "lightcompute.dev/gpu-type": gpu_type,
                "nvidia.com/gpu.product": _PRODUCTS.get(gpu_type, gpu_type),
                **labels,
            },
        },
        "spec": {"taints": list(taints)} if taints else {},
        "status": {
            "capacity": room,
            "allocatable": room,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet_port}},
        },
    }


NOBODYS_PORT = 1
"""A port on which nothing listens: a lost node's kubelet is asked for logs in vain."""


def lost(now: str) -> dict[str, Any]:
    """The status of a node that is heard from no more, as the node controller would write it after its wait."""
    return {
        "daemonEndpoints": {"kubeletEndpoint": {"Port": NOBODYS_PORT}},
        "conditions": [
            {
                "type": "Ready",
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
        ],
    }


def is_ready(node: dict[str, Any]) -> bool:
    """Whether it is, and the scheduler may use it."""
    conditions = node.get("status", {}).get("conditions", ())
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not _taints(node) & {f"{_TROUBLE}/not-ready", f"{_TROUBLE}/unreachable"}


def is_unreachable(node: dict[str, Any]) -> bool:
    """Whether the node controller has taken it for lost."""
    return f"{_TROUBLE}/unreachable" in _taints(node)


def _taints(node: dict[str, Any]) -> set[str]:
    return {taint["key"] for taint in node.get("spec", {}).get("taints", ())}
