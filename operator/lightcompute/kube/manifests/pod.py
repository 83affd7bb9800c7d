"""The pod template of an attempt: who runs, as whom, with what mounted. A closed form: users choose values in it, never its shape."""

from __future__ import annotations

from lightcompute.api.labels import CHECKPOINT_NOW, PINNED_CHECKPOINTS
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.decision import StartAttempt
from lightcompute.core.upkeep import requests_of
from lightcompute.kube.client import Document
from lightcompute.kube.manifests.marks import marks, name_of
from lightcompute.kube.manifests.program import (
    REQUESTS_FOLDER,
    arguments,
    command,
    variables,
)
from lightcompute.kube.manifests.storage import (
    RUNS_FOLDER,
    output_folder,
    storage_mounts,
    storage_volumes,
)
from lightcompute.kube.observed import TENSORBOARD, TRAINER
from lightcompute.kube.pools import Home, Pool
from lightcompute.kube.settings import OperatorSettings
from runcontract.requests import CHECKPOINT_NOW as CHECKPOINT_NOW_FILE
from runcontract.requests import PINS

ORDER_FOLDER = "/var/run/lightcompute"
_REQUESTS = {CHECKPOINT_NOW_FILE: CHECKPOINT_NOW, PINS: PINNED_CHECKPOINTS}
"""Files in the folder of requests, and the annotations of the pod that they hold."""
TENSORBOARD_PORT = 6006
RENDEZVOUS = "rendezvous"
USER_ID = 65532
"""The user that images without one run as: no rights anywhere."""

RESTRICTED: Document = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""What a container of ours may do."""


def pod_security() -> Document:
    """As whom the containers of a pod of ours run."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER_ID,
        "runAsGroup": USER_ID,
        "fsGroup": USER_ID,
        # Walking a large volume at each start would cost minutes of GPU time.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def pod_template(
    run: TrainingRun, start: StartAttempt, settings: OperatorSettings, pool: Pool, home: Home
) -> Document:
    """Labels and spec of the attempt's pods."""
    trainer = run.spec.trainer
    spec: Document = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": start.grace_seconds,
        "securityContext": pod_security(),
        "nodeSelector": {**trainer.node_selector, **pool.node_selector},
        "tolerations": _tolerations(run, pool),
        "containers": [_trainer(run, start, settings, pool)],
        "volumes": _volumes(run, start),
    }
    if run.spec.tensorboard.enabled:
        spec["initContainers"] = [_tensorboard(run, settings)]
    if trainer.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": each.name} for each in trainer.image_pull_secrets]
    if trainer.num_nodes > 1:
        spec["subdomain"] = name_of(run, start.attempt, RENDEZVOUS)
    labels = marks(run, start.attempt, TRAINER, cluster=start.place.cluster, home=home)
    now, pins = requests_of(run)
    # What was asked for before it began is no wish of this attempt: it is told so that only another text is one.
    notes = {CHECKPOINT_NOW: now, PINNED_CHECKPOINTS: pins}
    return {"metadata": {"labels": labels, "annotations": notes}, "spec": spec}


def _trainer(
    run: TrainingRun, start: StartAttempt, settings: OperatorSettings, pool: Pool
) -> Document:
    trainer = run.spec.trainer
    folder = output_folder(run)
    container: Document = {
        "name": TRAINER,
        "image": trainer.image or settings.trainer_image,
        "env": variables(run, start, folder, order=f"{ORDER_FOLDER}/order.yaml"),
        "resources": _resources(run, pool),
        # An image of the user's own may write where it likes in its own files; what it may do outside is the same.
        "securityContext": {**RESTRICTED, "readOnlyRootFilesystem": trainer.image is None},
        # A program that leaves no last word says why it ended by the end of its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": _mounts(run),
    }
    program = command(run, start, folder, order=f"{ORDER_FOLDER}/order.yaml")
    if program:
        container["command"] = list(program)
    if arguments(run):
        container["args"] = list(arguments(run))
    return container | _pull_policy(run, settings)


def _tensorboard(run: TrainingRun, settings: OperatorSettings) -> Document:
    """A native sidecar: it never keeps the Job from its end."""
    return {
        "name": TENSORBOARD,
        "image": settings.trainer_image,
        "restartPolicy": "Always",
        "command": ["python", "-m", "lightgpt", "tensorboard"],
        "args": [
            "--logdir",
            f"{output_folder(run)}/tensorboard",
            "--host",
            "0.0.0.0",  # noqa: S104 - the pod's own address; a network policy says who comes in
            "--port",
            str(TENSORBOARD_PORT),
        ],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - a volume of the pod's own
        "ports": [{"name": TENSORBOARD, "containerPort": TENSORBOARD_PORT}],
        "resources": {
            "requests": {"cpu": "10m", "memory": "256Mi"},
            "limits": {"memory": "1Gi"},
        },
        "securityContext": RESTRICTED,
        "volumeMounts": [
            {"name": "runs", "mountPath": RUNS_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
        ],
    } | _pull_policy(run, settings)


def _pull_policy(run: TrainingRun, settings: OperatorSettings) -> Document:
    policy = run.spec.trainer.image_pull_policy or settings.image_pull_policy
    return {"imagePullPolicy": policy} if policy else {}


def _resources(run: TrainingRun, pool: Pool) -> Document:
    """As the run says; one GPU a process where it names none. A GPU that is asked for is a limit too, as Kubernetes wants it."""
    given = run.spec.trainer.resources_per_node
    requests, limits = dict(given.requests), dict(given.limits)
    gpu = pool.gpu_resource
    if gpu:
        count = limits.get(gpu) or requests.get(gpu) or str(run.spec.trainer.num_proc_per_node)
        limits[gpu] = requests[gpu] = count
        if count == "0":
            del limits[gpu], requests[gpu]
    return {key: value for key, value in (("requests", requests), ("limits", limits)) if value}


def _tolerations(run: TrainingRun, pool: Pool) -> list[Document]:
    return [*(each.document() for each in run.spec.trainer.tolerations), *pool.tolerations]


def _mounts(run: TrainingRun) -> list[Document]:
    ours: list[Document] = [
        *storage_mounts(run),
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - what processes of one node share
    ]
    ours.append({"name": "requests", "mountPath": REQUESTS_FOLDER, "readOnly": True})
    if run.spec.training is not None:
        ours.append({"name": "order", "mountPath": ORDER_FOLDER, "readOnly": True})
    return ours + [
        {"name": f"claim-{each.name}", "mountPath": each.mount_path, "readOnly": each.read_only}
        for each in run.spec.trainer.volumes
    ]


def _volumes(run: TrainingRun, start: StartAttempt) -> list[Document]:
    volumes: list[Document] = [
        *storage_volumes(run),
        {"name": "tmp", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory"}},
        {
            "name": "requests",
            "downwardAPI": {
                "items": [
                    {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{name}']"}}
                    for path, name in _REQUESTS.items()
                ]
            },
        },
    ]
    if run.spec.training is not None:
        order = name_of(run, start.attempt, "order")
        volumes.append({"name": "order", "configMap": {"name": order}})
    return volumes + [
        {
            "name": f"claim-{each.name}",
            "persistentVolumeClaim": {"claimName": each.claim_name, "readOnly": each.read_only},
        }
        for each in run.spec.trainer.volumes
    ]
