"""A checkpoint that a real `lightgpt serve` hands out, brought to another folder: whole, under its own name, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lightcompute.backend import TemporaryFault
from lightcompute.kube.remote_checkpoint import bring, serving_pod
from lightcompute.kube.remote_faults import ClusterRefusal
from lightcompute.testing.builders import RunBuilder, a_run
from runcontract import environment
from runcontract.faults import CheckpointFault, StorageFault
from runcontract.manifest import MANIFEST, Manifest, ManifestFile, sealed_bytes
from support.pod_security import violations
from support.rendered_runs import in_cluster, rendered

Document = dict[str, Any]
NAME = "step-00000007"
CONTENTS = {"weights.bin": b"w" * 300_000, "state.json": b"{}", "empty": b""}
CLAIM: Document = {"persistentVolumeClaim": {"claimName": "shared"}}
BUCKET: Document = {"s3": {"bucket": "training", "secretName": "key"}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with one checkpoint."""
    manifest = Manifest(
        run_uid="run-1", attempt=1, step=7, epoch=0.7, tokens=56, parameters=3, created_time=datetime.now(UTC),
        configuration_hash="", tokenizer_sha256="", data_sha256="", model={},
        files=tuple(
            ManifestFile(name=name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            for name, content in CONTENTS.items()
        ),
    )  # fmt: skip
    folder = tmp_path / "run" / "checkpoints" / NAME
    folder.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST).write_bytes(sealed_bytes(manifest))
    return tmp_path / "run"


@contextmanager
def served(run: Path, step: int = 7) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = (sys.executable, "-m", "lightgpt", "serve", str(run), "--step", str(step), "--port=0")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PYTHONUNBUFFERED": "1"}
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        yield f"http://127.0.0.1:{said.rpartition(' ')[2]}/", process
    finally:
        process.kill()
        process.communicate()


def test_it_comes_whole_and_under_its_own_name(run: Path, tmp_path: Path) -> None:
    with served(run) as (address, _):
        target, manifest = asyncio.run(bring(address, tmp_path / "copies", 7))
        with pytest.raises(StorageFault, match="something of that name already"):
            asyncio.run(bring(address, tmp_path / "copies", 7))
    assert target == tmp_path / "copies" / NAME
    assert {path.name: path.read_bytes() for path in target.iterdir() if path.name != MANIFEST} == (
        CONTENTS
    )
    assert (target / MANIFEST).read_bytes() == (run / "checkpoints" / NAME / MANIFEST).read_bytes()
    assert manifest.step == 7
    assert [path.name for path in target.parent.iterdir()] == [NAME]


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a changed file": lambda folder: (folder / "weights.bin").write_bytes(b"v" * 300_000),
    "a shorter file": lambda folder: (folder / "weights.bin").write_bytes(b"w" * 299_999),
    "a longer file": lambda folder: longer(folder / "weights.bin"),
    "a changed manifest": lambda folder: longer(folder / MANIFEST),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_one_that_is_broken_leaves_nothing_behind(run: Path, tmp_path: Path, damage: str) -> None:
    with served(run) as (address, _):
        DAMAGES[damage](run / "checkpoints" / NAME)
        with pytest.raises(CheckpointFault):
            asyncio.run(bring(address, tmp_path / "copies", 7))
    assert list((tmp_path / "copies").iterdir()) == []


def test_one_of_another_step_is_not_taken(run: Path, tmp_path: Path) -> None:
    with served(run) as (address, _), pytest.raises(CheckpointFault, match="a manifest of step 7"):
        asyncio.run(bring(address, tmp_path, 8))


def test_a_pod_that_goes_meanwhile_is_told_and_leaves_nothing_behind(
    run: Path, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        address, process = stack.enter_context(served(run))
        (run / "checkpoints" / NAME / "empty").unlink()
        with pytest.raises(TemporaryFault, match="ceased to hand it out"):
            asyncio.run(bring(address, tmp_path / "copies", 7))
        process.kill()
        process.wait()
        with pytest.raises(TemporaryFault, match="ceased to hand it out"):
            asyncio.run(bring(address, tmp_path / "copies", 7))
    assert list((tmp_path / "copies").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", "utf-8")
    with served(run) as (address, _), pytest.raises(StorageFault, match="Not a directory"):
        asyncio.run(bring(address, tmp_path / "file" / "copies", 7))


def test_a_checkpoint_that_is_not_there_is_not_served(run: Path) -> None:
    with served(run, step=8) as (_, process):
        _, told = process.communicate()
    assert process.returncode == 14
    assert "manifest.json is missing" in told


# The pod that hands it out.


def kept(storage: Document, **spec: Any) -> RunBuilder:
    return in_cluster(a_run().with_spec(storage=storage, **spec))


def pod_of(run: RunBuilder) -> Document:
    return serving_pod(rendered(run).job, run.build(), 7)


def test_the_pod_reads_the_claim_and_cannot_write_it() -> None:
    pod = pod_of(kept(CLAIM))
    (container,) = pod["spec"]["containers"]
    mounts = {each["name"]: each for each in container["volumeMounts"]}
    assert mounts["runs"]["readOnly"]
    assert {each["name"] for each in pod["spec"]["volumes"]} == {"runs", "tmp"}
    assert container["args"][1:3] == ["--step", "7"]
    assert "--s3" not in container["args"]
    assert "nvidia.com/gpu" not in str(container)
    assert violations(pod) == ()


def test_of_a_run_in_a_bucket_it_has_the_key_and_brings_it_first() -> None:
    pod = pod_of(kept(BUCKET))
    (container,) = pod["spec"]["containers"]
    bucket = json.loads(container["args"][container["args"].index("--s3") + 1])
    assert bucket["bucket"] == "training"
    assert environment.S3_CREDENTIALS in {each["name"] for each in container["env"]}
    assert {each["name"] for each in pod["spec"]["volumes"]} == {"runs", "s3-key", "tmp"}
    assert violations(pod) == ()


def test_without_curves_the_trainers_own_image_hands_it_out() -> None:
    pod = pod_of(kept(CLAIM, tensorboard={"enabled": False}))
    assert pod["spec"]["containers"][0]["image"]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (in_cluster(a_run()), "its node's own and went with its pod"),
        (
            kept(CLAIM, tensorboard={"enabled": False}, trainer={"command": ["train.sh"]}),
            "no container of our own image",
        ),
    ],
)
def test_where_it_cannot_be_had_that_is_said(run: RunBuilder, words: str) -> None:
    with pytest.raises(ClusterRefusal, match="A checkpoint of run baseline") as refused:
        pod_of(run)
    assert words in str(refused.value)
