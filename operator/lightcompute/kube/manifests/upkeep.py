"""The Job that sees to a run's checkpoints while nothing trains: one pod of our trainer's image, without a GPU, where its storage is."""

from __future__ import annotations

from lightcompute.api import labels
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.decision import StartUpkeep
from lightcompute.core.keeping import pins_of
from lightcompute.kube.client import Document
from lightcompute.kube.manifests.marks import metadata_of, name_of
from lightcompute.kube.manifests.pod import RESTRICTED, pod_security
from lightcompute.kube.manifests.storage import (
    bucket_of,
    output_folder,
    storage_mounts,
    storage_variables,
    storage_volumes,
)
from lightcompute.kube.pools import Home
from lightcompute.kube.settings import OperatorSettings
from runcontract import environment
from runcontract.upkeep import UpkeepTask

UPKEEP = "upkeep"
_SECONDS = 3600
"""Longest time for one: hashing a terabyte at 300 MB/s."""
_LEFT_SECONDS = 900
"""It removes itself where nobody is left to do so."""


def upkeep_name(run: TrainingRun, number: int) -> str:
    """The one name of an upkeep's Job."""
    return name_of(run, number, UPKEEP)


def upkeep_job(
    run: TrainingRun, start: StartUpkeep, settings: OperatorSettings, *, home: Home
) -> Document:
    """The Job. Its labels are none of an attempt's: it is charged to nobody and counts as nothing live."""
    newest = run.status.attempts[-1]
    metadata = metadata_of(run, start.number, UPKEEP, cluster=newest.place.cluster, home=home)
    marks = dict(metadata["labels"])
    del marks[labels.ATTEMPT]
    marks[labels.UPKEEP_OF] = marks.pop(labels.RUN_UID)
    # Nobody's: with an owner that is being deleted it would be collected before it has deleted anything.
    metadata.pop("ownerReferences", None)
    container: Document = {
        "name": UPKEEP,
        "image": settings.trainer_image,
        "command": ["python", "-m", "lightgpt", "tend"],
        "args": _arguments(run, start.task),
        "env": [
            {"name": name, "value": value}
            for name, value in {
                "HOME": "/tmp",  # noqa: S108 - a volume of the pod's own
                environment.ATTEMPT: str(newest.number),
                environment.TERMINATION_LOG: "/dev/termination-log",
                **storage_variables(run),
            }.items()
        ],
        "resources": {
            "requests": {"cpu": "250m", "memory": "512Mi"},
            "limits": {"memory": "4Gi"},
        },
        "securityContext": RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            *storage_mounts(run),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the same
        ],
    }
    if settings.image_pull_policy:
        container["imagePullPolicy"] = settings.image_pull_policy
    pod: Document = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": pod_security(),
        # A volume of one zone or node is where the nodes of the run are; they let in what tolerates them.
        "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
        "containers": [container],
        "volumes": [*storage_volumes(run), {"name": "tmp", "emptyDir": {}}],
    }
    if run.spec.trainer.image_pull_secrets:
        # Those of the trainer: its image comes from the same registry, but for one of the user's own.
        pod["imagePullSecrets"] = [
            {"name": each.name} for each in run.spec.trainer.image_pull_secrets
        ]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**metadata, "labels": marks},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _SECONDS,
            "ttlSecondsAfterFinished": _LEFT_SECONDS,
            "template": {"metadata": {"labels": marks}, "spec": pod},
        },
    }


def _arguments(run: TrainingRun, task: UpkeepTask) -> list[str]:
    settings = run.spec.checkpoints
    words = [task.value, output_folder(run), "--run-uid", run.metadata.uid]
    words += ["--keep-latest", str(settings.keep_latest)]
    words += ["--keep-best" if settings.keep_best else "--no-keep-best"]
    if settings.pattern is not None and task is UpkeepTask.PRUNE:
        words += ["--pattern", settings.pattern]
    for step in sorted(pins_of(run)):
        words += ["--pin", str(step)]
    if task is UpkeepTask.VERIFY:
        for kept in run.status.checkpoints:
            words += ["--expect", str(kept.step)]
    bucket = bucket_of(run)
    if bucket is not None:
        words += ["--s3", bucket.model_dump_json(by_alias=True, exclude_none=True)]
    return words
