"""What a path given for verification is: one of our checkpoints, a tensor file, a sharded model, or a run with several.

It finds files and reads their small descriptions; it opens no tensor.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lightgpt.checkpoint.faults import BrokenFile
from lightgpt.checkpoint.places import committed_steps
from lightgpt.checkpoint.whole import opened
from runcontract import folder as run_folder
from runcontract.faults import CheckpointFault, Fault
from runcontract.manifest import MANIFEST, checkpoint_name

INDEX_SUFFIX = ".safetensors.index.json"
_MAX_INDEX_BYTES = 64 << 20
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.safetensors")

Kind = Literal["Checkpoint", "TensorFile", "ShardedModel"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Something to verify: a folder with a manifest, one tensor file, or a folder of tensor files."""

    kind: Kind
    path: Path


def subjects(path: Path, *, everything: bool = False) -> tuple[Subject, ...]:
    """What to verify at `path`: of a run the newest checkpoint, or with `everything` all of them, newest first.

    Raises `CheckpointFault` when there is nothing that could be verified.
    """
    if path.is_file():
        return (Subject(kind="TensorFile", path=path),)
    if not path.is_dir():
        raise _nothing(path, "no such file or folder")
    if (path / MANIFEST).exists() or checkpoint_like(path):
        return (Subject(kind="Checkpoint", path=path),)
    for folder in (path / run_folder.CHECKPOINTS, path):
        if steps := committed_steps(folder):
            found = steps if everything else steps[:1]
            return tuple(
                Subject(kind="Checkpoint", path=folder / checkpoint_name(step)) for step in found
            )
    if any(path.glob("*.safetensors")) or any(path.glob(f"*{INDEX_SUFFIX}")):
        return (Subject(kind="ShardedModel", path=path),)
    raise _nothing(path, "a folder without checkpoints")


def checkpoint_like(path: Path) -> bool:
    """Whether the folder's name says that it is one of ours, committed or not."""
    return bool(re.match(r"step-[0-9]{8,12}(\.|$)", path.name))


def shards(path: Path) -> tuple[dict[str, str] | None, tuple[str, ...]]:
    """Of a folder of tensor files: which file holds which tensor, if an index says so, and the files.

    Raises `BrokenFile` for an index that cannot be trusted, such as one that leads out of the folder.
    """
    indexes = sorted(path.glob(f"*{INDEX_SUFFIX}"))
    if not indexes:
        return None, tuple(sorted(file.name for file in path.glob("*.safetensors")))
    if len(indexes) > 1:
        raise BrokenFile(f"{len(indexes)} index files; expected one")
    weight_map = _weight_map(indexes[0])
    return weight_map, tuple(sorted(set(weight_map.values())))


def _weight_map(index: Path) -> dict[str, str]:
    with opened(index) as (file, size_bytes):
        if size_bytes > _MAX_INDEX_BYTES:
            raise BrokenFile(f"{index.name} has {size_bytes} bytes, more than any index")
        raw = file.read(size_bytes) or b""
    try:
        document = json.loads(raw)
        weight_map = document["weight_map"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise BrokenFile(f"{index.name} is no index with a weight_map") from error
    if not isinstance(weight_map, dict) or not all(
        isinstance(name, str) and _FILE_NAME.fullmatch(name) for name in weight_map.values()
    ):
        raise BrokenFile(f"{index.name} names files that are no .safetensors files beside it")
    return weight_map


def _nothing(path: Path, found: str) -> CheckpointFault:
    return CheckpointFault(
        Fault(
            where=str(path),
            found=found,
            expected="a checkpoint folder, a run folder, a .safetensors file, or a folder of them",
        )
    )
