"""Small training states and stores for tests of checkpoints; the same everywhere, so that equality means something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lightgpt.checkpoint.filesystem import FileSystem
from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.reading import LoadedCheckpoint
from lightgpt.checkpoint.snapshot import Snapshot
from lightgpt.checkpoint.store import CheckpointStore, SavedCheckpoint
from lightgpt.vault.objects import Objects
from runcontract.losses import Loss
from runcontract.order import Checkpoints

IDENTITY = CheckpointIdentity(
    run_uid="run-1",
    attempt=1,
    configuration_hash="a" * 64,
    tokenizer_sha256="b" * 64,
    data_sha256="c" * 64,
    model={"layers": 1, "vocabSize": 16},
    parameters=52,
    training={"seed": 1337, "model": {"layers": 1}, "maxSteps": 100},
)


def loss(value: float) -> Loss:
    """A loss of `value` nats per token."""
    return Loss(nats_per_token=value, nats_per_character=value / 3, bits_per_byte=value / 2)


def tensors_of(step: int) -> dict[str, dict[str, Tensor]]:
    """Tensors that only `step` has, of several types and shapes, an empty one and a scalar among them."""
    generator = torch.Generator().manual_seed(step)
    weight = torch.randn(4, 8, generator=generator)
    return {
        "model": {"weight": weight, "gain": torch.randn(20, generator=generator)},
        "optimizer": {
            "moment.weight": torch.randn(4, 8, generator=generator).to(torch.bfloat16),
            "moment.empty": torch.zeros(0, 3),
            "step": torch.tensor(step, dtype=torch.int64),
        },
    }


def snapshot_of(step: int) -> Snapshot:
    """The state of a training at `step`."""
    return Snapshot(tensors=tensors_of(step), state={"step": step, "history": [0.1, step / 3]})


def store_at(
    folder: Path,
    *,
    attempt: int = 1,
    keep_latest: int = 3,
    keep_best: bool = True,
    files: FileSystem | None = None,
    identity: CheckpointIdentity = IDENTITY,
    objects: Objects | None = None,
) -> CheckpointStore:
    """A store of `attempt`."""
    return CheckpointStore(
        folder,
        identity=replace(identity, attempt=attempt),
        settings=Checkpoints(keep_latest=keep_latest, keep_best=keep_best),
        files=files,
        objects=objects,
    )


def save(store: CheckpointStore, step: int, *, validation: float | None = None) -> SavedCheckpoint:
    """Saves `snapshot_of(step)` and waits until it is verified."""
    scored = None if validation is None else loss(validation)
    store.save(snapshot_of(step), step=step, epoch=step / 10, tokens=step * 8, validation=scored)
    [saved] = store.wait()
    return saved


def is_state_of(loaded: LoadedCheckpoint, step: int) -> bool:
    """Whether `loaded` is bit for bit what `save` wrote for `step`."""
    return (
        loaded.manifest.step == step
        and loaded.state == snapshot_of(step).state
        and _equal(loaded.tensors, tensors_of(step))
    )


def _equal(found: Mapping[str, Mapping[str, Tensor]], wanted: dict[str, dict[str, Tensor]]) -> bool:
    return found.keys() == wanted.keys() and all(
        found[stem].keys() == named.keys()
        and all(
            found[stem][name].dtype == tensor.dtype and torch.equal(found[stem][name], tensor)
            for name, tensor in named.items()
        )
        for stem, named in wanted.items()
    )
