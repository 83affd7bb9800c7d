"""How fast a run was that is like another: what was measured on the same devices says more than a model of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from lightcompute.api.training_run import TrainingRun
from runcontract.order import FREE_TO_CHANGE

_NO_MATTER = FREE_TO_CHANGE | {"seed"}


def measured_on(gpu_type: str, run: TrainingRun, known: Iterable[TrainingRun]) -> float | None:
    """Tokens a second that the newest of `known` with the configuration of `run` reached on `gpu_type`, or None."""
    wanted = _configuration(run)
    newest: tuple[datetime, float] | None = None
    for other in known:
        if _configuration(other) != wanted:
            continue
        for attempt in other.status.attempts:
            if attempt.place.gpu_type != gpu_type or not attempt.tokens_per_second:
                continue
            found = (attempt.reserved_time, attempt.tokens_per_second)
            newest = found if newest is None else max(newest, found)
    return None if newest is None else newest[1]


def _configuration(run: TrainingRun) -> tuple[Any, ...]:
    """What decides how fast it is: all that decides its numbers but the seed, the program, and on how many devices it runs."""
    trainer, training = run.spec.trainer, run.spec.training
    document = {} if training is None else training.document()
    shape = {key: value for key, value in document.items() if key not in _NO_MATTER}
    return (
        shape,
        trainer.image,
        trainer.command,
        trainer.num_nodes,
        trainer.num_proc_per_node,
    )
