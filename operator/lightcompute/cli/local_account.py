"""Why a run on this machine is where it is: what a look at it now would decide. Nothing is changed."""

from __future__ import annotations

import asyncio

from lightcompute.cli.target import Account
from lightcompute.core.decide import decide
from lightcompute.core.text import clock
from lightcompute.local.backend import LocalBackend
from lightcompute.local.folder import RunFolder, Runs


def account_of(runs: Runs, folder: RunFolder) -> Account:
    """The run with the status that would be written, and what would be done next."""
    snapshot = asyncio.run(LocalBackend(runs).observe(folder.name))
    assert snapshot is not None, "it existed a moment ago"
    decision = decide(snapshot)
    further = [f"Next: {type(action).__name__}" for action in decision.actions]
    if decision.look_again_at is not None:
        further.append(f"Looked at again at {clock(decision.look_again_at)} at the latest")
    if folder.has_controller():
        further.append("A process acts for it now.")
    run = snapshot.run.with_status(decision.status)
    return Account(run=run, now=snapshot.now, further=tuple(further))
