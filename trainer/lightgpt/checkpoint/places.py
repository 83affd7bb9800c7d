"""The names in a run's checkpoint folder, and what may be read off them alone.

    step-00000100               committed: it has a sealed manifest
    step-00000100.pinned        an empty file: retention leaves that checkpoint alone
    step-00000200.tmp-2         being written by attempt 2
    step-00000050.deleted-2     being deleted by attempt 2
    step-00000150.broken-1      found broken and set aside; never deleted by us
    attempt-00000002.lock       attempt 2 has begun to write here

A pin stands beside the folder, never in it: a committed folder is not touched again.
"""

from __future__ import annotations

import re
from pathlib import Path

from runcontract.manifest import PIN_SUFFIX, checkpoint_name, step_of

_LEFTOVER = re.compile(
    r"step-[0-9]{8,12}(\.(?:tmp|deleted)-[0-9]{1,7})*\.(?:tmp|deleted)-([0-9]{1,7})"
)
_BROKEN = re.compile(r"step-[0-9]{8,12}\.broken-[0-9]{1,7}")
_LOCK = re.compile(r"attempt-([0-9]{8})\.lock")


def committed_steps(folder: Path) -> tuple[int, ...]:
    """Steps of the committed checkpoints in `folder`, newest first; empty when there is no folder."""
    found = (step_of(name) for name in _names(folder) if (folder / name).is_dir())
    known = {step for step in found if step is not None}
    return tuple(
        step
        for step in sorted(known, reverse=True)
        if (folder / checkpoint_name(step)).is_dir()  # step-0000000100 is not our name of 100
    )


def leftovers(folder: Path, *, up_to_attempt: int) -> tuple[Path, ...]:
    """Folders that attempts up to this one were writing or deleting when they ended."""
    return tuple(
        folder / name
        for name in _names(folder)
        if (match := _LEFTOVER.fullmatch(name)) and int(match.group(2)) <= up_to_attempt
    )


def quarantined(folder: Path) -> tuple[Path, ...]:
    """Checkpoints that were set aside."""
    return tuple(folder / name for name in _names(folder) if _BROKEN.fullmatch(name))


def locks(folder: Path) -> dict[int, Path]:
    """The lock file of each attempt that has one."""
    return {
        int(match.group(1)): folder / name
        for name in _names(folder)
        if (match := _LOCK.fullmatch(name))
    }


def lock_path(folder: Path, attempt: int) -> Path:
    """Lock file of `attempt`."""
    return folder / f"attempt-{attempt:08d}.lock"


def temporary_path(folder: Path, step: int, attempt: int) -> Path:
    """Where `attempt` writes the checkpoint at `step`."""
    return folder / f"{checkpoint_name(step)}.tmp-{attempt}"


def tombstone_path(path: Path, attempt: int) -> Path:
    """The name under which `attempt` deletes `path`."""
    return path.with_name(f"{path.name}.deleted-{attempt}")


def quarantine_path(path: Path) -> Path:
    """The first free name for setting `path` aside."""
    number = 1
    while (target := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    return target


def pin_path(folder: Path, step: int) -> Path:
    """The file whose presence pins the checkpoint at `step`."""
    return folder / f"{checkpoint_name(step)}{PIN_SUFFIX}"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
