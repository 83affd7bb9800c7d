"""What is done once, when an order has come to its end: the last sample, and the test part scored with the best weights kept."""

from __future__ import annotations

from collections.abc import Callable

from lightgpt.checkpoint.reading import load_checkpoint
from lightgpt.checkpoint.store import CheckpointStore
from lightgpt.evaluate import evaluate
from lightgpt.train.material import Material
from lightgpt.train.snapshots import MODEL
from lightgpt.train.step import precision
from runcontract.losses import Loss
from runcontract.order import Training


def test_loss(
    material: Material,
    training: Training,
    *,
    step: int,
    store: CheckpointStore | None,
    interrupted: Callable[[], bool],
) -> Loss | None:
    """The loss of the test part; None where there is none, or when `interrupted` said so.

    The weights are the best that are kept. Where those are not the model's own at `step`, the model has them afterwards: call
    this last.
    """
    part, world = material.data.test, material.world
    if part is None:
        return None
    best = world.document_from_main({"step": _best_step(store, step)})["step"]
    if best == step:
        return material.judge.score_part(part, interrupted)
    if world.is_main:
        assert store is not None, "the main process holds the store"
        loaded = load_checkpoint(store.folder_of(best))
        material.model.load_state_dict(loaded.tensors[MODEL])
    for tensor in material.model.state_dict().values():
        world.from_main(tensor.detach())
    return evaluate(
        material.model,
        part,
        material.data.tokenizer,
        batch_size=training.evaluation.batch_size or training.batch_size,
        world=world,
        precision=lambda: precision(training, world.device),
        interrupted=interrupted,
    )


def _best_step(store: CheckpointStore | None, step: int) -> int:
    """Step of the lowest validation loss among the kept checkpoints; the present step when none was scored."""
    kept = store.inventory() if store is not None else ()
    scored = [
        (checkpoint.validation.nats_per_token, checkpoint.step)
        for checkpoint in kept
        if checkpoint.validation is not None and checkpoint.verified
    ]
    return min(scored)[1] if scored else step
