"""A pod that reads what a run has left, for as long as somebody on another machine looks: on its claim, or brought from its bucket.

It is made from the Job of the last attempt, of which it takes volumes and nothing that costs money. It belongs to the run (in
another cluster to the Job) and goes with it, and ends by itself after `VIEW_SECONDS`, whatever becomes of the machine that asked for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from lightcompute.api import TrainingRun, labels
from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.core.keeping import outlives_attempts
from lightcompute.kube.client import Document
from lightcompute.kube.faults import NotFound
from lightcompute.kube.manifests.marks import name_of
from lightcompute.kube.manifests.storage import bucket_of, storage_variables
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


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is read of which run, in the words of a refusal."""

    run: TrainingRun
    what: str
    """As in "TensorBoard"."""
    part: str
    """Name of the part in the pod's name and label, as in "curves"."""

    def refusal(self, found: str, expected: str, action: str = "") -> ClusterRefusal:
        """That it cannot be had."""
        where = f"{self.what} of run {self.run.metadata.name}"
        return ClusterRefusal(Fault(where=where, found=found, expected=expected, action=action))

    def refuse_what_is_gone(self) -> None:
        """Raises ClusterRefusal where what the run left went with its pods."""
        if not outlives_attempts(self.run):
            raise self.refusal(
                "a run that is over, whose storage was its node's own and went with its pod",
                "spec.storage.persistentVolumeClaim or spec.storage.s3, which keep them",
            )


@asynccontextmanager
async def reader_pod_of(
    remote: Remote, reading: Reading, pod_of: Callable[[Document], Document]
) -> AsyncIterator[SeenPod]:
    """The pod that `pod_of` makes of the newest Job, ready, until the block ends. Raises ClusterRefusal that says why there is none."""
    job = await _newest_job(remote, reading)
    made = await remote.client.create(PODS.within(remote.namespace), pod_of(job))
    path = PODS.named(remote.namespace, made["metadata"]["name"])
    try:
        yield await _ready(remote, reading, path)
    finally:
        # What cannot be deleted now ends by itself, and goes with the run.
        with suppress(TemporaryFault, PermanentFault):
            await remote.client.delete(path, uid=made["metadata"]["uid"], grace_seconds=1)


def reader_pod(
    job: Document,
    reading: Reading,
    container: Document,
    *,
    before: Iterable[Document] = (),
) -> Document:
    """A pod of `container`, with those `before` it run first, and of the volumes of `job` those that they mount."""
    template, run = job["spec"]["template"]["spec"], reading.run
    first = list(before)
    mounted = {
        mount["name"] for each in (container, *first) for mount in each.get("volumeMounts") or ()
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{run.metadata.name[:40]}-{reading.part}-",
            "labels": {
                "app.kubernetes.io/component": reading.part,
                labels.RUN_NAME: run.metadata.name,
            },
            "ownerReferences": [_owner_of(job, run)],
        },
        "spec": {
            **{key: template[key] for key in _KEPT if key in template},
            "restartPolicy": "Never",
            "activeDeadlineSeconds": VIEW_SECONDS,
            "terminationGracePeriodSeconds": 1,
            **({"initContainers": first} if first else {}),
            "containers": [container],
            "volumes": [each for each in template.get("volumes") or () if each["name"] in mounted],
        },
    }


def _owner_of(job: Document, run: TrainingRun) -> Document:
    """The run; or the Job where the run is in another cluster: there it would look gone, and the pod would be removed with it."""
    if any(
        each.get("uid") == run.metadata.uid for each in job["metadata"].get("ownerReferences") or ()
    ):
        owner = {"apiVersion": API_VERSION, "kind": "TrainingRun"}
        return {**owner, "name": run.metadata.name, "uid": run.metadata.uid}
    metadata = job["metadata"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def bucket_words(run: TrainingRun) -> list[str]:
    """The option by which our commands are told of the run's bucket; nothing where it has none."""
    bucket = bucket_of(run)
    return (
        [] if bucket is None else ["--s3", bucket.model_dump_json(by_alias=True, exclude_none=True)]
    )


def key_variables(run: TrainingRun) -> list[Document]:
    """What the environment says of the key for it."""
    return [{"name": name, "value": text} for name, text in storage_variables(run).items()]


async def _newest_job(remote: Remote, reading: Reading) -> Document:
    attempts = reading.run.status.attempts
    if not attempts:
        raise reading.refusal("no attempt yet", "a run that has trained")
    newest = attempts[-1].number
    path = JOBS.named(remote.namespace, name_of(reading.run, newest, TRAINER))
    try:
        return await remote.client.get(path)
    except NotFound as fault:
        raise reading.refusal(
            f"a run that is over, whose Job of attempt {newest} is gone",
            "the Job, which says with which image and volumes it is read",
            _where_it_is(reading.run),
        ) from fault


def _where_it_is(run: TrainingRun) -> str:
    claim, bucket = run.spec.storage.persistent_volume_claim, bucket_of(run)
    if claim is not None:
        return f"What it left is on the claim {claim.claim_name}."
    if bucket is not None:
        return f"What it left is in the bucket {bucket.bucket}, below {bucket.prefix}."
    return ""


async def _ready(remote: Remote, reading: Reading, path: str) -> SeenPod:
    end = time.monotonic() + START_SECONDS
    while True:
        document = await remote.client.get(path)
        pod = kept_pod(document)
        if _is_ready(document):
            return pod
        if pod.is_over or time.monotonic() > end:
            ended = f"it ended: {_last_word(document)}"
            why = ended if pod.is_over else _wait_of(pod)
            raise reading.refusal(
                f"the pod {pod.name}, which does not serve them: {why}",
                f"one that does within {START_SECONDS:.0f} s",
                "A claim that only one node may mount is free when nothing else on another node uses it.",
            )
        await asyncio.sleep(_LOOK_SECONDS)


def _last_word(document: Document) -> str:
    status = document["status"]
    for each in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        ended = (each.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode") and ended.get("message"):
            return " ".join(str(ended["message"]).split())[-600:]
    return str(status.get("message") or status["phase"])


def _is_ready(document: Document) -> bool:
    conditions: list[Any] = (document.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _wait_of(pod: SeenPod) -> str:
    if pod.waiting is not None:
        return ": ".join(part for part in pod.waiting if part)
    return pod.unscheduled or "it is not ready yet"
