"""A training's state as a checkpoint holds it, and back.

`model` holds the weights that evaluation sees, so that whoever opens a checkpoint gets the model that was scored. With
averaging these are the averaged ones, and `training_weights` holds those that training goes on from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from lightgpt.checkpoint.reading import LoadedCheckpoint
from lightgpt.checkpoint.snapshot import Snapshot
from lightgpt.model.gpt import GPT
from lightgpt.train.state import Evaluation, LoopState
from lightgpt.train.step import Stepper
from lightgpt.train.world import World
from runcontract.faults import CheckpointFault, Fault
from runcontract.losses import Loss

MODEL = "model"
OPTIMIZER = "optimizer"
TRAINING_WEIGHTS = "training_weights"
_LOOP = "loop"


def live_tensors(model: GPT, stepper: Stepper) -> dict[str, Mapping[str, Tensor]]:
    """Every tensor of the training, not copied: file stem -> name -> tensor."""
    weights = model.state_dict()
    tensors: dict[str, Mapping[str, Tensor]] = {
        MODEL: weights,
        OPTIMIZER: stepper.optimizer.state(),
    }
    if stepper.average is not None:
        tensors |= {MODEL: stepper.average.state(), TRAINING_WEIGHTS: weights}
    return tensors


def snapshot(model: GPT, stepper: Stepper, state: LoopState, *, max_steps: int) -> Snapshot:
    """The training as it stands, not copied.

    `schedule` and `history` are for readers of the checkpoint; the schedule itself is a function of the step.
    """
    schedule = {
        "step": state.step,
        "maxSteps": max_steps,
        "learningRate": stepper.learning_rate(state.step),
    }
    return Snapshot(
        tensors=live_tensors(model, stepper),
        state={_LOOP: state.document(), "schedule": schedule, "history": _history(state)},
    )


def restore(loaded: LoadedCheckpoint, model: GPT, stepper: Stepper) -> LoopState:
    """Puts a checkpoint into the training and gives the loop's state; raises `CheckpointFault` when it lacks something."""
    try:
        averaged = stepper.average is not None
        model.load_state_dict(loaded.tensors[TRAINING_WEIGHTS if averaged else MODEL])
        with torch.no_grad():
            stepper.optimizer.load_state(loaded.tensors[OPTIMIZER])
            if stepper.average is not None:
                stepper.average.load_state(loaded.tensors[MODEL])
        return LoopState.from_document(
            loaded.state[_LOOP],
            history=tuple(
                Evaluation(int(entry["step"]), Loss.model_validate(entry["validation"]))
                for entry in loaded.state["history"]
            ),
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointFault(
            Fault(
                where=str(loaded.path),
                found=f"a checkpoint without what this training needs ({type(error).__name__}: {error})"[
                    :500
                ],
                expected="a checkpoint that a training of this order saved",
                action="Train into another output folder.",
            )
        ) from error


def share(state: LoopState, model: GPT, stepper: Stepper, world: World) -> LoopState:
    """Gives every process what rank 0 has; tensors in place, the loop's state as the result."""
    if world.size > 1:
        for tensor in _in_order(live_tensors(model, stepper)):
            world.from_main(tensor)
    return LoopState.from_document(
        world.document_from_main(state.document()), history=state.history
    )


def _history(state: LoopState) -> list[dict[str, Any]]:
    return [
        {"step": entry.step, "validation": entry.validation.document()} for entry in state.history
    ]


def _in_order(tensors: Mapping[str, Mapping[str, Tensor]]) -> Iterator[Tensor]:
    for stem in sorted(tensors):
        yield from (tensors[stem][name].detach() for name in sorted(tensors[stem]))
