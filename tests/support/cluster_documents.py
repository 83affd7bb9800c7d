"""A small TrainingCluster and a full one, of which tables of TrainingClusters are made."""

from __future__ import annotations

from functools import partial
from typing import Any

from support.cases import ABSENT, Case, Document, changed


def a_pool(**parts: Any) -> Document:
    """A pool with what it must have."""
    must = {"gpuType": "A100-80GB", "gpusPerNode": 8, "pricePerGPUHourUSD": "1.79"}
    return {"name": "a100-80"} | must | parts


SMALL_CLUSTER: Document = {
    "apiVersion": "lightcompute.dev/v1alpha1",
    "kind": "TrainingCluster",
    "metadata": {"name": "us-iad1"},
    "spec": {
        "region": "US-IAD1",
        "connection": {"kubeconfigSecret": {"name": "us-iad1"}},
        "namespace": "training",
        "nodePools": [a_pool()],
    },
}
OWN: Document = {"spec.connection": {"inCluster": True}, "spec.namespace": ABSENT}
"""As changes: the cluster that the operator is in."""
FULL_CLUSTER = changed(
    SMALL_CLUSTER,
    {
        "spec.connection": {"kubeconfigSecret": {"name": "a.b", "key": "config"}, "context": "it"},
        "spec.allowedNamespaces": ["team-a", "team-b"],
        "spec.nodePools": [
            a_pool(
                nodeSelector={"cloud/pool": "a100-80", "zone": ""},
                tolerations=[
                    {"key": "nvidia.com/gpu", "operator": "Exists"},
                    {"key": "gpu", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 60},
                ],
                maxNodes=4,
                spot=True,
                gpuResource="nvidia.com/gpu",
            ),
            a_pool(name="l40s", gpuType="L40S"),
        ],
    },
)
"""Every field is in it."""
cluster_case = partial(Case, base=SMALL_CLUSTER)
