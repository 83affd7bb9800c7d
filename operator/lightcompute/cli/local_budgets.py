"""TrainingBudgets on this machine, for `lightcompute budgets`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lightcompute.api import TrainingBudget, TrainingRun, read_resource
from lightcompute.api.words import FINISHED
from lightcompute.local import records
from lightcompute.local.backend import price_per_hour
from lightcompute.local.books import Books
from lightcompute.local.folder import Runs
from runcontract.faults import ConfigurationFault, ContractFault, Fault


class LocalBudgets:
    """The budgets beside `runs`."""

    def __init__(self, runs: Runs) -> None:
        self._books = Books(runs)

    def told(self) -> tuple[TrainingBudget, ...]:
        """Each as it stands now, by name."""
        return self._books.told(records.now())

    def notes(self) -> tuple[str, ...]:
        """Of the runs that nothing holds, since they cost nothing."""
        drawing = self._books.drawing(records.now())
        free = ", ".join(sorted(run.metadata.name for run in drawing if _is_free(run)))
        told = "Not held, as no price per hour was given for them (--price-per-hour-usd)"
        return (f"{told}: {free}",) if free else ()

    def set(self, file: Path) -> str:
        """Makes or changes the budget of `file`; what was done. Raises `ConfigurationFault` that names the file."""
        try:
            made, new = self._books.allow(_budget_in(file), records.now())
        except ConfigurationFault as error:
            raise ConfigurationFault(*(_in_file(file, fault) for fault in error.faults)) from error
        path = self._books.files.path(made.metadata.name)
        return f"TrainingBudget {made.metadata.name} is {'made' if new else 'set'}: {path}"

    def delete(self, name: str) -> str:
        """Deletes it; what was done."""
        self._books.disallow(name)
        return f"TrainingBudget {name} is deleted."


def _is_free(run: TrainingRun) -> bool:
    return run.status.phase not in FINISHED and not price_per_hour(run)


def _budget_in(file: Path) -> TrainingBudget:
    found = read_resource(file)
    if isinstance(found, TrainingBudget):
        return found
    raise ConfigurationFault(Fault(where="kind", found=found.kind, expected="TrainingBudget"))


def _in_file(file: Path, fault: Fault) -> Fault:
    named = fault.where.startswith(str(file)) or fault.where.startswith("/")
    return fault if named else replace(fault, where=f"{file}: {fault.where}")


def refuse_unreadable(runs: Runs) -> None:
    """Raises `ConfigurationFault` with what is wrong in files of budgets: under such a budget nothing would start."""
    files = Books(runs).files
    faults: list[Fault] = []
    for name in files.names():
        try:
            files.read(name)
        except ContractFault as error:
            faults += error.faults
    if faults:
        raise ConfigurationFault(*faults)
