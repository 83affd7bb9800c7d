"""What is done before the program starts: the folder becomes what it would be on a claim that outlived the last attempt."""

from __future__ import annotations

import time
from collections.abc import Callable

from lightgpt.carry.terms import Terms
from lightgpt.checkpoint.faults import BrokenFile, CheckpointWarning, only_broken, storage_fault
from lightgpt.checkpoint.filesystem import FileSystem, remove_tree
from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.places import committed_steps, leftovers
from lightgpt.vault.beginning import Beginning
from lightgpt.vault.objects import Objects
from lightgpt.vault.vault import Vault
from runcontract.faults import Fault, StorageFault
from runcontract.manifest import checkpoint_name

_LOOK_SECONDS = 1.0
_MOST_SECONDS = 1800
"""How long the pods of other ranks wait for that of rank 0: it may be pulling its image."""


def opened_vault(
    terms: Terms, objects: Objects, warn: Callable[[CheckpointWarning], None]
) -> Vault:
    """The run's part of the bucket, in the name of this attempt."""
    return Vault(
        objects,
        terms.folder,
        identity=CheckpointIdentity.of_writer(
            run_uid=terms.run_uid, attempt=terms.environment.attempt
        ),
        settings=terms.settings,
        warn=warn,
    )


def bring(terms: Terms, vault: Vault) -> int | None:
    """Claims the bucket and brings its newest whole checkpoint; the step, None when the run has never saved one.

    Raises `StorageFault` where folder or bucket fail, and `CheckpointFault` when there are only broken checkpoints or a later attempt has begun.
    """
    try:
        _prepare(terms)
        vault.claim()
        step = vault.bring_newest(terms.checkpoints, FileSystem())
        vault.resumed_from = step
        broken = vault.quarantined() if step is None else ()
        if broken and not committed_steps(terms.checkpoints):
            raise only_broken(vault.where, broken)
        vault.tell_beginning(step)
    except OSError as error:
        raise storage_fault(terms.folder, error) from error
    return step


def bring_beside(terms: Terms, vault: Vault) -> int | None:
    """The same for a pod of another rank, which changes nothing in the bucket: it brings the very checkpoint that rank 0 has brought.

    That is told in the bucket. What is newest there may be another by now: rank 0 may have saved since, or have found one broken.
    """
    step = None
    try:
        _prepare(terms)
        step = _beginning(vault).resumed_from_step
        if step is not None and not (terms.checkpoints / checkpoint_name(step)).exists():
            vault.fetch(step, terms.checkpoints, FileSystem())
    except OSError as error:
        raise storage_fault(terms.folder, error) from error
    except BrokenFile as error:
        raise StorageFault(_not_the_same(vault, step, str(error))) from error
    return step


def _beginning(vault: Vault) -> Beginning:
    until_s = time.monotonic() + _MOST_SECONDS
    while (told := vault.beginning()) is None:
        if time.monotonic() > until_s:
            raise StorageFault(_nobody(vault))
        time.sleep(_LOOK_SECONDS)
    return told


def _prepare(terms: Terms) -> None:
    """A folder for checkpoints, without what a killed process of this machine left."""
    terms.checkpoints.mkdir(parents=True, exist_ok=True)
    if terms.staging.exists():
        remove_tree(terms.staging, FileSystem())
    for path in leftovers(terms.checkpoints, up_to_attempt=terms.environment.attempt):
        remove_tree(path, FileSystem())


def _nobody(vault: Vault) -> Fault:
    return Fault(
        where=vault.where,
        found=f"that the pod of rank 0 has not begun in {_MOST_SECONDS} s",
        expected="that it claims the bucket and tells from where all pods go on, as it does first of all",
    )


def _not_the_same(vault: Vault, step: int | None, found: str) -> Fault:
    return Fault(
        where=vault.where if step is None else f"{vault.where}: {checkpoint_name(step)}",
        found=found,
        expected="the checkpoint that the pod of rank 0 has brought, whole: it would go on from another one",
    )
