"""Curves of a run that is over: TensorBoard once more, in a pod of its own that reads the run's claim or bucket, for as long as somebody looks.

The container is the one that stood beside the trainer, as the Job of the last attempt has it. The pod belongs to the run and goes with
it; it ends by itself after `VIEW_SECONDS`, whatever becomes of the machine that asked for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from lightcompute.api import TrainingRun, labels
from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.core.keeping import outlives_attempts
from lightcompute.kube.client import Document
from lightcompute.kube.faults import NotFound
from lightcompute.kube.manifests.marks import name_of
from lightcompute.kube.manifests.pod import TENSORBOARD, TENSORBOARD_PORT
from lightcompute.kube.manifests.storage import (
    bucket_of,
    output_folder,
    storage_mounts,
    storage_variables,
)
from lightcompute.kube.observed import TRAINER, SeenPod, kept_pod
from lightcompute.kube.paths import JOBS, PODS
from lightcompute.kube.remote import Remote
from lightcompute.kube.remote_faults import ClusterRefusal
from runcontract.base import API_VERSION
from runcontract.faults import Fault

VIEW_SECONDS = 3600
START_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_KEPT = (
    "automountServiceAccountToken",
    "enableServiceLinks",
    "imagePullSecrets",
    "securityContext",
    "tolerations",
)
"""Of the pod's settings. Its node is free: whoever only reads needs no GPU."""


@asynccontextmanager
async def viewing(remote: Remote, run: TrainingRun) -> AsyncIterator[SeenPod]:
    """A pod that serves the curves of `run` until the block ends. Raises ClusterRefusal that says why there is none."""
    job = await _newest_job(remote, run)
    pods = PODS.within(remote.namespace)
    made = await remote.client.create(pods, viewer_pod(job, run))
    path = PODS.named(remote.namespace, made["metadata"]["name"])
    try:
        yield await _ready(remote, run, path)
    finally:
        # What cannot be deleted now ends by itself, and goes with the run.
        with suppress(TemporaryFault, PermanentFault):
            await remote.client.delete(path, uid=made["metadata"]["uid"], grace_seconds=1)


def viewer_pod(job: Document, run: TrainingRun) -> Document:
    """The pod, made of the pod template of `job`. Raises ClusterRefusal where its curves went with its pods, or there never were any."""
    template = job["spec"]["template"]["spec"]
    beside = template.get("initContainers") or ()
    sidecar = next((each for each in beside if each.get("name") == TENSORBOARD), None)
    if sidecar is None:
        raise refusal(run, f"no container {TENSORBOARD} in its last attempt", "one")
    if not outlives_attempts(run):
        raise refusal(
            run,
            "a run that is over, whose storage was its node's own and went with its pod",
            "spec.storage.persistentVolumeClaim or spec.storage.s3, which keep them",
        )
    bringing = _bringing(sidecar, run)
    mounted = {
        mount["name"]
        for container in (sidecar, *bringing)
        for mount in container.get("volumeMounts") or ()
    }
    volumes = [each for each in template.get("volumes") or () if each["name"] in mounted]
    container = {key: value for key, value in sidecar.items() if key != "restartPolicy"}
    probe = {"tcpSocket": {"port": TENSORBOARD_PORT}, "periodSeconds": 1, "failureThreshold": 60}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{run.metadata.name[:40]}-curves-",
            "labels": {
                "app.kubernetes.io/component": "curves",
                labels.RUN_NAME: run.metadata.name,
            },
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "TrainingRun",
                    "name": run.metadata.name,
                    "uid": run.metadata.uid,
                }
            ],
        },
        "spec": {
            **{key: template[key] for key in _KEPT if key in template},
            "restartPolicy": "Never",
            "activeDeadlineSeconds": VIEW_SECONDS,
            "terminationGracePeriodSeconds": 1,
            **({"initContainers": bringing} if bringing else {}),
            "containers": [container | {"readinessProbe": probe}],
            "volumes": volumes,
        },
    }


def _bringing(sidecar: Document, run: TrainingRun) -> list[Document]:
    """What brings the curves to the pod before they are served, where they are in a bucket."""
    bucket = bucket_of(run)
    if bucket is None:
        return []
    told = bucket.model_dump_json(by_alias=True, exclude_none=True)
    key = [{"name": name, "value": text} for name, text in storage_variables(run).items()]
    tmp = [mount for mount in sidecar["volumeMounts"] if mount["name"] == "tmp"]
    kept = ("image", "imagePullPolicy", "resources", "securityContext")
    return [
        {
            **{key: sidecar[key] for key in kept if key in sidecar},
            "name": "documents",
            "command": ["python", "-m", "lightgpt", "documents"],
            "args": [output_folder(run), "--s3", told],
            "env": [*sidecar.get("env", ()), *key],
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [*storage_mounts(run), *tmp],
        }
    ]


def refusal(run: TrainingRun, found: str, expected: str, action: str = "") -> ClusterRefusal:
    """That there are no curves to be seen."""
    where = f"TensorBoard of run {run.metadata.name}"
    return ClusterRefusal(Fault(where=where, found=found, expected=expected, action=action))


async def _newest_job(remote: Remote, run: TrainingRun) -> Document:
    if not run.status.attempts:
        raise refusal(run, "no attempt yet", "a run that has trained")
    newest = run.status.attempts[-1].number
    path = JOBS.named(remote.namespace, name_of(run, newest, TRAINER))
    try:
        return await remote.client.get(path)
    except NotFound as fault:
        kept = _where_they_are(run)
        found = f"a run that is over, whose Job of attempt {newest} is gone"
        raise refusal(run, found, "the Job, which says how TensorBoard is run", kept) from fault


def _where_they_are(run: TrainingRun) -> str:
    claim, bucket = run.spec.storage.persistent_volume_claim, bucket_of(run)
    if claim is not None:
        return f"The events are on the claim {claim.claim_name}."
    if bucket is not None:
        return f"The events are in the bucket {bucket.bucket}, below {bucket.prefix}/tensorboard."
    return ""


async def _ready(remote: Remote, run: TrainingRun, path: str) -> SeenPod:
    end = time.monotonic() + START_SECONDS
    while True:
        document = await remote.client.get(path)
        pod = kept_pod(document)
        if _is_ready(document):
            return pod
        if pod.is_over or time.monotonic() > end:
            ended = f"it ended: {document['status'].get('message') or document['status']['phase']}"
            why = ended if pod.is_over else _wait_of(pod)
            raise refusal(
                run,
                f"the pod {pod.name}, which does not serve them: {why}",
                f"one that does within {START_SECONDS:.0f} s",
                "A claim that only one node may mount is free when nothing else on another node uses it.",
            )
        await asyncio.sleep(_LOOK_SECONDS)


def _is_ready(document: Document) -> bool:
    conditions: list[Any] = (document.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _wait_of(pod: SeenPod) -> str:
    if pod.waiting is not None:
        return ": ".join(part for part in pod.waiting if part)
    return pod.unscheduled or "it is not ready yet"
