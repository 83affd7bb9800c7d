"""What a checkpoint costs: the loop's stall, the size of the files, and the speed of verifying against plain reading.

    python benchmarks/checkpoint.py [--folder FOLDER] [--saves 7]

The state is that of the old baseline: 6 layers, 6 heads, 384 wide, a vocabulary of 16,000, untied, with Adam's two moments
(22.9 M parameters, 275 MB). Times are medians. Ratios against sha256sum and a plain read of the same files, taken in turns on
the same machine, are what holds elsewhere; the files are in the page cache, so they measure our overhead and not the disk.
Peers: `torch.save` and `safetensors.torch.save_file` of the same state, synchronous, to the same folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import machine
from safetensors.torch import save_file
from torch import Tensor

from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.scan import scan_file
from lightgpt.checkpoint.snapshot import Snapshot
from lightgpt.checkpoint.store import CheckpointStore
from lightgpt.checkpoint.verify import verify_checkpoint
from lightgpt.model.gpt import GPT
from runcontract.document import parse_model
from runcontract.order import Checkpoints, Model

MODEL = {
    "layers": 6,
    "heads": 6,
    "embeddingSize": 384,
    "contextLength": 256,
    "tiedEmbeddings": False,
}
VOCABULARY = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    parser.add_argument("--saves", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print(json.dumps(measure(Path(folder), saves=arguments.saves), indent=1))


def measure(folder: Path, *, saves: int) -> dict[str, object]:
    tensors, parameters = state()
    result: dict[str, object] = {
        "machine": machine(),
        "parameters": parameters,
    }
    result |= saving(folder / "checkpoints", tensors, parameters, saves=saves)
    result |= verifying(folder / "checkpoints")
    result |= peers(folder, tensors, times=max(2, saves // 2))
    return result


def state() -> tuple[dict[str, dict[str, Tensor]], int]:
    model = GPT(parse_model(Model, MODEL), VOCABULARY)
    model.initialize(1337)
    weights = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    moments = {
        f"{kind}.{name}": torch.full_like(tensor, 1e-3)
        for kind in ("first", "second")
        for name, tensor in weights.items()
    }
    return {"model": weights, "optimizer": moments}, model.parameter_count


def saving(
    folder: Path, tensors: dict[str, dict[str, Tensor]], parameters: int, *, saves: int
) -> dict[str, object]:
    identity = CheckpointIdentity(
        run_uid="benchmark",
        attempt=1,
        configuration_hash="a" * 64,
        tokenizer_sha256="b" * 64,
        data_sha256="c" * 64,
        model=MODEL | {"vocabSize": VOCABULARY},
        parameters=parameters,
    )
    stalls, seconds = [], []
    with CheckpointStore(folder, identity=identity, settings=Checkpoints(keep_latest=2)) as store:
        store.prepare(tensors)
        for step in range(saves):
            stalls.append(
                store.save(
                    Snapshot(tensors=tensors, state={"schedule": {}, "history": []}),
                    step=step,
                    epoch=0,
                    tokens=0,
                )
            )
            seconds += [saved.seconds for saved in store.wait()]
        size_bytes = store.inventory()[-1].size_bytes
        load_s = timed(store.load_newest)
    return {
        "stall_ms": {"median": median_ms(stalls), "max": round(max(stalls) * 1e3, 1), "goal": 50},
        "save_and_read_back_s": round(statistics.median(seconds), 3),
        "load_and_verify_s": round(load_s, 3),
        "size_bytes": size_bytes,
        "size_over_12_bytes_a_parameter": round(size_bytes / (12 * parameters), 6),
    }


def verifying(folder: Path) -> dict[str, object]:
    newest = max(folder.glob("step-*"))
    files = sorted(newest.glob("*.safetensors"))
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    rates: dict[str, list[float]] = {
        name: [] for name in ("verify", "values_only", "sha256sum", "read")
    }
    for _ in range(4):
        rates["verify"].append(size_mb / timed(lambda: verify_checkpoint(newest)))
        rates["values_only"].append(size_mb / timed(lambda: values_only(files)))
        rates["sha256sum"].append(size_mb / timed(lambda: sha256sum(files)))
        rates["read"].append(size_mb / timed(lambda: read(files)))
    mb_per_s = {name: round(statistics.median(found[1:])) for name, found in rates.items()}
    return {
        "mb_per_s": mb_per_s,
        "verify_over_sha256sum": round(mb_per_s["verify"] / mb_per_s["sha256sum"], 2),
        "values_only_over_read": round(mb_per_s["values_only"] / mb_per_s["read"], 2),
    }


def peers(folder: Path, tensors: dict[str, dict[str, Tensor]], *, times: int) -> dict[str, object]:
    flat = {f"{stem}.{name}": t for stem, named in tensors.items() for name, t in named.items()}
    path = folder / "peer"
    return {
        "peer_stall_ms": {
            "torch.save": median_ms([timed(lambda: torch.save(flat, path)) for _ in range(times)]),
            "safetensors.save_file": median_ms(
                [timed(lambda: save_file(flat, path)) for _ in range(times)]
            ),
        }
    }


def values_only(files: list[Path]) -> None:
    for file in files:
        scan_file(file, hashed=False)


def sha256sum(files: list[Path]) -> None:
    subprocess.run(["sha256sum", *map(str, files)], check=True, stdout=subprocess.DEVNULL)


def read(files: list[Path]) -> None:
    memory = bytearray(8 << 20)
    for file in files:
        with file.open("rb", buffering=0) as opened:
            while opened.readinto(memory):
                continue


def timed(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def median_ms(seconds: list[float]) -> float:
    return round(statistics.median(seconds) * 1e3, 1)


if __name__ == "__main__":
    main()
