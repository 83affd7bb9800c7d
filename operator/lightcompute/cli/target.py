"""Where a command looks for runs: on this machine or in a cluster. Settled here, once for all commands.

`Target` and `TargetRun` are what a verb needs of either; each verb is written against them, and what only one of the two has is
behind them (`local_target`, `cluster_target`), each imported when it is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from lightcompute.api import TrainingBudget, TrainingRun
from lightcompute.api.money import MicroUSD
from lightcompute.api.status import Cost, Place
from lightcompute.cli.other_cluster import OtherCluster
from lightcompute.cli.run_checkpoints import RunCheckpoints
from lightcompute.cli.view import RunView, cost_now, view_of
from lightcompute.core.progress import Progress
from runcontract.faults import ConfigurationFault, Fault

ON_VARIABLE = "LIGHTCOMPUTE_ON"

Rows = Iterator[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """What a person said about where; nothing of it given means this machine, or what LIGHTCOMPUTE_ON says."""

    cluster: bool = False
    namespace: str | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    runs_dir: Path | None = None

    @property
    def in_cluster(self) -> bool:
        """Whether the cluster is meant. Raises ConfigurationFault where the answer is both or neither."""
        told = self.cluster or any(
            given is not None for given in (self.namespace, self.kubeconfig, self.context)
        )
        if told and self.runs_dir is not None:
            raise _fault("--runs-dir beside an option of a cluster", "one of the two")
        if told or self.runs_dir is not None:
            return told
        match os.environ.get(ON_VARIABLE, "local"):
            case "cluster":
                return True
            case "local" | "":
                return False
            case other:
                raise _fault(f"{ON_VARIABLE}={other}", f"{ON_VARIABLE}=local or cluster")


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A run as it is now, with the clock of where it is."""

    run: TrainingRun
    now: datetime
    progress: Progress | None = None
    """What its trainer said last, where its log is at hand; else the status tells it."""
    unattended: bool = False
    """Whether something of it runs and nobody acts for it."""

    @property
    def is_live(self) -> bool:
        """Whether an attempt is not confirmed gone."""
        return any(attempt.is_live for attempt in self.run.status.attempts)

    def view(self) -> RunView:
        """Its numbers."""
        return view_of(self.run, self.progress, self.now)

    def cost(self) -> Cost:
        """What it costs and may still cost."""
        return cost_now(self.run, self.progress)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A run in a list; `sight` is None for one whose documents cannot be read."""

    namespace: str
    name: str
    sight: Sight | None


@dataclass(frozen=True, kw_only=True)
class PoolRow:
    """A pool in a list; None for what is not counted."""

    place: Place
    gpus: int | None = None
    free: int | None = None
    reserved: int | None = None
    runs: int = 0
    price_per_gpu_hour: MicroUSD | None = None
    state: str = "ok"
    """`ok`, or the reason why nothing can be placed there, or what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Why a run is where it is: the run with its newest status, and what this place has to add."""

    run: TrainingRun
    now: datetime
    further: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class FileOrder:
    """A run as a file and options order it."""

    file: Path
    assignments: tuple[str, ...] = ()
    name: str | None = None
    price: str | None = None
    """What this machine costs for an hour, as it was given."""


@dataclass(frozen=True, kw_only=True)
class LogsWanted:
    """Which log, and for how long."""

    attempt: int | None
    rank: int
    follow: bool
    other: OtherCluster = field(default_factory=OtherCluster)
    """The way to its pods, where they are in another cluster."""


@dataclass(frozen=True, kw_only=True)
class Halt:
    """A run that was asked to stop, and whether it did."""

    run: TrainingRun
    rests: bool
    why_not: str = ""


class TargetRun(Protocol):
    """One run, where it is."""

    def sight(self) -> Sight:
        """The run as it is now."""

    def output(self) -> Path | None:
        """The folder with what its trainer left, where this machine has it."""

    def rows(self, sight: Sight) -> Rows:
        """What `status` shows of it here only."""

    def note(self, sight: Sight) -> str:
        """A sentence below the status, or nothing."""

    def account(self) -> Account:
        """Why it is where it is; changes nothing."""

    def logs(self, wanted: LogsWanted, write: Callable[[str], None]) -> None:
        """Hands each line of a log to `write`."""

    def stop(self, *, for_good: bool) -> Halt:
        """Asks it to save and leave, and waits for that, but not for ever."""

    def checkpoints(self) -> RunCheckpoints:
        """What it has saved."""

    def resume(self) -> int:
        """Goes on with it; the exit code."""

    def question(self, *, with_checkpoints: bool) -> str:
        """What is asked before it is deleted."""

    def delete(self, *, with_checkpoints: bool, wait: bool) -> int:
        """Deletes it and says so; the exit code."""

    def tensorboard(self, port: int, other: OtherCluster) -> int:
        """Serves its curves on this machine until Ctrl-C; the exit code. `other` is the way to them, where they are in another cluster."""


class Target(Protocol):
    """Runs of one place."""

    def listed(self, *, everywhere: bool) -> tuple[Listed, ...]:
        """All of them by name; of all namespaces with `everywhere`."""

    def pools(self) -> tuple[PoolRow, ...]:
        """The places that runs may go to."""

    def budgets(self) -> tuple[TrainingBudget, ...]:
        """What runs draw from, by name."""

    def no_budgets(self) -> str:
        """What is said where there are none."""

    def notes_on_budgets(self) -> tuple[str, ...]:
        """Sentences below the list of budgets."""

    def set_budget(self, file: Path) -> str:
        """Makes or changes the budget of a file; what was done."""

    def delete_budget(self, name: str) -> str:
        """Deletes the budget `name`; what was done."""

    def foresee(self, order: FileOrder) -> Iterator[str]:
        """Lines that say where the run of a file would go now. Raises what would keep it from being made."""

    def none_yet(self) -> str:
        """What is said where there are none."""

    def run(self, name: str) -> TargetRun:
        """The run `name`. Raises ConfigurationFault that says which there are, where there is none of the name."""


@contextmanager
def chosen(where: Whereabouts) -> Iterator[Target]:
    """The target that is meant, for the block."""
    with _target(where) as target:
        yield target


def _target(where: Whereabouts) -> AbstractContextManager[Target]:
    if where.in_cluster:
        from lightcompute.cli.cluster_target import ClusterTarget

        return ClusterTarget.connected(where)
    from lightcompute.cli.local_target import LocalTarget

    return LocalTarget.opened(where.runs_dir)


def _fault(found: str, expected: str) -> ConfigurationFault:
    return ConfigurationFault(Fault(where="where to look for runs", found=found, expected=expected))
