"""Runs on this machine, as verbs want them: their folders. What acts for a run or decides is loaded by the verbs that need it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lightcompute.api import Phase, TrainingBudget, TrainingRun
from lightcompute.cli.local_logs import print_logs
from lightcompute.cli.other_cluster import OtherCluster
from lightcompute.cli.target import (
    Account,
    FileOrder,
    Halt,
    Listed,
    LogsWanted,
    PoolRow,
    Rows,
    Sight,
)
from lightcompute.local import records
from lightcompute.local.backend import local_place
from lightcompute.local.books import Books
from lightcompute.local.folder import RunFolder, Runs, controlling, runs_root
from lightcompute.local.progress import newest_progress
from lightcompute.local.removal import remove
from lightcompute.local.store import SOURCE, RunStore
from runcontract.exit_codes import ExitCode
from runcontract.faults import ContractFault

if TYPE_CHECKING:
    from lightcompute.cli.local_budgets import LocalBudgets
    from lightcompute.cli.local_checkpoints import LocalCheckpoints


class LocalTarget:
    """The runs below one folder."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    @classmethod
    @contextmanager
    def opened(cls, runs_dir: Path | None) -> Iterator[LocalTarget]:
        """The folder that is meant. Nothing is opened and nothing has to be closed."""
        yield cls(runs_root(runs_dir))

    def listed(self, *, everywhere: bool) -> tuple[Listed, ...]:
        """All runs; this machine has no namespaces."""
        assert not everywhere, "all namespaces means the cluster"
        return tuple(_listed(folder) for folder in self._runs.all())

    def pools(self) -> tuple[PoolRow, ...]:
        """This machine, and how many runs are alive on it."""
        sights = [listed.sight for listed in self.listed(everywhere=False)]
        alive = sum(sight is not None and sight.is_live for sight in sights)
        return (PoolRow(place=local_place(), runs=alive),)

    def budgets(self) -> tuple[TrainingBudget, ...]:
        """Those beside the runs."""
        return self._budgets.told()

    def no_budgets(self) -> str:
        """Where one comes from."""
        return f"No TrainingBudget beside the runs in {self._runs.root}: each run has its own budget alone. `lightcompute budgets set FILE` makes one."

    def notes_on_budgets(self) -> tuple[str, ...]:
        """Which runs they don't hold."""
        return self._budgets.notes()

    def set_budget(self, file: Path) -> str:
        """Beside the runs."""
        return self._budgets.set(file)

    def delete_budget(self, name: str) -> str:
        """With what is remembered of it."""
        return self._budgets.delete(name)

    @cached_property
    def _budgets(self) -> LocalBudgets:
        from lightcompute.cli.local_budgets import LocalBudgets

        return LocalBudgets(self._runs)

    def foresee(self, order: FileOrder) -> Iterator[str]:
        """On this machine, which is all that there is."""
        from lightcompute.cli.local_foresight import foreseen

        return foreseen(self._runs, order, self.listed(everywhere=False))

    def none_yet(self) -> str:
        """Where one comes from."""
        return f"No runs in {self._runs.root}. `lightcompute run FILE` makes one."

    def run(self, name: str) -> LocalRun:
        """The run in the folder `name`."""
        return LocalRun(self._runs, self._runs.existing(name))


