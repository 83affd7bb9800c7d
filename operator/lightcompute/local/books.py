"""What the TrainingBudgets beside the runs of one folder have left, and the few things that must be written for that.

Nothing is kept twice: what a run takes is read from its own documents. Whoever records an attempt holds the lock of all budgets from the moment that
it is certain of what is left until the record is written, so two processes never get the same dollar. A run that is deleted is noted first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime

from lightcompute.accounts.account import Account
from lightcompute.accounts.departure import departing
from lightcompute.accounts.report import report
from lightcompute.api import Reason, TrainingBudget, TrainingRun
from lightcompute.api.training_budget import MAX_DEPARTED, TrainingBudgetStatus
from lightcompute.core.budget import Terms
from lightcompute.core.snapshot import Allowance
from lightcompute.local.attempts import GRACE_SECONDS
from lightcompute.local.budget_files import BudgetFiles, remembered
from lightcompute.local.files import Stamp
from lightcompute.local.folder import Runs
from lightcompute.local.takers import Taken, Takers
from runcontract.faults import ConfigurationFault, ContractFault, Fault

TERMS = Terms(grace_seconds=GRACE_SECONDS)


@dataclass(frozen=True, kw_only=True)
class _Open:
    """A budget as its files were; `account` is None where they cannot be read."""

    stamps: tuple[Stamp, Stamp]
    account: Account | None
    fault: ContractFault | None = None


class Books:
    """The budgets of `runs`."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self.files = BudgetFiles(runs.root)
        self._takers = Takers(runs)
        self._taken = Taken(runs={}, fresh=frozenset(), unread=())
        self._open: dict[str, _Open] = {}

    # ---- what is left ------------------------------------------------------------------------------------------

    def allowances(self, run: TrainingRun, now: datetime) -> tuple[Allowance, ...]:
        """What there is for `run` in each budget that it draws from. A budget that cannot be added up is told as one with a fault."""
        self._look(now)
        return tuple(self._allowances(run))

    def _allowances(self, run: TrainingRun) -> Iterator[Allowance]:
        unread = "; ".join(self._taken.unread)
        for name, each in self._open.items():
            if each.account is None:
                yield Allowance(name=name, limit=0, fault=f"it cannot be read: {each.fault}")
            elif each.account.draws(run, run.status):
                found = each.account.allowance(run.metadata.uid)
                yield replace(found, fault=found.fault or unread)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else records what draws from a budget during the block; nothing is held where there is no budget."""
        if not self.files.names():
            yield
            return
        with self.files.held():
            yield

    # ---- what is told ------------------------------------------------------------------------------------------

    def told(self, now: datetime) -> tuple[TrainingBudget, ...]:
        """Each budget as it stands. Nothing is written. Raises `ConfigurationFault` for one that cannot be read."""
        self._look(now)
        return tuple(
            account.budget.model_copy(update={"status": self._report(account, now)})
            for account in self._accounts()
        )

    def drawing(self, now: datetime) -> tuple[TrainingRun, ...]:
        """The runs that draw from any budget."""
        self._look(now)
        accounts = self._accounts()
        return tuple(
            run
            for run in self._taken.runs.values()
            if any(account.draws(run, run.status) for account in accounts)
        )

    # ---- what is written ---------------------------------------------------------------------------------------

    def remember(self, now: datetime) -> None:
        """Writes what the runs will not tell any more: periods that are over, and the sum of runs that are gone. The caller holds the lock."""
        for each in self._open.values():
            if each.account is None or not _is_due(each.account, now):
                continue
            status = self._report(each.account, now)
            if remembered(status) != remembered(each.account.budget.status):
                self.files.remember(each.account.name, status)

    def depart(self, run_uid: str, now: datetime) -> None:
        """Notes the share of a run that is about to be deleted. To do it again changes nothing. Raises `ConfigurationFault` where it cannot be noted."""
        if not self.files.names():
            return
        with self.files.held():
            self._look(now)
            for account in self._accounts():
                self._note(account, run_uid, now)

    def _note(self, account: Account, run_uid: str, now: datetime) -> None:
        claim = account.claims.get(run_uid)
        if claim is None:
            return
        record = departing(run_uid, self._taken.runs[run_uid].metadata.name, claim)
        status = self._report(account, now)
        others = tuple(each for each in status.departed if each.run_uid != run_uid)
        if not record.amounts:
            return
        if len(others) >= MAX_DEPARTED:
            raise ConfigurationFault(
                Fault(
                    where=str(self.files.path(account.name).parent),
                    found=f"the records of {len(others)} runs that are being deleted and are still there",
                    expected=f"fewer than {MAX_DEPARTED}",
                    action="Delete those runs first.",
                )
            )
        noted = status.model_copy(update={"departed": (*others, record)})
        self.files.remember(account.name, noted)

    def allow(self, budget: TrainingBudget, now: datetime) -> tuple[TrainingBudget, bool]:
        """Makes the budget or changes it to what is given; and whether it is new. Raises `ConfigurationFault` for what could not be kept."""
        _refuse_unknown_zone(budget)
        name = budget.metadata.name
        with self.files.held():
            self._look(now)
            if name not in self._open:
                made = self.files.make(budget)
                self._look(now)
                self._remember(name, now)  # From now on periods that are over are told.
                return made, True
            self._remember(name, now)  # What is over was over under the old terms.
            account = self._open[name].account
            return self.files.write(budget, **_identity(account, budget)), False

    def disallow(self, name: str) -> None:
        """Deletes the budget, with its record of deleted runs. Raises `ConfigurationFault` where there is none of the name."""
        names = self.files.names()
        if name not in names:
            raise ConfigurationFault(
                Fault(
                    where=str(self.files.folder),
                    found=f"no TrainingBudget named {name}",
                    expected=f"one of: {', '.join(names)}" if names else "one, but there is none",
                )
            )
        with self.files.held():
            self.files.remove(name)

    # ---- from the files ----------------------------------------------------------------------------------------

    def _look(self, now: datetime) -> None:
        """Runs first: one that is deleted meanwhile is then seen itself, or its record is."""
        names = self.files.names()
        if not names:
            self._open = {}
            return
        self._taken = self._takers.look(now)
        self._open = {name: self._opened(name, now) for name in names}

    def _opened(self, name: str, now: datetime) -> _Open:
        stamps, known = self.files.stamp(name), self._open.get(name)
        if known is not None and known.stamps == stamps:
            if known.account is not None:
                self._put(known.account, now)
            return known
        try:
            account = Account(self.files.read(name), TERMS)
        except ContractFault as fault:
            return _Open(stamps=stamps, account=None, fault=fault)
        for run in self._taken.runs.values():
            account.put(run, run.status, now=now)
        return _Open(stamps=stamps, account=account)

    def _put(self, account: Account, now: datetime) -> None:
        for uid in account.claims.keys() - self._taken.runs.keys():
            account.remove(uid)
        for uid in self._taken.fresh:
            run = self._taken.runs[uid]
            account.put(run, run.status, now=now)

    def _accounts(self) -> tuple[Account, ...]:
        """All of them. Raises the fault of one that cannot be read."""
        fault = next((each.fault for each in self._open.values() if each.fault is not None), None)
        if fault is not None:
            raise fault
        return tuple(each.account for each in self._open.values() if each.account is not None)

    def _report(self, account: Account, now: datetime) -> TrainingBudgetStatus:
        runs, unread = self._taken.runs, self._taken.unread
        shown = copy(account)
        shown.fault = account.fault or "; ".join(unread)
        waiting = sum(
            run.status.reason == Reason.WAITING_FOR_BUDGET
            and account.draws(run, run.status)
            and self._runs.folder(run.metadata.name).has_controller()
            for run in runs.values()
        )
        return report(
            shown,
            [runs[uid].status for uid in account.claims],
            is_gone=lambda uid: uid not in runs and not unread,
            waiting=waiting,
            now=now,
        )

    def _remember(self, name: str, now: datetime) -> None:
        account = self._open[name].account
        if account is not None:
            self.files.remember(name, self._report(account, now))
            return
        self.files.status(name)  # Raises: what is remembered is not written over unread.


def _refuse_unknown_zone(budget: TrainingBudget) -> None:
    if Account(budget, TERMS).fault:
        raise ConfigurationFault(
            Fault(
                where="spec.timeZone",
                found=repr(budget.spec.time_zone),
                expected="a time zone such as UTC or Europe/Berlin",
            )
        )


def _is_due(account: Account, now: datetime) -> bool:
    """Whether something is to be remembered that the files do not say yet."""
    status, period = account.budget.status, account.calendar.at(now)
    is_over = status.period_start is not None and status.period_start < period.start
    return bool(status.departed) or is_over


def _identity(account: Account | None, budget: TrainingBudget) -> dict[str, object]:
    """Of a budget that is changed."""
    if account is None:  # what it was cannot be read
        return {"namespace": None}
    known = account.budget.metadata
    changed = account.budget.spec != budget.spec
    return {
        "namespace": None,
        "uid": known.uid,
        "generation": known.generation + changed,
        "creation_timestamp": known.creation_timestamp,
    }
