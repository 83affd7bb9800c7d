"""Runs of a cluster, as verbs want them: found, listed, and asked about one by one (`cluster_run`).

Synchronous outside, as commands are; every call is one visit of an event loop that lives as long as the command.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from lightcompute.api import TrainingBudget
from lightcompute.cli.cluster_pools import pool_rows
from lightcompute.cli.cluster_run import ClusterRun
from lightcompute.cli.target import FileOrder, Listed, PoolRow, Sight, Whereabouts
from lightcompute.kube.client import Document
from lightcompute.kube.faults import Forbidden
from lightcompute.kube.reading import Unreadable, read_run
from lightcompute.kube.remote import Remote
from lightcompute.kube.remote_faults import ClusterRefusal, told_to_people
from runcontract.faults import ConfigurationFault, Fault

_Answer = TypeVar("_Answer")


class ClusterTarget:
    """The TrainingRuns of one namespace."""

    def __init__(
        self,
        runner: asyncio.Runner,
        remote: Remote,
        options: tuple[str, ...],
        kubeconfig: Path | None = None,
    ) -> None:
        self._runner = runner
        self.remote = remote
        self._options = options
        self.kubeconfig = kubeconfig
        """The one that was given, if any."""

    @classmethod
    @contextmanager
    def connected(cls, where: Whereabouts) -> Iterator[ClusterTarget]:
        """The cluster that is meant, until the block ends. Nothing is asked of it yet."""
        with asyncio.Runner() as runner:
            remote = runner.run(Remote.connect(where.kubeconfig, where.context, where.namespace))
            try:
                yield cls(runner, remote, _options(where, remote), where.kubeconfig)
            finally:
                runner.run(remote.client.close())

    def ask(self, question: Coroutine[Any, Any, _Answer]) -> _Answer:
        """The answer; what goes wrong becomes a fault that people can read."""
        with told_to_people(self.remote.client.server):
            return self._runner.run(question)

    def command(self, verb: str, *words: str) -> str:
        """`lightcompute verb words` for this very place, to be given as it is."""
        return shlex.join(("lightcompute", verb, *words, *self._options))

    def listed(self, *, everywhere: bool) -> tuple[Listed, ...]:
        """All runs, by namespace and name."""
        found = [
            self._listed(each) for each in self.ask(self.remote.documents(everywhere=everywhere))
        ]
        return tuple(sorted(found, key=lambda each: (each.namespace, each.name)))

    def pools(self) -> tuple[PoolRow, ...]:
        """Of all TrainingClusters."""
        return tuple(pool_rows(self.clusters()))

    def clusters(self) -> tuple[Document, ...]:
        """All TrainingClusters. Raises ClusterRefusal that says which right is missing."""
        return self.ask(_clusters(self.remote))

    def budgets(self) -> tuple[TrainingBudget, ...]:
        """Those of the namespace that can be read."""
        documents = self.ask(self.remote.budgets())
        return tuple(TrainingBudget.model_validate_json(json.dumps(each)) for each in documents)

    def no_budgets(self) -> str:
        """That runs are bound by nothing but their own limits."""
        return f"No TrainingBudget in namespace {self.remote.namespace}: each run has its own budget alone."

    def notes_on_budgets(self) -> tuple[str, ...]:
        """None."""
        return ()

    def set_budget(self, file: Path) -> str:
        """Not by this command: in a cluster its administrators write them. Raises `ConfigurationFault` that says how."""
        space = shlex.join(("-n", self.remote.namespace))
        raise _by_kubectl(f"kubectl apply {space} -f {shlex.quote(str(file))}")

    def delete_budget(self, name: str) -> str:
        """As `set_budget`."""
        space = shlex.join(("-n", self.remote.namespace))
        raise _by_kubectl(f"kubectl delete tbudget {space} {shlex.quote(name)}")

    def foresee(self, order: FileOrder) -> Iterator[str]:
        """In the pools of all TrainingClusters."""
        from lightcompute.cli.cluster_foresight import foreseen

        return foreseen(self, order)

    def none_yet(self) -> str:
        """Where one comes from."""
        return f"No runs in namespace {self.remote.namespace}. `{self.command('submit', 'FILE')}` makes one."

    def run(self, name: str) -> ClusterRun:
        """The run `name`."""
        return ClusterRun(self, self.ask(self.remote.find(name)))

    def now(self) -> datetime:
        """The server's clock."""
        return self.remote.client.now()

    def _listed(self, document: Document) -> Listed:
        metadata = document["metadata"]
        try:
            sight = Sight(run=read_run(document).run, now=self.now())
        except Unreadable:
            sight = None
        return Listed(namespace=metadata["namespace"], name=metadata["name"], sight=sight)


def _by_kubectl(command: str) -> ConfigurationFault:
    return ConfigurationFault(
        Fault(
            where="where the budget is",
            found="a namespace of a cluster",
            expected="this machine: in a cluster those who may write TrainingBudgets do so by kubectl",
            action=f"`{command}` does it.",
        )
    )


async def _clusters(remote: Remote) -> tuple[Document, ...]:
    try:
        return await remote.clusters()
    except Forbidden as fault:
        raise ClusterRefusal(
            Fault(
                where=remote.client.server,
                found=str(fault),
                expected="the right to list trainingclusters, which belong to no namespace: roles that are bound in one do not give it",
                action="Whoever looks after the cluster binds the ClusterRole of the chart whose name ends in :clusters-view to you with a ClusterRoleBinding, "
                "or names a group of yours in its value trainingClusters.viewerGroups.",
            )
        ) from fault


def _options(where: Whereabouts, remote: Remote) -> tuple[str, ...]:
    words = ["-n", remote.namespace]
    for option, value in (("--kubeconfig", where.kubeconfig), ("--context", where.context)):
        if value is not None:
            words += [option, str(value)]
    return tuple(words)
