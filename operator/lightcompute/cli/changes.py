"""What may be changed in the file of a run that exists already, and what may not.

What decides the numbers of the training stays as it was from the first step on (`runcontract.order.FREE_TO_CHANGE` is what is
free); the rest of the document may change: the budget, suspension, retention, lengths, restarts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightcompute.api import TrainingRun
from runcontract.faults import ConfigurationFault, Fault, shortened
from runcontract.order import FREE_TO_CHANGE


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every path at which two documents differ, with the old value and the new one; None stands for no value."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            below = f"{path}.{key}" if path else str(key)
            yield from differences(old.get(key), new.get(key), below)
    elif old != new:
        yield path, old, new


def refuse_forbidden(old: TrainingRun, new: TrainingRun) -> None:
    """Raises `ConfigurationFault` with every change that would make the checkpoints those of another training."""
    name = old.metadata.name
    faults = [
        Fault(
            where=f"spec.training.{path}",
            found=shortened(now),
            expected=f"{shortened(before)}, with which the run {name} began",
            action=f"Put it back, or train the changed file as a run of its own: --name {name}-2.",
        )
        for path, before, now in differences(_training(old), _training(new))
        if path.partition(".")[0] not in FREE_TO_CHANGE
    ]
    if faults:
        raise ConfigurationFault(*faults)


def told(old: TrainingRun, new: TrainingRun) -> tuple[str, ...]:
    """The changes of the spec, each as a line."""
    before, now = old.spec.document(), new.spec.document()
    return tuple(
        f"spec.{path}: {_value(was)} -> {_value(is_)}"
        for path, was, is_ in differences(before, now)
    )


def _training(run: TrainingRun) -> dict[str, Any]:
    return run.spec.training.document() if run.spec.training else {}


def _value(value: Any) -> str:
    return "nothing" if value is None else shortened(value)
