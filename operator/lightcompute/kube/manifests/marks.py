"""Metadata of children: names from (run UID, attempt, purpose), labels by which they are found, and the run as their owner."""

from __future__ import annotations

from lightcompute.api import labels
from lightcompute.api.training_run import TrainingRun
from lightcompute.kube.client import Document
from lightcompute.kube.pools import Home
from runcontract.base import API_VERSION


def marks(
    run: TrainingRun, attempt: int, purpose: str, *, cluster: str, home: Home
) -> dict[str, str]:
    """Labels of what serves `purpose` in `attempt`; in another cluster they say whose it is."""
    away = {labels.ORIGIN: home.origin, labels.RUN_NAMESPACE: str(run.metadata.namespace)}
    return (away if home.namespace is not None else {}) | {
        labels.MANAGED_BY: "lightcompute",
        "app.kubernetes.io/name": "lightcompute",
        "app.kubernetes.io/component": purpose,
        "app.kubernetes.io/instance": run.metadata.name,
        labels.RUN_NAME: run.metadata.name,
        labels.RUN_UID: run.metadata.uid,
        labels.ATTEMPT: str(attempt),
        labels.PURPOSE: purpose,
        labels.CLUSTER: cluster,
    }


def metadata_of(
    run: TrainingRun, attempt: int, purpose: str, *, cluster: str, home: Home
) -> Document:
    """Metadata of a child. Beside its run it goes when the run goes; in another cluster nothing there owns it."""
    metadata: Document = {
        "name": name_of(run, attempt, purpose),
        "namespace": home.namespace_of(run),
        "labels": marks(run, attempt, purpose, cluster=cluster, home=home),
    }
    if home.namespace is not None:
        return metadata
    metadata["ownerReferences"] = [
        {
            "apiVersion": API_VERSION,
            "kind": "TrainingRun",
            "name": run.metadata.name,
            "uid": run.metadata.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    return metadata


def name_of(run: TrainingRun, attempt: int, purpose: str) -> str:
    """The one name of a child."""
    return labels.child_name(run.metadata.name, run.metadata.uid, attempt, purpose)
