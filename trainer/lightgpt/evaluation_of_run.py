"""Scores a part of a finished or running run's text with one of its checkpoints; changes nothing in the run's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from lightgpt.data.cache_folder import default_cache_folder
from lightgpt.data.prepared import PreparedData, TextPart, prepare
from lightgpt.evaluate import evaluate, scored_lengths
from lightgpt.order_file import read_training_file
from lightgpt.train.step import precision
from lightgpt.train.world import read_world, use_threads
from lightgpt.trained import Trained, open_trained
from runcontract import folder as layout
from runcontract.audit import Audit
from runcontract.faults import CheckpointFault, DataFault, Fault
from runcontract.losses import Loss
from runcontract.order import Training


class ScoredPart(NamedTuple):
    """A loss, and over what."""

    checkpoint: str
    step: int
    part: str
    loss: Loss
    tokens: int
    characters: int

    def document(self) -> dict[str, Any]:
        """The result under camelCase keys."""
        return self._asdict() | {"loss": self.loss.document()}


def evaluate_run(
    path: Path,
    *,
    part: Literal["training", "validation", "test"],
    batch_size: int | None,
    data_root: Path | None,
) -> ScoredPart:
    """The loss of `part` by the model at `path`; raises the fault of whatever does not fit."""
    world = read_world({})
    use_threads(os.environ, local_size=1)
    trained = open_trained(path)
    training = read_training_file(trained.run_folder / layout.ORDER).training
    data = prepare(
        training,
        base_folder=data_root or _data_root(trained.run_folder),
        cache_folder=default_cache_folder(os.environ),
    )
    _refuse_another_text(data, trained)
    text = _part(data, part)
    trained.model.to(world.device)
    loss = evaluate(
        trained.model,
        text,
        trained.tokenizer,
        batch_size=batch_size or _batch_size(training),
        world=world,
        precision=lambda: precision(training, world.device),
    )
    assert loss is not None, "nothing interrupts this evaluation"
    return ScoredPart(
        checkpoint=trained.checkpoint.path.name,
        step=trained.checkpoint.manifest.step,
        part=part,
        loss=loss,
        tokens=len(text.tokens) - 1,
        characters=scored_lengths(text, trained.tokenizer)[0],
    )


def _data_root(run_folder: Path) -> Path:
    """The folder that the training read relative paths from, as far as its audit tells."""
    try:
        audit = Audit.model_validate_json((run_folder / layout.AUDIT).read_bytes())
    except (OSError, ValidationError):
        return run_folder
    return Path(audit.data_root or run_folder)


def _batch_size(training: Training) -> int:
    return training.evaluation.batch_size or training.batch_size


def _part(data: PreparedData, name: Literal["training", "validation", "test"]) -> TextPart:
    part = {"training": data.training, "validation": data.validation, "test": data.test}[name]
    if part is None:
        raise DataFault(
            Fault(
                where="--part",
                found=name,
                expected="training or validation, since training.data.testFraction is 0",
            )
        )
    return part


def _refuse_another_text(data: PreparedData, trained: Trained) -> None:
    manifest = trained.checkpoint.manifest
    for what, found, expected in (
        ("text", data.data_sha256, manifest.data_sha256),
        ("tokenizer", data.tokenizer_sha256, manifest.tokenizer_sha256),
    ):
        if found != expected:
            raise CheckpointFault(
                Fault(
                    where=str(trained.checkpoint.path),
                    found=f"a checkpoint of another {what} (hash {expected[:12]})",
                    expected=f"one of this {what} (hash {found[:12]})",
                    action="Was the text changed after the training?",
                )
            )
