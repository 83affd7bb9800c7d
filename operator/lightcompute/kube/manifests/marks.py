"""Metadata of children: names from (run UID, attempt, purpose), labels by which they are found, and the run as their owner."""

from __future__ import annotations

from lightcompute.api import labels
from lightcompute.api.training_run import TrainingRun
from lightcompute.kube.client import Document
from runcontract.base import API_VERSION


def marks(run: TrainingRun, attempt: int, purpose: str, *, cluster: str) -> dict[str, str]:
    """Labels of what serves `purpose` in `attempt`."""
    return {
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


def metadata_of(run: TrainingRun, attempt: int, purpose: str, *, cluster: str) -> Document:
    """Metadata of a child in the run's own cluster: it goes when the run goes."""
    return {
        "name": name_of(run, attempt, purpose),
        "namespace": run.metadata.namespace,
        "labels": marks(run, attempt, purpose, cluster=cluster),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "TrainingRun",
                "name": run.metadata.name,
                "uid": run.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def name_of(run: TrainingRun, attempt: int, purpose: str) -> str:
    """The one name of a child."""
    return labels.child_name(run.metadata.name, run.metadata.uid, attempt, purpose)
