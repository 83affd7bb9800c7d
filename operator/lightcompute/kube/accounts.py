"""All TrainingBudgets: which there are, what runs take of each, and what is told of each in its status.

What a run takes follows from its own record, from the moment that the record is about to be written; so two runs never get the same dollar.
Of a run that is deleted the share is noted in the budget before the run is let go.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from pydantic import ValidationError

from lightcompute.accounts.account import Account
from lightcompute.accounts.departure import departing
from lightcompute.accounts.report import report, tells_but_time
from lightcompute.api.reasons import Reason
from lightcompute.api.training_budget import (
    MAX_DEPARTED,
    TrainingBudget,
    TrainingBudgetStatus,
)
from lightcompute.api.training_run import TrainingRun
from lightcompute.backend import Conflict, PermanentFault, TemporaryFault
from lightcompute.core.budget import Terms
from lightcompute.core.snapshot import Allowance
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.faults import NotFound
from lightcompute.kube.paths import BUDGETS
from lightcompute.kube.reading import Unreadable
from lightcompute.kube.reflector import Reflector
from lightcompute.kube.runs import RunStore, is_newer
from lightcompute.kube.settings import OperatorSettings
from runcontract.base import API_VERSION

logger = logging.getLogger(__name__)

TELL_SECONDS = 1.0
"""So often what is told of budgets is compared with what is known."""
SPENT_SECONDS = 30.0
"""That more of what was reserved is spent is told no more often."""
AGAIN_SECONDS = 5.0
ABSENT_SECONDS = 60.0
"""So often a server that knows no TrainingBudgets is asked again."""
WOKEN_AT_ONCE = 50
"""So many of those who wait for money look again when some is free; the others at their own next look."""


class Accounts:
    """The budgets by namespace and name. `wake` is told of runs that may have more or less money now."""

    def __init__(
        self,
        client: ClusterClient,
        settings: OperatorSettings,
        runs: RunStore,
        wake: Callable[[str], None],
    ) -> None:
        self._client = client
        self._runs = runs
        self._wake = wake
        self._terms = Terms(
            grace_seconds=settings.grace_seconds, clock_skew_seconds=settings.clock_skew_seconds
        )
        self._accounts: dict[str, dict[str, Account]] = defaultdict(dict)
        self._documents: dict[tuple[str, str], Document] = {}
        self._unreadable: set[tuple[str, str]] = set()
        self._told_at: dict[tuple[str, str], float] = {}
        self._waiting: dict[str, dict[str, TrainingRun]] = defaultdict(dict)
        """Runs that wait for money, by namespace and UID."""
        namespaces: Iterable[str | None] = settings.namespaces or (None,)
        self._reflectors = {
            BUDGETS.within(namespace): Reflector(
                client,
                BUDGETS.within(namespace),
                keep=lambda document: document,
                changed=self._seen,
            )
            for namespace in namespaces
        }
        self.listed = asyncio.Event()
        """Set once it is known which budgets there are: before that nothing may start."""

    # ---- what runs take -----------------------------------------------------------------------------

    def note(self, run: TrainingRun) -> None:
        """Takes in what the record of `run` says."""
        self.hold(run, run)

    def hold(self, run: TrainingRun, written: TrainingRun) -> None:
        """`run` takes what `written`, which is about to be its record or is it, says, or waits."""
        namespace, uid = run.metadata.namespace or "", run.metadata.uid
        if namespace not in self._accounts:
            return
        if written.status.reason == Reason.WAITING_FOR_BUDGET:
            self._waiting[namespace][uid] = run
        else:
            self._waiting[namespace].pop(uid, None)
        changes = [
            account.put(run, written.status, now=self._client.now()) for account in self._of(run)
        ]
        if any(changes):
            self._tell_those_who_wait(namespace)

    def allowances(self, run: TrainingRun) -> tuple[Allowance, ...]:
        """What there is for `run` in each budget that it draws from."""
        unreadable = (
            Allowance(name=name, limit=0, fault="it cannot be read")
            for namespace, name in self._unreadable
            if namespace == run.metadata.namespace
        )
        known = (
            account.allowance(run.metadata.uid)
            for account in self._of(run)
            if account.draws(run, run.status)
        )
        return (*unreadable, *known)

    def gone(self, run_uid: str) -> None:
        """The run does not exist any more."""
        for namespace, accounts in self._accounts.items():
            self._waiting[namespace].pop(run_uid, None)
            for account in accounts.values():
                if run_uid in account.claims:
                    account.lose(run_uid)
                    self._tell_those_who_wait(namespace)

    async def depart(self, run: TrainingRun) -> None:
        """Notes the share of `run` in its budgets, before it is let go. Raises TemporaryFault where that did not succeed."""
        for account in self._of(run):
            claim = account.claims.get(run.metadata.uid)
            if claim is None:
                continue
            record = departing(run.metadata.uid, run.metadata.name, claim)
            known = account.budget.status
            if record in known.departed or not record.amounts:
                continue
            others = tuple(each for each in known.departed if each.run_uid != record.run_uid)
            if len(others) >= MAX_DEPARTED:
                raise TemporaryFault(
                    f"TrainingBudget {account.name} holds the records of {len(others)} runs that are being deleted"
                )
            await self._write(account, known.model_copy(update={"departed": (*others, record)}))

    def _of(self, run: TrainingRun) -> tuple[Account, ...]:
        return tuple(self._accounts.get(run.metadata.namespace or "", {}).values())

    def _tell_those_who_wait(self, namespace: str) -> None:
        waiting = self._waiting.get(namespace)
        if not waiting:
            return
        first = sorted(waiting.values(), key=_rank)[:WOKEN_AT_ONCE]
        for run in first:
            self._wake(run.metadata.uid)

    # ---- the watch ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Watches and tells, for ever. A server that has no such resource is one without budgets; one that hides them lets nothing start."""
        while not await self._may_be_listed():  # noqa: ASYNC110 - the server is what is waited for
            await asyncio.sleep(AGAIN_SECONDS)
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors.values():
                group.create_task(reflector.run())
            group.create_task(self._note_listed())
            group.create_task(self._telling())

    async def _may_be_listed(self) -> bool:
        try:
            for path in self._reflectors:
                await self._client.get(path, (("limit", 1),))
        except NotFound:
            if not self.listed.is_set():
                logger.info("The API server knows no TrainingBudgets.")
            self.listed.set()
            await asyncio.sleep(ABSENT_SECONDS)
            return False
        except (TemporaryFault, PermanentFault) as fault:
            logger.error("No run is looked at before TrainingBudgets can be listed: %s", fault)  # noqa: TRY400 - told in full
            return False
        return True

    async def _note_listed(self) -> None:
        await asyncio.gather(*(each.synced.wait() for each in self._reflectors.values()))
        self.listed.set()

    def _seen(self, before: Document | None, after: Document | None) -> None:
        document = after or before or {}
        namespace, name = document["metadata"]["namespace"], document["metadata"]["name"]
        known_document = self._documents.get((namespace, name))
        if after is None:
            if known_document is not None and _uid(known_document) != _uid(document):
                return  # another of the same name was made meanwhile
            self._accounts[namespace].pop(name, None)
            self._documents.pop((namespace, name), None)
            self._unreadable.discard((namespace, name))
            self._wake_all(namespace)
            return
        version = _version(known_document)
        if version and is_newer(version, _version(after)):
            return  # our own write is ahead of the watch
        self._documents[namespace, name] = after
        known = self._accounts[namespace].get(name)
        try:
            budget = TrainingBudget.model_validate_json(json.dumps(after))
        except ValidationError as error:
            # The schema lets no such thing in. Whatever it is, nothing is spent beyond what was promised.
            logger.error("TrainingBudget %s/%s cannot be read: %s", namespace, name, error)  # noqa: TRY400 - the fault is the document's
            self._unreadable.add((namespace, name))
            self._wake_all(namespace)
            return
        self._unreadable.discard((namespace, name))
        generation = None if known is None else known.budget.metadata.generation
        if known is None or not known.takes(budget):
            self._accounts[namespace][name] = self._opened(budget)
        if generation != budget.metadata.generation:
            self._wake_all(namespace)

    def _opened(self, budget: TrainingBudget) -> Account:
        account = Account(budget, self._terms)
        for run in self._runs_in(budget.metadata.namespace or ""):
            account.put(run, run.status, now=self._client.now())
        return account

    def _runs_in(self, namespace: str) -> Iterable[TrainingRun]:
        for key in tuple(self._runs.keys()):
            named = self._runs.name(key)
            run = self._run(key) if named is not None and named[0] == namespace else None
            if run is not None:
                yield run

    def _run(self, uid: str) -> TrainingRun | None:
        """As it was last seen; None where that cannot be read: nothing new is started for it, and its claim stays."""
        try:
            read = self._runs.get(uid)
        except Unreadable:
            return None
        return None if read is None else read.run

    def _wake_all(self, namespace: str) -> None:
        for run in self._runs_in(namespace):
            self._wake(run.metadata.uid)

    # ---- what is told -------------------------------------------------------------------------------

    def told(self) -> tuple[TrainingBudget, ...]:
        """Each as it stands."""
        return tuple(
            account.budget for accounts in self._accounts.values() for account in accounts.values()
        )

    async def _telling(self) -> None:
        while True:
            await asyncio.sleep(TELL_SECONDS)
            for accounts in tuple(self._accounts.values()):
                for account in tuple(accounts.values()):
                    try:
                        await self._tell(account)
                    except Conflict:
                        continue  # the watch brings what it is now
                    except (TemporaryFault, PermanentFault) as fault:
                        label = account.budget.label
                        logger.info("The status of TrainingBudget %s was not written: %s", label, fault)  # fmt: skip

    async def _tell(self, account: Account) -> None:
        known = account.budget.status
        statuses = [run.status for run in map(self._run, account.claims) if run is not None]
        namespace = account.budget.metadata.namespace or ""
        waiting = sum(
            account.draws(run, run.status) for run in self._waiting.get(namespace, {}).values()
        )
        status = report(
            account,
            statuses,
            is_gone=lambda uid: uid not in account.claims and self._runs.name(uid) is None,
            waiting=waiting,
            now=self._client.now(),
        )
        if status == known:
            return
        key = namespace, account.name
        recently = time.monotonic() - self._told_at.get(key, -SPENT_SECONDS) < SPENT_SECONDS
        if recently and tells_but_time(known, status):
            return
        rolled = known.period_start != status.period_start
        await self._write(account, status)
        self._told_at[key] = time.monotonic()
        if rolled:
            self._wake_all(namespace)

    async def _write(self, account: Account, status: TrainingBudgetStatus) -> None:
        namespace, name = account.budget.metadata.namespace or "", account.name
        document = self._documents.get((namespace, name))
        if document is None:
            return
        metadata = document["metadata"]
        body = {
            "apiVersion": API_VERSION,
            "kind": "TrainingBudget",
            "metadata": {
                key: metadata[key]
                for key in ("name", "namespace", "uid", "resourceVersion")
                if key in metadata
            },
            "spec": document.get("spec"),
            "status": status.document(),
        }
        try:
            written = await self._client.replace(BUDGETS.named(namespace, name, "status"), body)
        except NotFound:
            return  # it was deleted, and its record with it
        except Conflict:
            self._seen(document, await self._client.get(BUDGETS.named(namespace, name)))
            raise
        self._seen(document, written)


def _uid(document: Document) -> str:
    return str(document["metadata"]["uid"])


def _version(document: Document | None) -> str:
    return "" if document is None else str(document["metadata"].get("resourceVersion") or "")


def _rank(run: TrainingRun) -> tuple[int, str, str]:
    made = run.metadata.creation_timestamp
    return -run.spec.placement.priority, "" if made is None else made.isoformat(), run.metadata.uid
