"""All children of one attempt: the Job that runs it, and what the Job's pods need beside it."""

from __future__ import annotations

from dataclasses import dataclass

from lightcompute.api import labels
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.decision import StartAttempt
from lightcompute.kube.client import Document
from lightcompute.kube.manifests.marks import metadata_of
from lightcompute.kube.manifests.pod import (
    RENDEZVOUS,
    TENSORBOARD_PORT,
    pod_template,
)
from lightcompute.kube.manifests.program import MASTER_PORT
from lightcompute.kube.manifests.storage import bucket_of
from lightcompute.kube.observed import MAX_EXECUTION, QUEUE, TENSORBOARD, TRAINER
from lightcompute.kube.pools import Home, Pool
from lightcompute.kube.settings import OperatorSettings
from runcontract.order import Order, OrderStorage, RunIdentity

ORDER = "order"


@dataclass(frozen=True, kw_only=True)
class Manifests:
    """What the pods of an attempt need, which is created first, and the Job."""

    config_maps: tuple[Document, ...]
    services: tuple[Document, ...]
    job: Document


def manifests_of(
    run: TrainingRun, start: StartAttempt, settings: OperatorSettings, *, pool: Pool, home: Home
) -> Manifests:
    """The children of the attempt that `start` orders, to be put onto the nodes of `pool`."""

    def metadata(purpose: str) -> Document:
        return metadata_of(run, start.attempt, purpose, cluster=start.place.cluster, home=home)

    services: list[Document] = []
    if run.spec.trainer.num_nodes > 1:
        services.append(_rendezvous(run, start, metadata(RENDEZVOUS)))
    return Manifests(
        config_maps=() if run.spec.training is None else (_order(run, metadata(ORDER)),),
        services=tuple(services),
        job=_job(run, start, metadata(TRAINER), pod_template(run, start, settings, pool, home)),
    )


def order_text(run: TrainingRun) -> str:
    """The order, the same for every attempt of a spec."""
    assert run.spec.training is not None, "only a trainer of ours takes an order"
    return Order(
        run=RunIdentity(name=run.metadata.name, uid=run.metadata.uid),
        training=run.spec.training,
        checkpoints=run.spec.checkpoints,
        storage=OrderStorage(s3=bucket_of(run)),
    ).text()


def _order(run: TrainingRun, metadata: Document) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "immutable": True,
        "data": {"order.yaml": order_text(run)},
    }


def _job(run: TrainingRun, start: StartAttempt, metadata: Document, template: Document) -> Document:
    nodes = run.spec.trainer.num_nodes
    spec: Document = {
        "completionMode": "Indexed",
        "completions": nodes,
        "parallelism": nodes,
        # One attempt is one try. What follows its end is decided by the operator, which keeps the money.
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "FailJob",
                    "onExitCodes": {
                        "containerName": TRAINER,
                        "operator": "NotIn",
                        "values": [0],
                    },
                },
            ]
        },
        "template": template,
    }
    if start.queue_name is not None:
        # Kueue lets it begin: it would hold a Job that is not held already.
        spec["suspend"] = True
        marks = {**metadata["labels"], QUEUE: start.queue_name}
        if start.deadline_seconds is not None:
            # Over all admissions, should it be let in again while nobody is there to delete it: then its deadline begins anew.
            marks[MAX_EXECUTION] = str(max(1, start.deadline_seconds))
        metadata = {**metadata, "labels": marks}
    if start.deadline_seconds is not None:
        spec["activeDeadlineSeconds"] = max(1, start.deadline_seconds)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": spec,
    }


def _selector(run: TrainingRun, attempt: int) -> dict[str, str]:
    return {
        labels.RUN_UID: run.metadata.uid,
        labels.ATTEMPT: str(attempt),
        labels.PURPOSE: TRAINER,
    }


def _rendezvous(run: TrainingRun, start: StartAttempt, metadata: Document) -> Document:
    """Gives each pod a name, before it is ready: the ranks find each other by it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": _selector(run, start.attempt),
            "ports": [{"name": RENDEZVOUS, "port": MASTER_PORT}],
        },
    }


def service_of_curves(run: TrainingRun, attempt: int, *, cluster: str, home: Home) -> Document:
    """The address of TensorBoard beside `attempt`. It is created when there are curves: a thousand runs that begin at once do not wait for it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of(run, attempt, TENSORBOARD, cluster=cluster, home=home),
        "spec": {
            # One pod needs no address beside its own, and an address costs the API server more than all the rest.
            "clusterIP": "None",
            "selector": _selector(run, attempt) | {"batch.kubernetes.io/job-completion-index": "0"},
            "ports": [{"name": TENSORBOARD, "port": TENSORBOARD_PORT, "targetPort": TENSORBOARD}],
        },
    }
