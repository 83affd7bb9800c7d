"""A bucket that pods reach, and what real runs have left in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from lightcompute.api import TrainingRunStatus
from support.realnode.rig import Rig
from support.realnode.runs import Runs
from support.s3_server import BUCKET, KEY, KEY_ID, S3Server
from support.testcluster.api import Api

SECRET = "bucket"


@pytest.fixture(scope="module")
def server(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server at an address that pods reach."""
    folder = tmp_path_factory.mktemp("s3")
    with S3Server(folder, host=rig.space.host, within=rig.space.network) as server:
        yield server


def make_key(api: Api, namespace: str, *, key: str = KEY) -> None:
    """The Secret that runs of the namespace get their key from."""
    api.post(
        f"/api/v1/namespaces/{namespace}/secrets",
        {
            "metadata": {"name": SECRET},
            "stringData": {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": key},
        },
    )


def with_key(runs: Runs, server: S3Server, *, key: str = KEY) -> dict[str, object]:
    """Makes the Secret; gives the storage of a run that uses it."""
    make_key(runs.rig.api, runs.namespace, key=key)
    s3 = {
        "bucket": BUCKET,
        "prefix": runs.namespace,
        "endpoint": server.endpoint,
        "secretName": SECRET,
    }
    return {"storage": {"s3": s3}}


def committed(server: S3Server, runs: Runs) -> list[str]:
    """Checkpoints of the namespace's runs in the bucket."""
    found = server.file(runs.namespace).glob("*/checkpoints/step-*/manifest.json")
    return sorted(path.parent.name for path in found)


def hashes(server: S3Server, runs: Runs, name: str, step: int) -> dict[str, str]:
    """Of the tensors of a checkpoint in the bucket, as its manifest has them and as they are."""
    [manifest] = server.file(runs.namespace).glob(
        f"{name}-*/checkpoints/step-{step:08d}/manifest.json"
    )
    found = {}
    for file in json.loads(manifest.read_bytes())["files"]:
        if file["name"].endswith(".safetensors"):
            [path] = manifest.parent.glob(f"attempt-*/{file['name']}")
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
            found[file["name"]] = file["sha256"]
    return found


def has_saved(status: TrainingRunStatus, number: int) -> bool:
    """Whether the attempt `number` is the newest, has begun, and has saved something of its own."""
    if not status.attempts or status.attempts[-1].number != number:
        return False
    first = status.attempts[-1].first_step
    return first is not None and any(each.step > first for each in status.checkpoints)


def all_valid(status: TrainingRunStatus) -> bool:
    """Whether all its checkpoints were verified where they lie, and are whole."""
    return all(
        each.verified and each.verdict in {"Valid", "ValidWithWarnings"}
        for each in status.checkpoints
    )
