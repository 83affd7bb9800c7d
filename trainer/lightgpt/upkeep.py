"""Verifies, prunes or deletes the checkpoints of a run that does not train, on a claim or in a bucket; the work of an upkeep pod.

Whatever it does it does as the newest attempt that is known: one that begins meanwhile is in its right, and this one stops.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lightgpt.checkpoint.faults import BrokenFile, CheckpointWarning, megabytes, storage_fault
from lightgpt.checkpoint.filesystem import FileSystem, remove_tree
from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.named import prune_named
from lightgpt.checkpoint.places import committed_steps, tombstone_path
from lightgpt.checkpoint.pruning import prune
from lightgpt.checkpoint.report import Severity, VerificationReport
from lightgpt.checkpoint.report import Verdict as Judgement
from lightgpt.checkpoint.verify import verify_checkpoint
from lightgpt.vault.vault import Vault
from runcontract import folder as layout
from runcontract.manifest import checkpoint_name
from runcontract.order import Checkpoints
from runcontract.upkeep import (
    MOST_TOLD,
    CheckpointVerdict,
    TendedCheckpoint,
    UpkeepReport,
    UpkeepTask,
)

if TYPE_CHECKING:
    from lightgpt.vault.objects import Objects

_VERDICTS: dict[Judgement, CheckpointVerdict] = {
    Judgement.VALID: "Valid",
    Judgement.VALID_WITH_WARNINGS: "ValidWithWarnings",
    Judgement.INVALID: "Invalid",
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whose checkpoints, where. `folder` is the run's output folder; with `objects` they are in the bucket and it is scratch space."""

    folder: Path
    run_uid: str
    attempt: int
    settings: Checkpoints = field(default_factory=Checkpoints)
    pins: frozenset[int] = frozenset()
    expected: frozenset[int] = frozenset()
    """Steps of which checkpoints are to be there."""
    objects: Objects | None = None


def tend(task: UpkeepTask, subject: Subject) -> UpkeepReport:
    """Does `task`; raises `StorageFault` where the folder or the bucket cannot be used, `CheckpointFault` when an attempt is at work there."""
    try:
        match task:
            case UpkeepTask.VERIFY:
                return _told(task, (*_verified(subject), *_missed(subject)))
            case UpkeepTask.PRUNE if subject.settings.pattern is not None:
                return _pruned_by_name(subject, subject.settings.pattern)
            case UpkeepTask.PRUNE:
                return _told(task, tuple(_pruned(subject)))
            case UpkeepTask.DELETE:
                return _deleted(subject)
    except OSError as error:
        raise storage_fault(subject.folder, error) from error


def _told(task: UpkeepTask, checkpoints: tuple[TendedCheckpoint, ...]) -> UpkeepReport:
    in_order = sorted(checkpoints, key=lambda each: each.step)
    bad = [each for each in in_order if each.verdict in {"Invalid", "Unreadable"}]
    gone = [each for each in in_order if each.deleted]
    words = [f"{len(in_order)} checkpoints"]
    if task is UpkeepTask.VERIFY:
        words.append(f"{len(in_order) - len(bad)} valid")
    if bad:
        words.append(f"not valid: {', '.join(str(each.step) for each in bad[:8])} ({bad[0].found})")
    if task is UpkeepTask.PRUNE:
        words.append(f"deleted: {', '.join(str(each.step) for each in gone[:16]) or 'none'}")
    return UpkeepReport(
        task=task,
        done=True,
        message="; ".join(words)[:1024],
        checkpoints=tuple(in_order[-MOST_TOLD:]),
    )


# ---- verify -----------------------------------------------------------------------------------------------------


def _verified(subject: Subject) -> Iterator[TendedCheckpoint]:
    if subject.objects is None:
        folder = subject.folder / layout.CHECKPOINTS
        for step in committed_steps(folder):
            yield _judged(step, verify_checkpoint(folder / checkpoint_name(step)))
        return
    vault = _vault(subject, subject.objects)
    for step in vault.steps():
        # One at a time: the scratch space never holds two.
        with tempfile.TemporaryDirectory(dir=_scratch(subject)) as name:
            scratch = Path(name)
            try:
                vault.fetch(step, scratch, FileSystem())
            except BrokenFile as error:
                yield TendedCheckpoint(step=step, verdict="Invalid", found=str(error)[:120])
                continue
            yield _judged(step, verify_checkpoint(scratch / checkpoint_name(step)))


