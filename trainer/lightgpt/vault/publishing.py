"""A checkpoint is kept by the bucket, and only then does the bucket forget an older one: the order that every writer follows."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from lightgpt.checkpoint.faults import BrokenFile, CheckpointWarning
from lightgpt.vault.vault import Vault


def publish_and_prune(
    vault: Vault, path: Path, warn: Callable[[CheckpointWarning], None]
) -> tuple[str, ...] | None:
    """Publishes the committed checkpoint at `path` and deletes what the rule gives up; the names that stay in the bucket.

    None where it is published and the deletion failed: that is a warning, for it costs space and nothing else. Raises OSError
    when it is not published, and `CheckpointFault` when a later attempt has begun.
    """
    try:
        vault.publish(path)
    except BrokenFile as error:
        raise OSError(errno.EIO, f"it changed while it was read: {error}", str(path)) from error
    vault.resumed_from = None
    try:
        return vault.prune()
    except OSError as error:
        found = f"cannot delete old checkpoints: {error.filename}: {error.strerror}"
        warn(CheckpointWarning(reason="CheckpointBucketFault", message=found))
        return None
