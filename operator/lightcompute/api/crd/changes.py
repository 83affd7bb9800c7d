"""What of a run may not change once it has begun, as a rule of the whole object: it looks at the old status too.

The numbers of a training are decided by its configuration, its program and where its checkpoints lie. Another one of these is
another run. A run that failed is free to be mended, and so is one of which no attempt has started.
"""

from __future__ import annotations

from lightcompute.api.crd.rule import Rule, literal, same
from runcontract.base import document_key
from runcontract.order import FREE_TO_CHANGE, Training

_MAY_CHANGE = (
    "!has(oldSelf.status) || !has(oldSelf.status.startTime)"
    " || (has(oldSelf.status.phase) && oldSelf.status.phase == 'Failed')"
)

_TOLD = (
    "what decides the numbers of a training cannot change once the run has started: put it back and make a new run of another name"
    " (a run that has Failed may be changed)"
)


def rule() -> Rule:
    """One rule for all fields, whose message names those that changed: twenty rules doubled what a write of a run costs an API server."""
    frozen = sorted({document_key(name) for name in Training.model_fields} - FREE_TO_CHANGE)
    training = "has(self.spec.training) == has(oldSelf.spec.training)"
    both = "!has(self.spec.training) || !has(oldSelf.spec.training)"
    kept = {
        "spec.trainer": same("spec.trainer"),
        "spec.storage": same("spec.storage"),
        "spec.training": training,
        **{path: f"{both} || {same(path)}" for path in (f"spec.training.{key}" for key in frozen)},
    }
    # Texts that are put together one by one are what the server's estimate of the cost allows; a list that is filtered is not.
    changed = " + ".join(
        f"(({is_kept}) ? '' : {literal(' ' + path)})" for path, is_kept in kept.items()
    )
    return Rule(
        holds=f"{_MAY_CHANGE} || ({' && '.join(f'({is_kept})' for is_kept in kept.values())})",
        message=_TOLD,
        finds=f"{literal(_TOLD + '; changed:')} + {changed}",
        field="spec",
    )
