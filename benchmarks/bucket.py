"""What a checkpoint in a bucket costs beyond one in a folder: the loop's stall, the time until it is whole there, memory, and the way back.

    python benchmarks/bucket.py [--saves 5]

The state is that of `checkpoint.py` (275 MB), in its folder alone and with a real S3 server on this machine, in turns. `memory_over_one_copy`:
what the process holds at its peak above itself with the state and the one copy that a save is written from. `way_back`: from nothing on
the disk to tensors in memory, every byte hashed twice (as it comes, and as it is loaded), over `sha256sum` of the same files.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from checkpoint import MODEL, VOCABULARY, sha256sum, state, timed
from machine import machine
from torch import Tensor

from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.snapshot import Snapshot
from lightgpt.checkpoint.store import CheckpointStore
from lightgpt.vault.objects import Objects
from runcontract.order import Checkpoints

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.s3_server import S3Server

_IDENTITY = CheckpointIdentity(
    run_uid="benchmark",
    attempt=1,
    configuration_hash="a" * 64,
    tokenizer_sha256="b" * 64,
    data_sha256="c" * 64,
    model=MODEL | {"vocabSize": VOCABULARY},
    parameters=0,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--saves", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, S3Server(Path(name) / "server") as server:
        folder = Path(name)
        tensors, _ = state()
        objects = Objects(server.bucket("benchmark"), credentials=server.key_files(folder / "key"))
        result: dict[str, object] = {"machine": machine()}
        result["folder"] = saved(folder / "alone" / "checkpoints", tensors, None, arguments.saves)
        result["bucket"] = saved(folder / "run" / "checkpoints", tensors, objects, arguments.saves)
        result["way_back"] = fetched(folder / "other" / "checkpoints", objects)
        print(json.dumps(result, indent=1))


def saved(
    folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], objects: Objects | None, saves: int
) -> dict[str, object]:
    stalls, seconds = [], []
    folder.parent.mkdir(parents=True)
    with CheckpointStore(
        folder, identity=_IDENTITY, settings=Checkpoints(keep_latest=2), objects=objects
    ) as store:
        store.prepare(tensors)
        with_one_copy = peak_bytes()
        for step in range(saves):
            snapshot = Snapshot(tensors=tensors, state={"schedule": {}, "history": []})
            stalls.append(store.save(snapshot, step=step, epoch=0, tokens=0))
            seconds += [each.seconds for each in store.wait()]
    return {
        "stall_ms": round(statistics.median(stalls) * 1e3, 1),
        "until_whole_s": round(statistics.median(seconds), 2),
        "memory_over_one_copy_mb": round((peak_bytes() - with_one_copy) / 1e6, 1),
    }


def fetched(folder: Path, objects: Objects) -> dict[str, object]:
    folder.parent.mkdir(parents=True)
    with CheckpointStore(
        folder, identity=_IDENTITY, settings=Checkpoints(), objects=objects
    ) as store:
        seconds = timed(store.load_newest)
    files = sorted(max(folder.glob("step-*")).glob("*.safetensors"))
    hashing = statistics.median(timed(lambda: sha256sum(files)) for _ in range(3))
    return {"seconds": round(seconds, 2), "over_sha256sum": round(seconds / hashing, 2)}


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
