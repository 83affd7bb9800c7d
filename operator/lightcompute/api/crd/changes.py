"""What of a run may not change once it has begun, as rules of the whole object: they look at the old status too.

The numbers of a training are decided by its configuration, its program and where its checkpoints lie. Another one of these is
another run. A run that failed is free to be mended, and so is one of which no attempt has started.
"""

from __future__ import annotations

from lightcompute.api.crd.rule import Rule
from runcontract.base import document_key
from runcontract.order import FREE_TO_CHANGE, Training

_MAY_CHANGE = (
    "!has(oldSelf.status) || !has(oldSelf.status.startTime)"
    " || (has(oldSelf.status.phase) && oldSelf.status.phase == 'Failed')"
)


def rules() -> tuple[Rule, ...]:
    """One rule for each field, so that a person is told which."""
    frozen = sorted({document_key(name) for name in Training.model_fields} - FREE_TO_CHANGE)
    return (
        _fixed("trainer"),
        _fixed("storage"),
        Rule(
            holds=f"{_MAY_CHANGE} || has(self.spec.training) == has(oldSelf.spec.training)",
            message=_message("spec.training"),
            field="spec",
        ),
        *(_fixed_in_training(key) for key in frozen),
    )


def _fixed(key: str) -> Rule:
    path = f"spec.{key}"
    return Rule(holds=f"{_MAY_CHANGE} || {_same(path)}", message=_message(path), field=path)


def _fixed_in_training(key: str) -> Rule:
    path = f"spec.training.{key}"
    both = "!has(self.spec.training) || !has(oldSelf.spec.training)"
    return Rule(
        holds=f"{_MAY_CHANGE} || {both} || {_same(path)}", message=_message(path), field=path
    )


def _same(path: str) -> str:
    """Whether the value at `path` is as it was, or absent as it was."""
    new, old = f"self.{path}", f"oldSelf.{path}"
    return f"(has({new}) ? has({old}) && {new} == {old} : !has({old}))"


def _message(path: str) -> str:
    return (
        f"{path} cannot change once the run has started: put it back and make a new run of another name"
        " (a run that has Failed may be changed)"
    )
