"""Retention by hand, for a folder that no training writes to: what its trainer would delete, and nothing it would keep.

The rule is `runcontract.retention`, applied to what the hashes of this very call say: a checkpoint that does not match is no
verified one, so it pushes nothing out, and what cannot be read today is left as it is. The attempt's own lock keeps a trainer out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from lightgpt.checkpoint.faults import BrokenFile, CheckpointWarning, megabytes, storage_fault
from lightgpt.checkpoint.fence import Fence, highest_attempt
from lightgpt.checkpoint.filesystem import FileSystem
from lightgpt.checkpoint.places import committed_steps, leftovers, pin_path
from lightgpt.checkpoint.reading import read_state
from lightgpt.checkpoint.shelf import Shelf
from lightgpt.checkpoint.whole import read_manifest
from runcontract.base import ReportModel
from runcontract.faults import CheckpointFault, Fault
from runcontract.losses import Loss
from runcontract.manifest import STATE_FILE, Manifest, checkpoint_name
from runcontract.order import Checkpoints
from runcontract.retention import KnownCheckpoint, Retention, retain


class PrunedCheckpoint(ReportModel):
    """What was found of one checkpoint, and what becomes of it."""

    name: str = Field(description="Name of the folder.")
    step: int = Field(description="Optimizer steps done.")
    state: Literal["Verified", "Broken", "Unreadable"] = Field(
        description="Whether every hash matched, one did not, or the files could not be read now."
    )
    problem: str = Field(default="", description="What is wrong with it.")
    size_bytes: int | None = Field(default=None, description="Size of its files.")
    kept_because: tuple[str, ...] = Field(
        default=(), description="Reasons of the retention rule; an unreadable one is kept without."
    )
    deleted: bool = Field(description="Whether it was deleted, or would be.")


class Pruning(ReportModel):
    """What `lightgpt checkpoint prune --json` says."""

    schema_version: Literal[1] = Field(default=1, description="Version of this form.")
    folder: str = Field(description="The folder of checkpoints.")
    dry_run: bool = Field(description="Whether nothing was changed.")
    checkpoints: tuple[PrunedCheckpoint, ...] = Field(description="All of them, oldest first.")
    leftovers: tuple[str, ...] = Field(
        description="Folders that killed attempts were writing or deleting, removed too."
    )
    freed_bytes: int = Field(description="Size of the checkpoints that are deleted.")

    def text(self) -> str:
        """The report for a person."""
        return "\n".join(_lines(self))


@dataclass(frozen=True, kw_only=True)
class _Found:
    """One checkpoint after its hashes were compared; no manifest where that could not be read."""

    step: int
    state: Literal["Verified", "Broken", "Unreadable"]
    manifest: Manifest | None = None
    problem: str = ""


def prune(
    folder: Path,
    settings: Checkpoints,
    *,
    pins: frozenset[int] = frozenset(),
    dry_run: bool = False,
    files: FileSystem | None = None,
) -> Pruning:
    """Applies the rule to the checkpoints in `folder`; `pins` are pinned beside those with a pin file.

    Raises `CheckpointFault` when another process holds the folder, or when what is kept changed meanwhile; `StorageFault` when
    something cannot be deleted. With `dry_run` nothing is changed and nobody is kept out.
    """
    disk = files or FileSystem()
    run_uid = _run_uid(folder)
    attempt = max(1, highest_attempt(folder, run_uid=run_uid))
    warnings: list[CheckpointWarning] = []
    shelf = Shelf(folder, attempt=attempt, settings=settings, files=disk, warn=warnings.append)
    if dry_run or not committed_steps(folder):
        # A folder without checkpoints may be anybody's: no lock is left there.
        found, retention = _judged(folder, shelf, settings, pins)
        left = leftovers(folder, up_to_attempt=attempt) if dry_run else ()
        return _report(folder, found, retention, left, dry=dry_run)
    with _held(folder, attempt, run_uid, disk) as fence:
        left = leftovers(folder, up_to_attempt=attempt)
        shelf.sweep()
        found, retention = _judged(folder, shelf, settings, pins)
        for step in retention.deleted:
            fence.check()
            _refuse_changes(folder, shelf, retention, found)
            try:
                shelf.delete(step)
            except OSError as error:
                raise storage_fault(folder / checkpoint_name(step), error) from error
        left = tuple(path for path in left if not path.exists())
        return _report(folder, found, retention, left, dry=False)


@contextmanager
def _held(folder: Path, attempt: int, run_uid: str, files: FileSystem) -> Iterator[Fence]:
    """The right to write into `folder`, which the newest attempt has while it lives."""
    try:
        fence = Fence(folder, attempt=attempt, run_uid=run_uid, files=files)
    except OSError as error:
        raise storage_fault(folder, error) from error
    try:
        yield fence
    finally:
        fence.release()


def _judged(
    folder: Path, shelf: Shelf, settings: Checkpoints, pins: frozenset[int]
) -> tuple[tuple[_Found, ...], Retention]:
    found = tuple(_look(shelf, step) for step in reversed(committed_steps(folder)))
    scored = _scored_later(folder, found)
    # Pins are looked at last: reading gigabytes takes minutes, in which somebody may have pinned one.
    known = [
        KnownCheckpoint(
            step=each.step,
            verified=each.state == "Verified",
            validation_loss=_loss(each, scored),
            pinned=each.step in pins or pin_path(folder, each.step).exists(),
        )
        for each in found
        if each.state != "Unreadable"
    ]
    outcome = retain(known, keep_latest=settings.keep_latest, keep_best=settings.keep_best)
    return found, outcome


def _look(shelf: Shelf, step: int) -> _Found:
    try:
        manifest, _ = shelf.verify(step)
    except BrokenFile as error:
        return _Found(step=step, state="Broken", problem=str(error))
    except OSError as error:
        return _Found(step=step, state="Unreadable", problem=error.strerror or str(error))
    return _Found(step=step, state="Verified", manifest=manifest)


def _loss(found: _Found, scored: Mapping[int, Loss]) -> float | None:
    if found.manifest is None:
        return None
    validation = found.manifest.validation or scored.get(found.step)
    return validation.nats_per_token if validation else None


def _scored_later(folder: Path, found: tuple[_Found, ...]) -> Mapping[int, Loss]:
    """Losses that only later checkpoints tell: a signal may have hurried one before its step was scored."""
    losses: dict[int, Loss] = {}
    for each in found:
        files = {file.name: file for file in each.manifest.files} if each.manifest else {}
        if STATE_FILE not in files:
            continue
        # Another trainer's state holds what it likes.
        with suppress(BrokenFile, OSError, KeyError, TypeError, ValueError):
            state = read_state(folder / checkpoint_name(each.step), files[STATE_FILE])
            for entry in state["history"]:
                losses[int(entry["step"])] = Loss.model_validate(entry["validation"])
    return losses


def _refuse_changes(
    folder: Path, shelf: Shelf, retention: Retention, found: tuple[_Found, ...]
) -> None:
    verified = {each.step for each in found if each.state == "Verified"}
    changed = [step for step in retention.kept if step in verified and not shelf.is_as_read(step)]
    if changed:
        raise CheckpointFault(
            Fault(
                where=str(folder / checkpoint_name(changed[0])),
                found="files that were changed after their hashes were compared",
                expected="a folder that nothing else writes to",
                action="Nothing more was deleted. Find out what writes there, and prune again.",
            )
        )


def _run_uid(folder: Path) -> str:
    """Whose attempts count: the run of the newest manifest that can be read."""
    for step in committed_steps(folder):
        with suppress(BrokenFile, OSError):
            return read_manifest(folder / checkpoint_name(step))[0].run_uid
    return ""


def _report(
    folder: Path,
    found: tuple[_Found, ...],
    retention: Retention,
    left: tuple[Path, ...],
    *,
    dry: bool,
) -> Pruning:
    gone = set(retention.deleted)
    return Pruning(
        folder=str(folder),
        dry_run=dry,
        checkpoints=tuple(
            PrunedCheckpoint(
                name=checkpoint_name(each.step),
                step=each.step,
                state=each.state,
                problem=each.problem,
                size_bytes=each.manifest.size_bytes if each.manifest else None,
                kept_because=tuple(sorted(retention.kept.get(each.step, ()))),
                deleted=each.step in gone,
            )
            for each in found
        ),
        leftovers=tuple(path.name for path in left),
        freed_bytes=sum(
            each.manifest.size_bytes for each in found if each.step in gone and each.manifest
        ),
    )


def _lines(report: Pruning) -> Iterator[str]:
    verb = "would be deleted" if report.dry_run else "deleted"
    for each in report.checkpoints:
        fate = verb if each.deleted else f"kept: {', '.join(each.kept_because) or 'not readable'}"
        size = "" if each.size_bytes is None else f"  {megabytes(each.size_bytes)}"
        problem = f"  ({each.problem})" if each.problem else ""
        yield f"{each.name}  {each.state}{size}  {fate}{problem}"
    for name in report.leftovers:
        yield f"{name}  left over  {verb}"
    count = sum(each.deleted for each in report.checkpoints)
    yield f"{count} of {len(report.checkpoints)} checkpoints {verb}, {megabytes(report.freed_bytes)}"