class LocalRun:
    """One run in its folder."""

    def __init__(self, runs: Runs, folder: RunFolder) -> None:
        self._runs = runs
        self._folder = folder
        self._store = RunStore(folder)

    def sight(self) -> Sight:
        """From its documents and the end of its log."""
        run = self._store.read()
        live = any(attempt.is_live for attempt in run.status.attempts)
        return Sight(
            run=run,
            now=records.now(),
            progress=newest_progress(run, self._folder),
            unattended=live and not self._folder.has_controller(),
        )

    def output(self) -> Path:
        """The run's own folder."""
        return self._folder.path

    def rows(self, sight: Sight) -> Rows:
        """Where its files are, and the command that goes on with it."""
        yield "folder", str(self._folder.path)
        yield "document", str(self._folder.status_file)
        yield "to go on", _to_go_on(sight.run)

    def note(self, sight: Sight) -> str:
        """That nobody acts for it, where that matters."""
        if not sight.unattended:
            return ""
        return (
            "Nobody acts for this run now: what runs goes on to its end or its deadline. "
            f"`lightcompute stop {self._folder.name}` ends it; to take it up: {_command(sight.run)}"
        )

    def account(self) -> Account:
        """As a look at it now would decide."""
        from lightcompute.cli.local_account import account_of

        return account_of(self._runs, self._folder)

    def logs(self, wanted: LogsWanted, write: Callable[[str], None]) -> None:
        """From the attempt's files."""
        print_logs(self._folder, wanted, write)

    def stop(self, *, for_good: bool) -> Halt:
        """Through whoever acts for it, or by acting where nobody does."""
        from lightcompute.cli.local_stop import stopped

        return stopped(self._runs, self._folder, for_good=for_good)

    def checkpoints(self) -> LocalCheckpoints:
        """Below its folder."""
        from lightcompute.cli.local_checkpoints import LocalCheckpoints

        return LocalCheckpoints(self._runs, self._folder)

    def resume(self) -> int:
        """In the foreground, as `run` does."""
        from lightcompute.cli.local_resume import go_on

        return go_on(self._runs, self._folder)

    def question(self, *, with_checkpoints: bool) -> str:
        """What becomes of the folder and of the checkpoints."""
        keep = self._keeps(with_checkpoints=with_checkpoints)
        kept_or_not = "its checkpoints are kept elsewhere" if keep else "with its checkpoints"
        return f"Delete {self._folder.path} ({kept_or_not})?"

    def delete(self, *, with_checkpoints: bool, wait: bool) -> int:  # noqa: ARG002 - it always waits
        """Stops it first where it runs."""
        name, run = self._folder.name, self._store.read()
        if any(attempt.is_live for attempt in run.status.attempts):
            halt = self.stop(for_good=False)
            if not halt.rests:
                click.echo(f"{name} still runs, so it was not deleted.", err=True)
                return int(ExitCode.INTERNAL_ERROR)
        with controlling(self._folder):
            keep = self._keeps(with_checkpoints=with_checkpoints)
            # First noted, then gone: a crash between the two leaves a run that is counted by itself.
            Books(self._runs).depart(run.metadata.uid, records.now())
            kept = remove(self._folder, run_uid=run.metadata.uid, keep_checkpoints=keep)
        click.echo(f"{name} is deleted." + (f" Its checkpoints are in {kept}." if kept else ""))
        return int(ExitCode.DONE)

    def tensorboard(self, port: int, other: OtherCluster) -> int:
        """From its events, by a TensorBoard of this machine."""
        del other  # whoever gives one means a cluster
        from lightcompute.cli.local_tensorboard import serve_curves

        return serve_curves(self._folder, port)

    def _keeps(self, *, with_checkpoints: bool) -> bool:
        when_deleted = self._store.read().spec.checkpoints.when_deleted
        return when_deleted == "Retain" and not with_checkpoints


def _listed(folder: RunFolder) -> Listed:
    try:
        sight = LocalRun(Runs(folder.path.parent), folder).sight()
    except ContractFault:
        sight = None
    return Listed(namespace="", name=folder.name, sight=sight)


def _to_go_on(run: TrainingRun) -> str:
    match run.status.phase:
        case Phase.SUSPENDED:
            return shlex.join(["lightcompute", "resume", run.metadata.name])
        case Phase.FAILED:
            return _command(run)
        case Phase.BUDGET_EXHAUSTED:
            return f"raise spec.budget.limitUSD, then {_command(run)}"
        case _:
            return ""


def _command(run: TrainingRun) -> str:
    """What goes on with the run; changes by --set that it was made with must be given again."""
    file = run.metadata.annotations.get(SOURCE, "FILE")
    return shlex.join(["lightcompute", "run", file, "--name", run.metadata.name])