def _missed(subject: Subject) -> Iterator[TendedCheckpoint]:
    if subject.objects is None:
        there = committed_steps(subject.folder / layout.CHECKPOINTS)
    else:
        there = _vault(subject, subject.objects).steps()
    for step in sorted(subject.expected - set(there)):
        yield TendedCheckpoint(
            step=step, verdict="Invalid", deleted=True, found="it is not there any more"
        )


def _judged(step: int, report: VerificationReport) -> TendedCheckpoint:
    worst = sorted(report.findings, key=lambda each: each.severity is not Severity.ERROR)
    found = f"{worst[0].where}: {worst[0].found}" if worst else ""
    return TendedCheckpoint(step=step, verdict=_VERDICTS[report.verdict], found=found[:120])


# ---- prune ------------------------------------------------------------------------------------------------------


def _pruned(subject: Subject) -> Iterator[TendedCheckpoint]:
    if subject.objects is None:
        folder = subject.folder / layout.CHECKPOINTS
        if not folder.is_dir():
            return
        for each in prune(folder, subject.settings, pins=subject.pins).checkpoints:
            yield TendedCheckpoint(
                step=each.step,
                verdict=None
                if each.state == "Verified"
                else ("Invalid" if each.state == "Broken" else "Unreadable"),
                deleted=each.deleted,
                found=each.problem[:120],
            )
        return
    warnings: list[CheckpointWarning] = []
    vault = _vault(subject, subject.objects, warnings)
    before = vault.steps()
    vault.prune(anew=True)
    after = set(vault.steps())
    broken = {
        step: warning.message
        for warning in warnings
        for step in before
        if checkpoint_name(step) in warning.message
    }
    for step in before:
        # What was found broken was set aside, not deleted.
        yield TendedCheckpoint(
            step=step,
            verdict="Invalid" if step in broken else None,
            deleted=step not in after and step not in broken,
            found=broken.get(step, "")[:120],
        )


def _pruned_by_name(subject: Subject, pattern: str) -> UpkeepReport:
    """Nothing is said of single checkpoints: their numbers may be those of others that are on record."""
    pruning = prune_named(
        subject.folder,
        pattern,
        keep_latest=subject.settings.keep_latest,
        pins=subject.pins,
        attempt=subject.attempt,
    )
    gone = [each.number for each in pruning.checkpoints if each.deleted]
    told = (
        f"{len(pruning.checkpoints)} checkpoints by name ({pattern}), none of them verified; "
        f"deleted: {', '.join(map(str, gone[:16])) or 'none'}, {megabytes(pruning.freed_bytes)}"
    )
    return UpkeepReport(task=UpkeepTask.PRUNE, done=True, message=told)


# ---- delete -----------------------------------------------------------------------------------------------------


def _deleted(subject: Subject) -> UpkeepReport:
    if subject.objects is not None:
        listed = subject.objects.listed()
        # Manifests first: what is left by a death in between is no checkpoint.
        keys = sorted(
            (each.key for each in listed), key=lambda key: (not key.endswith("manifest.json"), key)
        )
        subject.objects.remove(keys)
        told = f"deleted {len(listed)} objects, {megabytes(sum(each.size_bytes for each in listed))}, below {subject.objects.where}"
        return UpkeepReport(task=UpkeepTask.DELETE, done=True, message=told)
    files, size_bytes = FileSystem(), 0
    tombstone = tombstone_path(subject.folder, subject.attempt)
    if subject.folder.exists():
        if tombstone.exists():
            remove_tree(tombstone, files)
        files.rename(subject.folder, tombstone)
        files.sync_folder(subject.folder.parent)
    if tombstone.exists():
        size_bytes = sum(path.lstat().st_size for path in tombstone.rglob("*") if path.is_file())
        remove_tree(tombstone, files)
    told = f"deleted {subject.folder}, {megabytes(size_bytes)}"
    return UpkeepReport(task=UpkeepTask.DELETE, done=True, message=told)


def _vault(
    subject: Subject, objects: Objects, warnings: list[CheckpointWarning] | None = None
) -> Vault:
    return Vault(
        objects,
        subject.folder,
        identity=CheckpointIdentity.of_writer(run_uid=subject.run_uid, attempt=subject.attempt),
        settings=subject.settings,
        pins=subject.pins,
        warn=(warnings if warnings is not None else []).append,
    )


def _scratch(subject: Subject) -> Path:
    subject.folder.mkdir(parents=True, exist_ok=True)
    return subject.folder
