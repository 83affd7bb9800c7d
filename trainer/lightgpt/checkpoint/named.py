"""Retention for a trainer that follows no manifest: files and folders that a pattern names, kept by a number in their names.

Nothing is read and nothing verified. Nothing outside the run's folder is touched: no folder on the way may be a link, links among the names
are left alone, and a folder is removed without following what it links to.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from lightgpt.checkpoint.faults import megabytes, storage_fault
from lightgpt.checkpoint.filesystem import FileSystem, remove_tree
from runcontract.base import ReportModel
from runcontract.faults import ConfigurationFault, Fault, shortened
from runcontract.named import (
    MAX_PATTERN_CHARACTERS,
    PATTERN_FORM,
    matches,
    number_in,
    parts_of,
    retain_named,
)

_DELETED = re.compile(r"\.(.+)\.deleted-[0-9]{1,7}")


class NamedCheckpoint(ReportModel):
    """What becomes of the names of one number."""

    number: int = Field(description="The last whole number in the names.")
    names: tuple[str, ...] = Field(description="Files and folders.")
    kept_because: tuple[str, ...] = Field(default=(), description="Reasons of the rule.")
    deleted: bool = Field(description="Whether they were deleted, or would be.")


class NamedPruning(ReportModel):
    """What `lightgpt checkpoint prune --pattern --json` says."""

    schema_version: int = Field(default=1, description="Version of this form.")
    folder: str = Field(description="Where the names are.")
    pattern: str = Field(description="What they match.")
    dry_run: bool = Field(description="Whether nothing was changed.")
    checkpoints: tuple[NamedCheckpoint, ...] = Field(
        description="All of them, lowest number first."
    )
    without_number: tuple[str, ...] = Field(description="Names that match and are never touched.")
    freed_bytes: int = Field(description="Size of what is deleted.")

    def text(self) -> str:
        """The report for a person."""
        return "\n".join(_lines(self))


def prune_named(
    folder: Path,
    pattern: str,
    *,
    keep_latest: int,
    pins: frozenset[int] = frozenset(),
    attempt: int = 1,
    dry_run: bool = False,
) -> NamedPruning:
    """Deletes what the rule gives up of the names below the run's output folder `folder` that match `pattern`.

    Only while nothing trains: a trainer without manifests leaves no lock. Raises `ConfigurationFault` for a pattern that is none and
    `StorageFault` where the folder cannot be read or written. A death in between leaves a hidden name that the next call removes.
    """
    if len(pattern) > MAX_PATTERN_CHARACTERS or not re.fullmatch(PATTERN_FORM, pattern):
        raise ConfigurationFault(
            Fault(
                where="pattern",
                found=shortened(pattern),
                expected="names below the run's folder, such as checkpoint-* or ckpt/*.pt",
            )
        )
    folders, last = parts_of(pattern)
    where = folder.joinpath(*folders)
    files, freed_bytes = FileSystem(), 0
    try:
        found = _found(folder, folders, last)
        numbered = [name for name in found if number_in(name) is not None]
        newest = max(numbered, key=lambda name: (found[name], name), default=None)
        retention = retain_named(found, keep_latest=keep_latest, pinned=pins, written_last=newest)
        if not dry_run and found:
            _sweep(where, last, files)
        for number in retention.deleted:
            for name in retention.names[number]:
                freed_bytes += _size_bytes(where / name)
                if not dry_run:
                    _remove(where / name, attempt, files)
    except OSError as error:
        raise storage_fault(where, error) from error
    return NamedPruning(
        folder=str(where),
        pattern=pattern,
        dry_run=dry_run,
        checkpoints=tuple(
            NamedCheckpoint(
                number=number,
                names=names,
                kept_because=tuple(sorted(retention.kept.get(number, ()))),
                deleted=number in retention.deleted,
            )
            for number, names in retention.names.items()
        ),
        without_number=tuple(
            sorted(set(found) - {n for of in retention.names.values() for n in of})
        ),
        freed_bytes=freed_bytes,
    )


def _found(folder: Path, folders: tuple[str, ...], last: str) -> dict[str, int]:
    """The names that match, with when each was written; none where a part of the way is missing, or is a link."""
    where = folder
    for part in folders:
        where /= part
        if where.is_symlink() or not where.is_dir():
            return {}
    if not where.is_dir():
        return {}
    found = {}
    for path in where.iterdir():
        if matches(path.name, last):
            state = path.lstat()
            if stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode):
                found[path.name] = state.st_mtime_ns
    return found


def _sweep(where: Path, last: str, files: FileSystem) -> None:
    """Removes what an earlier call was removing when it died."""
    for path in list(where.iterdir()):
        match = _DELETED.fullmatch(path.name)
        if match and matches(match.group(1), last) and path.is_dir() and not path.is_symlink():
            remove_tree(path, files)


def _remove(path: Path, attempt: int, files: FileSystem) -> None:
    if not path.is_dir():
        files.remove_file(path)
        return
    # Under another name first: a folder of which half is gone must not be taken for a checkpoint.
    hidden = path.with_name(f".{path.name}.deleted-{attempt}")
    if hidden.exists():
        remove_tree(hidden, files)
    files.rename(path, hidden)
    files.sync_folder(path.parent)
    remove_tree(hidden, files)


def _size_bytes(path: Path) -> int:
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode):
        return state.st_size
    below = (each.lstat() for each in path.rglob("*"))
    return sum(each.st_size for each in below if stat.S_ISREG(each.st_mode))


def _lines(report: NamedPruning) -> Iterator[str]:
    verb = "would be deleted" if report.dry_run else "deleted"
    for each in report.checkpoints:
        fate = verb if each.deleted else f"kept: {', '.join(each.kept_because)}"
        yield f"{each.number}  {', '.join(each.names)}  {fate}"
    for name in report.without_number:
        yield f"{name}  no number in its name: kept"
    count = sum(each.deleted for each in report.checkpoints)
    yield (
        f"{count} of {len(report.checkpoints)} checkpoints {verb} by their names, {megabytes(report.freed_bytes)}; "
        "nothing verifies them"
    )
