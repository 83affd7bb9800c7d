"""The end of a run's folder. Checkpoints that are to be kept move out of it first, to where no new run finds them by mistake."""

from __future__ import annotations

import shutil
from pathlib import Path

from lightcompute.local.folder import RunFolder
from runcontract import folder as names

KEPT = "_kept"
"""Folder below the runs' root; no run can have its name."""
_KEPT_FILES = (names.CHECKPOINTS, names.TOKENIZER, names.ORDER, names.AUDIT, names.RESULTS)


def remove(folder: RunFolder, *, run_uid: str, keep_checkpoints: bool) -> Path | None:
    """Deletes the run; returns where its checkpoints are when they were kept."""
    kept = _keep(folder, run_uid) if keep_checkpoints else None
    # The run is gone with this file; a crash after it leaves files that nobody takes for a run.
    folder.run_file.unlink(missing_ok=True)
    shutil.rmtree(folder.path)
    return kept


def _keep(folder: RunFolder, run_uid: str) -> Path | None:
    checkpoints = folder.path / names.CHECKPOINTS
    if not checkpoints.is_dir() or not any(checkpoints.iterdir()):
        return None
    kept = folder.path.parent / KEPT / f"{folder.name}-{run_uid[:8]}"
    kept.mkdir(parents=True, exist_ok=True)
    for name in _KEPT_FILES:
        source = folder.path / name
        if source.exists():
            source.rename(kept / name)
    return kept
