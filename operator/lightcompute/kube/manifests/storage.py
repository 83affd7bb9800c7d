"""Where a run's folder is in its pods, and what of its storage they are given: a claim, the machine's own disk, a key for a bucket."""

from __future__ import annotations

from lightcompute.api.training_run import TrainingRun
from lightcompute.kube.client import Document
from runcontract import environment
from runcontract.order import Bucket

RUNS_FOLDER = "/runs"
KEY_FOLDER = "/var/run/lightcompute-s3"
_KEY = "s3-key"


def folder_name(run: TrainingRun) -> str:
    """Name of the run's folder: the same for all its attempts, and no other run's, even of the same name."""
    return f"{run.metadata.name}-{run.metadata.uid[:8]}"


def output_folder(run: TrainingRun) -> str:
    """The run's folder in its pods."""
    return f"{RUNS_FOLDER}/{folder_name(run)}"


def bucket_of(run: TrainingRun) -> Bucket | None:
    """The run's own prefix of its bucket; None where it has none."""
    s3 = run.spec.storage.s3
    if s3 is None:
        return None
    prefix = f"{s3.prefix.rstrip('/')}/{folder_name(run)}".lstrip("/")
    return Bucket(bucket=s3.bucket, prefix=prefix, endpoint=s3.endpoint, region=s3.region)


def storage_variables(run: TrainingRun) -> dict[str, str]:
    """What the trainer's environment says of it."""
    return {environment.S3_CREDENTIALS: KEY_FOLDER} if _secret(run) else {}


def storage_mounts(run: TrainingRun) -> list[Document]:
    """What a container that works on the run's folder mounts."""
    runs: Document = {"name": "runs", "mountPath": RUNS_FOLDER}
    if not _secret(run):
        return [runs]
    return [runs, {"name": _KEY, "mountPath": KEY_FOLDER, "readOnly": True}]


def storage_volumes(run: TrainingRun) -> list[Document]:
    """What a pod that works on the run's folder brings."""
    claim, ephemeral = run.spec.storage.persistent_volume_claim, run.spec.storage.ephemeral
    if claim is not None:
        return [{"name": "runs", "persistentVolumeClaim": {"claimName": claim.claim_name}}]
    limit = ephemeral.size_limit if ephemeral is not None else "50Gi"
    volumes: list[Document] = [{"name": "runs", "emptyDir": {"sizeLimit": limit}}]
    if secret := _secret(run):
        # Optional: the trainer says at once, and in its last word, that there is no key; a pod that cannot mount it says so in an event.
        volumes.append({"name": _KEY, "secret": {"secretName": secret, "optional": True}})
    return volumes


def _secret(run: TrainingRun) -> str | None:
    s3 = run.spec.storage.s3
    return None if s3 is None else s3.secret_name
