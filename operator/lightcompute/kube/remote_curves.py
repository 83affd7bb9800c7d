"""Curves of a run that is over: TensorBoard once more, in a pod that reads the run's claim or bucket.

The container is the one that stood beside the trainer, as the Job of the last attempt has it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lightcompute.api import TrainingRun
from lightcompute.kube.client import Document
from lightcompute.kube.manifests.pod import TENSORBOARD_PORT
from lightcompute.kube.manifests.storage import output_folder, storage_mounts
from lightcompute.kube.observed import TENSORBOARD, SeenPod
from lightcompute.kube.remote import Remote
from lightcompute.kube.remote_reader import (
    Reading,
    bucket_words,
    key_variables,
    reader_pod,
    reader_pod_of,
)


@asynccontextmanager
async def viewing(remote: Remote, run: TrainingRun) -> AsyncIterator[SeenPod]:
    """A pod that serves the curves of `run` until the block ends. Raises ClusterRefusal that says why there is none."""
    async with reader_pod_of(remote, _reading(run), lambda job: viewer_pod(job, run)) as pod:
        yield pod


def viewer_pod(job: Document, run: TrainingRun) -> Document:
    """The pod, made of the pod template of `job`. Raises ClusterRefusal where its curves went with its pods, or there never were any."""
    reading = _reading(run)
    beside = job["spec"]["template"]["spec"].get("initContainers") or ()
    sidecar = next((each for each in beside if each.get("name") == TENSORBOARD), None)
    if sidecar is None:
        raise reading.refusal(f"no container {TENSORBOARD} in its last attempt", "one")
    reading.refuse_what_is_gone()
    probe = {"tcpSocket": {"port": TENSORBOARD_PORT}, "periodSeconds": 1, "failureThreshold": 60}
    container = {key: value for key, value in sidecar.items() if key != "restartPolicy"}
    container["readinessProbe"] = probe
    return reader_pod(job, reading, container, before=_bringing(sidecar, run))


def _bringing(sidecar: Document, run: TrainingRun) -> list[Document]:
    """What brings the curves to the pod before they are served, where they are in a bucket."""
    told = bucket_words(run)
    if not told:
        return []
    tmp = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "tmp"]
    kept = ("image", "imagePullPolicy", "resources", "securityContext")
    return [
        {
            **{key: sidecar[key] for key in kept if key in sidecar},
            "name": "documents",
            "command": ["python", "-m", "lightgpt", "documents"],
            "args": [output_folder(run), *told],
            "env": [*sidecar.get("env", ()), *key_variables(run)],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [*storage_mounts(run), *tmp],
        }
    ]


def _reading(run: TrainingRun) -> Reading:
    return Reading(run=run, what="TensorBoard", part="curves")
