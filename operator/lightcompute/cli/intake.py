"""From a file to a run in its folder: made when there is none of its name, changed as the file says when there is one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lightcompute.api import Phase, TrainingRun, read_training_run
from lightcompute.api.money import parse_usd
from lightcompute.api.words import FINISHED
from lightcompute.cli.changes import refuse_forbidden, told
from lightcompute.local import command
from lightcompute.local.backend import PRICE
from lightcompute.local.folder import RunFolder
from lightcompute.local.store import SOURCE, RunStore
from runcontract.faults import ConfigurationFault, Fault

PRICE_VARIABLE = "LIGHTCOMPUTE_PRICE_PER_HOUR_USD"
_FOREIGN = ("checkpoints", "results.json", "progress.jsonl")


@dataclass(frozen=True, kw_only=True)
class Intake:
    """The run as it was taken in: `new`, or with the changes that were made to it; `over` when nothing more is to be done."""

    run: TrainingRun
    new: bool
    changes: tuple[str, ...] = ()
    over: bool = False


def wanted_run(
    file: Path, assignments: tuple[str, ...], name: str | None, price: str | None
) -> TrainingRun:
    """The run that the file and the options describe; raises `ConfigurationFault` for what cannot be run here."""
    named = (*assignments, *((f"metadata.name={name}",) if name else ()))
    run = read_training_run(file, named)
    notes = {SOURCE: str(file.absolute()), **run.metadata.annotations}
    price = price or os.environ.get(PRICE_VARIABLE)
    if price:
        notes[PRICE] = _checked_price(price)
    metadata = run.metadata.model_copy(update={"annotations": notes})
    run = run.model_copy(update={"metadata": metadata})
    faults = command.faults(run)
    if faults:
        raise ConfigurationFault(
            *(
                Fault(where=str(file), found=fault, expected="what this machine can run")
                for fault in faults
            )
        )
    return run


def considered(folder: RunFolder, wanted: TrainingRun) -> Intake:
    """What `take_in` would come to. Nothing is written."""
    if not folder.exists():
        _refuse_foreign_files(folder)
        return Intake(run=wanted, new=True)
    old = RunStore(folder).read()
    refuse_forbidden(old, wanted)
    if old.status.phase in FINISHED - {Phase.FAILED}:
        return Intake(run=old, new=False, over=True)
    new = _merged(old, wanted)
    if new.spec != old.spec or old.status.phase is Phase.FAILED:
        metadata = new.metadata.model_copy(update={"generation": old.metadata.generation + 1})
        new = new.model_copy(update={"metadata": metadata})
    return Intake(run=new, new=False, changes=told(old, new))


def take_in(folder: RunFolder, wanted: TrainingRun) -> Intake:
    """Makes the run or changes it. The caller holds its lock."""
    found, store = considered(folder, wanted), RunStore(folder)
    if found.new:
        return Intake(run=store.create(wanted), new=True)
    if found.over:
        return found
    # To run a failed run again is to say that something was mended, be it outside its document.
    again = found.run.status.phase is Phase.FAILED
    changed = store.change(lambda old: _merged(old, wanted), again=again)
    return Intake(run=changed, new=False, changes=found.changes)


def _merged(old: TrainingRun, wanted: TrainingRun) -> TrainingRun:
    """The run `old` as `wanted` has it."""
    metadata = old.metadata.model_copy(
        update={
            "annotations": {**old.metadata.annotations, **wanted.metadata.annotations},
            "labels": wanted.metadata.labels,
        }
    )
    return wanted.model_copy(update={"metadata": metadata, "status": old.status})


def _checked_price(text: str) -> str:
    try:
        parse_usd(text)
    except ValueError as error:
        raise ConfigurationFault(
            Fault(
                where=f"--price-per-hour-usd or {PRICE_VARIABLE}",
                found=repr(text),
                expected="US dollars with at most six decimals, such as 1.29",
            )
        ) from error
    return text


def _refuse_foreign_files(folder: RunFolder) -> None:
    found = [name for name in _FOREIGN if (folder.path / name).exists()]
    if found:
        raise ConfigurationFault(
            Fault(
                where=str(folder.path),
                found=f"{found[0]} of no run that is known here",
                expected="a folder without one",
                action="Choose another name by --name, or move the folder away.",
            )
        )
