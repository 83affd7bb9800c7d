"""TrainingClusters at the edges of what is taken, by the reader and by the API server."""

from __future__ import annotations

from support.cases import Document
from support.cluster_documents import FULL_CLUSTER, OWN, a_pool, cluster_case

_LABEL = "a" * 63
_POOL = "spec.nodePools.0"
_TAKEN: dict[str, Document] = {
    "small": {},
    "full": {"spec": FULL_CLUSTER["spec"]},
    "the operator's own": OWN,
    "not the operator's own, in words": {"spec.connection.inCluster": False},
    "the longest names": {
        "metadata.name": _LABEL,
        "spec.region": "A" * 63,
        "spec.namespace": _LABEL,
        "spec.nodePools": [a_pool(name=_LABEL, gpuType="A" * 63)],
        "spec.connection": {"kubeconfigSecret": {"name": "a" * 253, "key": "k" * 253}, "context": "c" * 253},
    },
    "names of one letter": {"metadata.name": "a", "spec.region": "1", "spec.namespace": "0"},
    "dots and underscores": {"spec.region": "eu_west.1-a", f"{_POOL}.gpuType": "RTX_6000.Ada"},
    "a context of any look": {"spec.connection.context": "arn:aws:eks:eu/äb c"},
    "as many namespaces as may be": {"spec.allowedNamespaces": [f"team-{number}" for number in range(256)]},
    "a namespace twice": {"spec.allowedNamespaces": ["team-a", "team-a"]},
    "nobody named": {"spec.allowedNamespaces": []},
    "as many pools as may be": {"spec.nodePools": [a_pool(name=f"p{number}") for number in range(32)]},
    "two pools alike but for the name": {"spec.nodePools": [a_pool(), a_pool(name="b")]},
    "the smallest price": {f"{_POOL}.pricePerGPUHourUSD": "0.000001"},
    "the largest price": {f"{_POOL}.pricePerGPUHourUSD": "1000000.000000"},
    "zeros before a price": {f"{_POOL}.pricePerGPUHourUSD": "0000012"},
    "a price without a point": {f"{_POOL}.pricePerGPUHourUSD": "2"},
    "one GPU a node": {f"{_POOL}.gpusPerNode": 1},
    "the largest node": {f"{_POOL}.gpusPerNode": 64},
    "no growth, in words": {f"{_POOL}.maxNodes": 0},
    "the largest growth": {f"{_POOL}.maxNodes": 10_000},
    "a type that the operator does not know": {f"{_POOL}.gpuType": "H900"},
    "another maker": {f"{_POOL}.gpuResource": "amd.com/gpu"},
    "nodes without GPUs": {f"{_POOL}.gpuType": "CPU", f"{_POOL}.gpuResource": "cpu"},
    "labels of every kind": {f"{_POOL}.nodeSelector": {"zone": "a", "example.com/disk": "", "A.b_c-d": "X_1.y"}},
    "no labels": {f"{_POOL}.nodeSelector": {}},
    "tolerations of every kind": {
        f"{_POOL}.tolerations": [
            {"operator": "Exists"},
            {"key": "gpu", "value": "yes", "effect": "NoSchedule"},
            {"key": "gpu", "operator": "Exists", "value": ""},
            {"key": "example.com/spot", "effect": "NoExecute", "tolerationSeconds": 0},
        ]
    },
    "null for nothing": {
        **OWN,
        "spec.namespace": None,
        "spec.connection.context": None,
        "spec.connection.kubeconfigSecret": None,
        f"{_POOL}.maxNodes": None,
    },
}  # fmt: skip
TAKEN_CLUSTERS = tuple(cluster_case(name=name, changes=changes) for name, changes in _TAKEN.items())
