"""Kueue's objects that an administrator makes: flavors, queues and priorities, as documents, and a queue that is ready for Jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from support.testcluster.api import Api, Document
from support.testcluster.nodes import GPU

VERSION = "kueue.x-k8s.io/v1beta2"
QUEUE = "kueue.x-k8s.io/queue-name"
"""Label of a Job: the LocalQueue that it waits in."""
PRIORITY = "kueue.x-k8s.io/priority-class"
"""Label of a Job: its WorkloadPriorityClass."""


def resource_flavor(name: str, *, node_labels: Mapping[str, str] | None = None) -> Document:
    """A kind of nodes; a Job that is admitted to it gets `node_labels` as its node selector."""
    return _document("ResourceFlavor", name, spec={"nodeLabels": dict(node_labels or {})})


def cluster_queue(name: str, *, flavor: str, quota: Mapping[str, str | int]) -> Document:
    """What all namespaces may use at once of one flavor, by resource; a Job may take the place of one of lower priority."""
    resources = [{"name": each, "nominalQuota": str(amount)} for each, amount in quota.items()]
    return _document(
        "ClusterQueue",
        name,
        spec={
            "namespaceSelector": {},
            "queueingStrategy": "BestEffortFIFO",
            "preemption": {"withinClusterQueue": "LowerPriority"},
            "resourceGroups": [
                {
                    "coveredResources": list(quota),
                    "flavors": [{"name": flavor, "resources": resources}],
                }
            ],
        },
    )


def local_queue(name: str, *, namespace: str, cluster_queue: str) -> Document:
    """The queue that Jobs of a namespace name in their label."""
    document = _document("LocalQueue", name, spec={"clusterQueue": cluster_queue})
    document["metadata"]["namespace"] = namespace
    return document


def workload_priority_class(name: str, value: int) -> Document:
    """A priority for Kueue alone: the scheduler knows nothing of it."""
    return _document("WorkloadPriorityClass", name, value=value)


def create(api: Api, document: Document) -> Document:
    """Creates one of these."""
    return api.post(_collection(document), document)


def add_queue(
    api: Api,
    namespace: str,
    name: str,
    *,
    gpus: int,
    cpu: str = "64",
    memory: str = "512Gi",
    node_labels: Mapping[str, str] | None = None,
) -> None:
    """A LocalQueue with a ClusterQueue and a ResourceFlavor of its own, all named after the namespace, ready to admit."""
    own = f"{namespace}-{name}"
    quota: dict[str, str | int] = {GPU: gpus, "cpu": cpu, "memory": memory}
    create(api, resource_flavor(own, node_labels=node_labels))
    create(api, cluster_queue(own, flavor=own, quota=quota))
    made = create(api, local_queue(name, namespace=namespace, cluster_queue=own))
    api.eventually(f"{_collection(made)}/{name}", _is_active)


def _document(kind: str, name: str, **fields: object) -> dict[str, Any]:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name}, **fields}


def _collection(document: Document) -> str:
    kind, namespace = document["kind"].lower(), document["metadata"].get("namespace")
    plural = f"{kind}es" if kind.endswith("s") else f"{kind}s"
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{VERSION}{place}/{plural}"


def _is_active(queue: Document) -> bool:
    conditions = queue.get("status", {}).get("conditions", ())
    return any(each["type"] == "Active" and each["status"] == "True" for each in conditions)
