"""A checkpoint of a run in a cluster, brought to this machine: handed out by a pod that reads the run's storage, through the API server.

Every file is hashed as it comes and held against the manifest; the checkpoint appears under its own name when all of it is there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp

from lightcompute.api import TrainingRun
from lightcompute.backend import TemporaryFault
from lightcompute.kube.client import Document
from lightcompute.kube.manifests.pod import RESTRICTED
from lightcompute.kube.manifests.storage import bucket_of, output_folder, storage_mounts
from lightcompute.kube.observed import TENSORBOARD, TRAINER, SeenPod
from lightcompute.kube.remote import Remote
from lightcompute.kube.remote_reader import (
    Reading,
    bucket_words,
    key_variables,
    reader_pod,
    reader_pod_of,
)
from runcontract.faults import CheckpointFault, Fault, StorageFault
from runcontract.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Manifest,
    ManifestFile,
    checkpoint_name,
    parse_manifest,
)

SERVE_PORT = 6007
_READY = "/tmp/ready"  # noqa: S108 - a volume of the pod's own
_SILENT_SECONDS = 60.0
_PIECE_BYTES = 1 << 20


@asynccontextmanager
async def serving(remote: Remote, run: TrainingRun, step: int) -> AsyncIterator[SeenPod]:
    """A pod that hands out the checkpoint of `run` at `step` until the block ends. Raises ClusterRefusal that says why there is none."""
    reading = _reading(run)
    async with reader_pod_of(remote, reading, lambda job: serving_pod(job, run, step)) as pod:
        yield pod


def serving_pod(job: Document, run: TrainingRun, step: int) -> Document:
    """The pod, of an image of our trainer that `job` has. Raises ClusterRefusal where there is none, or where nothing was kept."""
    reading = _reading(run)
    template = job["spec"]["template"]["spec"]
    beside = next(
        (each for each in template.get("initContainers") or () if each["name"] == TENSORBOARD), None
    )
    trainer = next((each for each in template["containers"] if each["name"] == TRAINER), None)
    ours = trainer if run.spec.training is not None and not run.spec.trainer.command else None
    source = beside or ours
    if source is None:
        raise reading.refusal(
            "no container of our own image in its last attempt", f"the trainer, or {TENSORBOARD}"
        )
    reading.refuse_what_is_gone()
    container: Document = {
        "name": "checkpoint",
        "image": source["image"],
        **{key: source[key] for key in ("imagePullPolicy",) if key in source},
        "command": ["python", "-m", "lightgpt", "serve"],
        "args": [
            output_folder(run), "--step", str(step), "--port", str(SERVE_PORT), "--ready", _READY,
            *bucket_words(run),
        ],
        "env": [{"name": "HOME", "value": "/tmp"}, *key_variables(run)],  # noqa: S108 - the same
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"memory": "1Gi"},
        },
        "securityContext": RESTRICTED,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "readinessProbe": {
            "exec": {"command": ["test", "-e", _READY]},
            "periodSeconds": 1,
            "failureThreshold": 600,
        },
        "volumeMounts": [*_mounts(run), {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the same
    }  # fmt: skip
    return reader_pod(job, reading, container)


def _mounts(run: TrainingRun) -> list[Document]:
    """A claim is read and no more; what is in a bucket is brought to the pod's own disk first."""
    if bucket_of(run) is not None:
        return storage_mounts(run)
    return [{**each, "readOnly": True} for each in storage_mounts(run)]


async def bring(address: str, destination: Path, step: int) -> tuple[Path, Manifest]:
    """Fetches the checkpoint that is handed out at `address` into a folder of its name in `destination`.

    Raises `StorageFault` where something of that name is there or the folder cannot be written, `CheckpointFault` for one that is not
    what its manifest says, and TemporaryFault where it is not handed out to its end. Nothing is left behind then.
    """
    target = destination / checkpoint_name(step)
    try:
        with _coming_to_be(target) as temporary:
            manifest = await _fetched(address, temporary, step)
    except aiohttp.ClientError as error:
        raise TemporaryFault(f"the pod ceased to hand it out: {error}") from error
    except TimeoutError as error:
        raise TemporaryFault(f"nothing came from the pod for {_SILENT_SECONDS:.0f} s") from error
    except OSError as error:
        raise _unwritable(target, error.strerror or str(error)) from error
    return target, manifest


@contextmanager
def _coming_to_be(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` when the block ends well, and is gone otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _refuse_existing(target)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.copy-", dir=target.parent))
    try:
        yield temporary
        _sync(temporary)
        # mkdtemp lets in nobody else; a checkpoint is read by whoever may read its folder.
        temporary.chmod(0o755)
        _refuse_existing(target)
        temporary.rename(target)
        _sync(target.parent)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(temporary)
        raise


async def _fetched(address: str, folder: Path, step: int) -> Manifest:
    bounds = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENT_SECONDS)
    async with aiohttp.ClientSession(timeout=bounds, raise_for_status=True) as session:
        raw = b""
        async with session.get(f"{address}{MANIFEST}") as answer:
            async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                raw += piece
                if len(raw) > MAX_MANIFEST_BYTES:
                    break
        try:
            manifest = parse_manifest(raw)
        except ValueError as error:
            raise _broken(step, f"{MANIFEST}: {error}") from error
        if manifest.step != step:
            raise _broken(step, f"a manifest of step {manifest.step}")
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < manifest.size_bytes:
            raise _unwritable(
                folder, f"{free_bytes:,} bytes free", f"{manifest.size_bytes:,} bytes"
            )
        for file in manifest.files:
            await _fetch_file(session, address, folder, file, step)
    _write(folder / MANIFEST, raw)
    return manifest


async def _fetch_file(
    session: aiohttp.ClientSession, address: str, folder: Path, file: ManifestFile, step: int
) -> None:
    digest, size_bytes = hashlib.sha256(), 0
    async with session.get(f"{address}{file.name}") as answer:
        with (folder / file.name).open("xb") as written:
            async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                size_bytes += len(piece)
                if size_bytes > file.size_bytes:
                    break
                digest.update(piece)
                written.write(piece)
            written.flush()
            os.fsync(written.fileno())
    if (size_bytes, digest.hexdigest()) != (file.size_bytes, file.sha256):
        raise _broken(step, f"{file.name} does not match its hash")


def _write(path: Path, raw: bytes) -> None:
    with path.open("xb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_existing(target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise StorageFault(
            Fault(
                where=str(target),
                found="something of that name already",
                expected="a folder without this checkpoint",
                action="Nothing is overwritten: choose another folder, or move that away.",
            )
        )


def _unwritable(
    path: Path, found: str, expected: str = "a folder that can be written"
) -> StorageFault:
    return StorageFault(Fault(where=str(path), found=found, expected=expected))


def _broken(step: int, found: str) -> CheckpointFault:
    return CheckpointFault(
        Fault(
            where=checkpoint_name(step),
            found=found,
            expected="a whole checkpoint to copy",
            action="`lightcompute checkpoint verify RUN --all` shows which ones are whole; --step takes one of them.",
        )
    )


def _reading(run: TrainingRun) -> Reading:
    return Reading(run=run, what="A checkpoint", part="checkpoint")
