"""TrainingRuns as a person's commands need them: found by name, listed, made, changed, deleted, with their events and pods.

It keeps nothing and decides nothing; every call asks the API server. What a command prints is the command line's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from lightcompute.api import labels
from lightcompute.backend import Conflict
from lightcompute.kube.client import Document, configuration_from
from lightcompute.kube.faults import Forbidden, NotFound
from lightcompute.kube.observed import SeenPod, kept_pod
from lightcompute.kube.paths import BUDGETS, CLUSTERS, EVENTS, PODS, RUNS
from lightcompute.kube.reading import ReadRun, Unreadable, read_run
from lightcompute.kube.remote_client import RemoteClient
from lightcompute.kube.remote_config import check_readable, namespace_of
from lightcompute.kube.remote_faults import ClusterRefusal, no_such_kind
from runcontract.faults import Fault

PAGE = 500
_NAMES_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class ToldEvent:
    """An event of a run."""

    time: datetime | None
    type: str
    reason: str
    message: str
    count: int


class Remote:
    """The TrainingRuns of one namespace."""

    def __init__(self, client: RemoteClient, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    @classmethod
    async def connect(
        cls, kubeconfig: Path | None, context: str | None, namespace: str | None
    ) -> Self:
        """Where the kubeconfig says; `namespace` wins over that of its context. Nothing is asked yet."""
        check_readable(kubeconfig)
        client = RemoteClient(await configuration_from(kubeconfig, context))
        return cls(client, namespace or namespace_of(kubeconfig, context))

    async def find(self, name: str) -> ReadRun:
        """The run `name`. For one that does not exist, ClusterRefusal says what does."""
        try:
            document = await self.client.get(RUNS.named(self.namespace, name))
        except NotFound as fault:
            raise await self._missing(name) from fault
        return self._read(document)

    async def find_or_none(self, name: str) -> ReadRun | None:
        """The run `name`, or None where there is none."""
        try:
            document = await self.client.get(RUNS.named(self.namespace, name))
        except NotFound:
            await self.documents()  # Where the whole kind is missing, this says so.
            return None
        return self._read(document)

    async def clusters(self) -> tuple[Document, ...]:
        """The TrainingClusters by name; none where the server has no such kind."""
        try:
            found = await self.client.get(CLUSTERS.all(), [("limit", PAGE)])
        except NotFound:
            return ()
        items: list[Document] = found.get("items") or []
        return tuple(sorted(items, key=lambda each: str(each["metadata"]["name"])))

    async def budgets(self) -> tuple[Document, ...]:
        """The TrainingBudgets of the namespace by name; none where the server has no such kind."""
        try:
            found = await self.client.get(BUDGETS.within(self.namespace), [("limit", PAGE)])
        except NotFound:
            return ()
        items: list[Document] = found.get("items") or []
        return tuple(sorted(items, key=lambda each: str(each["metadata"]["name"])))

    async def documents(
        self, *, everywhere: bool = False, name: str | None = None
    ) -> tuple[Document, ...]:
        """The runs of the namespace, or of all, as the server has them; those of one name with `name`."""
        path = RUNS.within(None if everywhere else self.namespace)
        chosen = [] if name is None else [("fieldSelector", f"metadata.name={name}")]
        found: list[Document] = []
        query: list[tuple[str, str | int]] = [("limit", PAGE), *chosen]
        while True:
            try:
                page = await self.client.get(path, query)
            except NotFound as fault:
                raise no_such_kind(self.client.server) from fault
            found += page.get("items") or ()
            token = page["metadata"].get("continue")
            if not token:
                return tuple(found)
            query = [("limit", PAGE), ("continue", token), *chosen]

    async def apply(self, name: str, document: Document, *, force: bool, dry_run: bool) -> ReadRun:
        """Makes the run `name` or changes it, as `document` says."""
        path = RUNS.named(self.namespace, name)
        try:
            return self._read(await self.client.apply(path, document, force=force, dry_run=dry_run))
        except Conflict as fault:
            raise ClusterRefusal(
                Fault(
                    where=f"run {self.namespace}/{name}",
                    found=str(fault),
                    expected="fields that nobody else has set",
                    action="Put their values into the file, or take them over by --force.",
                )
            ) from fault
        except NotFound as fault:
            await self.documents()
            raise ClusterRefusal(
                Fault(
                    where=f"namespace {self.namespace}",
                    found=str(fault),
                    expected="a namespace that exists",
                    action=f"Make it: kubectl create namespace {self.namespace}",
                )
            ) from fault

    async def change(self, name: str, patch: Document) -> None:
        """Merges `patch` into the run `name`."""
        await self.client.patch(RUNS.named(self.namespace, name), patch)

    async def delete(self, name: str, uid: str) -> None:
        """Asks for the end of the run `name`, if it is still the one with `uid`."""
        await self.client.delete(RUNS.named(self.namespace, name), uid=uid)

    async def exists(self, name: str, uid: str) -> bool:
        """Whether the run `name` with `uid` is still there."""
        try:
            document = await self.client.get(RUNS.named(self.namespace, name))
        except NotFound:
            return False
        return bool(document["metadata"]["uid"] == uid)

    async def events(self, uid: str) -> tuple[ToldEvent, ...]:
        """What was told of the run with `uid`, oldest first; nothing where we may not read events."""
        query = (("fieldSelector", f"involvedObject.uid={uid}"), ("limit", PAGE))
        try:
            page = await self.client.get(EVENTS.within(self.namespace), query)
        except Forbidden:
            return ()
        told = [_event(document) for document in page.get("items") or ()]
        return tuple(sorted(told, key=lambda event: event.time.timestamp() if event.time else 0.0))

    async def pods(self, run_uid: str, attempt: int) -> tuple[SeenPod, ...]:
        """The pods of an attempt, by their index."""
        marks = {labels.RUN_UID: run_uid, labels.ATTEMPT: attempt, labels.PURPOSE: "trainer"}
        selector = ",".join(f"{key}={value}" for key, value in marks.items())
        page = await self.client.get(PODS.within(self.namespace), (("labelSelector", selector),))
        pods = [kept_pod(document) for document in page.get("items") or ()]
        return tuple(sorted(pods, key=lambda pod: pod.index))

    def _read(self, document: Document) -> ReadRun:
        try:
            return read_run(document)
        except Unreadable as error:
            name = document["metadata"]["name"]
            raise ClusterRefusal(
                Fault(
                    where=f"run {self.namespace}/{name}",
                    found=str(error),
                    expected="a run that this version can read",
                    action=f"`kubectl get trun {name} -n {self.namespace} -o yaml` shows it.",
                )
            ) from error

    async def _missing(self, name: str) -> ClusterRefusal:
        here = [str(each["metadata"]["name"]) for each in await self.documents()]
        try:
            others = await self.documents(everywhere=True, name=name)
        except Forbidden:
            others = ()
        elsewhere = ", ".join(each["metadata"]["namespace"] for each in others)
        known = ", ".join(here[:_NAMES_SHOWN])
        return ClusterRefusal(
            Fault(
                where=f"namespace {self.namespace}",
                found=f"no run named {name}",
                expected=f"one of: {known}" if known else "a run, but there is none yet",
                action=f"There is one of this name in: {elsewhere}; -n NAMESPACE looks there."
                if elsewhere
                else "`lightcompute list -A` shows the runs of all namespaces.",
            )
        )


def _event(document: dict[str, Any]) -> ToldEvent:
    series = document.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        document.get("lastTimestamp"),
        document.get("eventTime"),
    )
    told = next((time for time in times if time), None)
    return ToldEvent(
        time=datetime.fromisoformat(told) if told else None,
        type=str(document.get("type") or ""),
        reason=str(document.get("reason") or ""),
        message=str(document.get("message") or ""),
        count=int(series.get("count") or document.get("count") or 1),
    )
