"""TrainingBudgets beside the runs of one folder, as files: `_budgets/NAME/budget.yaml` is what a person allows, `status.yaml` what has to be remembered.

A budget exists as of `budget.yaml` and until that is gone. Everything that can be read from the runs is read from them, so the status holds only
what they cannot tell: what deleted runs spent, and periods that are over.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightcompute.api import TrainingBudget
from lightcompute.api.training_budget import TrainingBudgetStatus
from lightcompute.local.files import Stamp, locked, stamp_of, sync_folder, write_whole
from lightcompute.local.folder import unwritable
from lightcompute.local.records import now
from runcontract.document import dump_document, parse_model, read_document

FOLDER = "_budgets"
"""Folder below the runs' root; no run can have its name."""
BUDGET = "budget.yaml"
STATUS = "status.yaml"
_CHANGE_LOCK = "change.lock"


class BudgetFiles:
    """The budgets below one folder of runs."""

    def __init__(self, root: Path) -> None:
        self.folder = root / FOLDER

    def names(self) -> tuple[str, ...]:
        """Which there are."""
        try:
            paths = sorted(self.folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(path.name for path in paths if (path / BUDGET).is_file())

    def path(self, name: str) -> Path:
        """The file that says what a person allows."""
        return self.folder / name / BUDGET

    def stamp(self, name: str) -> tuple[Stamp, Stamp]:
        """What changes when a file of the budget does."""
        return stamp_of(self.path(name)), stamp_of(self._status_path(name))

    def read(self, name: str) -> TrainingBudget:
        """The budget with what is remembered of it. Raises `ConfigurationFault` that names the file and what is wrong in it."""
        path = self.path(name)
        budget = parse_model(TrainingBudget, read_document(path), where=str(path))
        return budget.model_copy(update={"status": self.status(name)})

    def status(self, name: str) -> TrainingBudgetStatus:
        """What is remembered; nothing where nothing was. Raises `ConfigurationFault` as `read` does."""
        path = self._status_path(name)
        if not path.exists():
            return TrainingBudgetStatus()
        return parse_model(TrainingBudgetStatus, read_document(path), where=str(path))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else changes a budget, or records an attempt that draws from one, during the block."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / _CHANGE_LOCK).touch()
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with locked(self.folder / _CHANGE_LOCK):
            yield

    def make(self, budget: TrainingBudget) -> TrainingBudget:
        """Makes it: it has an id of its own from now on."""
        name = budget.metadata.name
        self._status_path(name).unlink(missing_ok=True)  # of one whose deletion was cut short
        return self.write(
            budget, uid=str(uuid.uuid4()), generation=1, creation_timestamp=now(), namespace=None
        )

    def write(self, budget: TrainingBudget, **metadata: object) -> TrainingBudget:
        """Writes what a person allows, with `metadata` changed."""
        changed = budget.metadata.model_copy(update=metadata)
        budget = budget.model_copy(update={"metadata": changed})
        path = self.path(budget.metadata.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        sync_folder(self.folder)
        document = budget.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude_none=True, exclude={"status"}
        )
        whole = {"apiVersion": budget.api_version, "kind": budget.kind} | document
        write_whole(path, dump_document(whole))
        return budget

    def remember(self, name: str, status: TrainingBudgetStatus) -> None:
        """Writes what has to be remembered of `status`."""
        path = self._status_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        document = remembered(status).model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude_none=True
        )
        write_whole(path, dump_document(document))

    def remove(self, name: str) -> None:
        """Deletes the budget and what is remembered of it. It is gone with its first file."""
        self.path(name).unlink()
        sync_folder(self.path(name).parent)
        shutil.rmtree(self.folder / name)

    def _status_path(self, name: str) -> Path:
        return self.folder / name / STATUS


def remembered(status: TrainingBudgetStatus) -> TrainingBudgetStatus:
    """The part of `status` that the runs cannot tell."""
    return TrainingBudgetStatus(
        observed_generation=status.observed_generation,
        period_start=status.period_start,
        period_end=status.period_end,
        settled=status.settled,
        departed=status.departed,
        history=status.history,
    )
