"""Namespaces with an operator and a record of all that happens in them: where scenarios of runs in a cluster are played.

Several are played at once, each in a thread, since each takes seconds of waiting; what they wait for comes from the record.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightcompute.api import labels
from support.operators import OperatorProcess, options_for
from support.run_audit import Kind, violations
from support.run_watch import RunWatch
from support.testcluster.api import Api
from support.testcluster.cluster import Cluster

Document = dict[str, Any]
PRICE = "3.6"
"""Dollars an hour: a tenth of a cent a second."""
GRACE_SECONDS = 4
OPTIONS = (
    *("--price-per-gpu-hour-usd", PRICE, "--grace-seconds", str(GRACE_SECONDS)),
    *("--clock-skew-seconds", "1", "--lease-seconds", "3", "--workers", "64"),
    *("--cluster-name", "us-ord1"),
)
PATIENCE = {
    "core.checks_begin.CANNOT_BEGIN_SECONDS": 15,
    "core.checks_begin.UNSCHEDULED_SECONDS": 90,
    "core.budget.MINIMUM_USEFUL_SECONDS": 5,
}
"""What would make tests wait for minutes."""
_TRAINING = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100}
_QUICK = {"backoff": {"baseSeconds": 1, "maxSeconds": 2}}
_SECONDS = 60.0


@dataclass(kw_only=True)
class Run:
    """One run, as it is seen from outside."""

    space: Space
    name: str
    uid: str

    @property
    def path(self) -> str:
        """Where it is."""
        return f"{self.space.runs}/{self.name}"

    @property
    def document(self) -> Document | None:
        """As it was recorded last; None when it is gone."""
        return self.space.watch.find(Kind.RUN, self.uid)

    @property
    def status(self) -> Document:
        """Its status."""
        return dict((self.document or {}).get("status") or {})

    def until(self, holds: Callable[[Document], object], *, seconds: float = _SECONDS) -> Document:
        """Its status, once `holds` says so of it."""

        def found() -> Document | None:
            status = self.status
            return status if status and holds(status) else None

        status: Document = self.space.watch.until(found, self.told_in_full, seconds)
        return status

    def in_phase(self, *phases: str, seconds: float = _SECONDS, attempts: int = 0) -> Document:
        """Its status, once it is in one of `phases` and there were so many attempts."""
        return self.until(
            lambda status: (
                status["phase"] in phases and len(status.get("attempts", ())) >= attempts
            ),
            seconds=seconds,
        )

    def ever_in_phase(self, phase: str, *, seconds: float = _SECONDS) -> Document:
        """Its status as it was in `phase`, however short that was."""

        def found() -> Document | None:
            statuses = (
                change.document.get("status") or {}
                for change in self.space.watch.changes
                if change.uid == self.uid
            )
            return next((each for each in statuses if each.get("phase") == phase), None)

        status: Document = self.space.watch.until(found, self.told_in_full, seconds)
        return status

    def gone(self, *, seconds: float = _SECONDS) -> None:
        """Returns when there is nothing of it and of its children any more."""
        watch = self.space.watch
        watch.until(
            lambda: self.document is None and not self.jobs and not self.pods,
            self.told_in_full,
            seconds,
        )

    @property
    def jobs(self) -> list[Document]:
        """Its Jobs."""
        return self._children(Kind.JOB)

    @property
    def pods(self) -> list[Document]:
        """Its pods."""
        return self._children(Kind.POD)

    def pods_until(
        self, count: int, *, phase: str = "", seconds: float = _SECONDS
    ) -> list[Document]:
        """Its pods in `phase`, once there are so many."""

        def found() -> list[Document]:
            pods = [pod for pod in self.pods if phase in {"", pod["status"].get("phase")}]
            return pods if len(pods) >= count else []

        pods: list[Document] = self.space.watch.until(found, self.told_in_full, seconds)
        return pods

    def told_in_full(self) -> str:
        """What whoever wonders why it stands still would ask for, the most telling first."""
        status = self.status
        attempts = [
            {key: each.get(key) for key in ("number", "state", "reason")}
            for each in status.get("attempts", ())
        ]
        pods = [
            {
                "name": pod["metadata"]["name"],
                "deleted": pod["metadata"].get("deletionTimestamp"),
                "planned": [
                    value
                    for name, value in pod["metadata"].get("annotations", {}).items()
                    if name.endswith(("started-at", "ends-at"))
                ],
                "phase": pod["status"].get("phase"),
                "states": [
                    each.get("state") for each in pod["status"].get("containerStatuses", ())
                ],
            }
            for pod in self.pods
        ]
        lines = [
            line["message"]
            for operator in self.space.operators
            for line in operator.lines
            if self.name in json.dumps(line)
        ]
        health = [each.ask("/healthz")[1] for each in self.space.operators]
        return (
            f"{self.name}: {status.get('phase')} {status.get('reason')} {attempts}; pods {pods}; "
            f"Jobs {[job.get('status') for job in self.jobs]}; logged {lines[-8:]}; operators {health}; status {status}"
        )

    def edit(self, **spec: Any) -> None:
        """Changes its spec."""
        self.space.api.patch(self.path, {"spec": spec})

    def annotate(self, name: str) -> None:
        """Gives it an annotation."""
        self.space.api.patch(self.path, {"metadata": {"annotations": {name: "yes"}}})

    def delete(self) -> None:
        """Asks for its deletion."""
        self.space.api.delete(self.path)

    def events(self) -> list[Document]:
        """The Events about it, oldest first."""
        query = {"fieldSelector": f"involvedObject.uid={self.uid}"}
        path = f"/api/v1/namespaces/{self.space.namespace}/events"
        found: list[Document] = self.space.api.get(path, **query)["items"]
        return sorted(found, key=lambda event: int(event["metadata"]["resourceVersion"]))

    def told(self, reason: str, *, seconds: float = 10) -> Document:
        """The Event of that reason; they come a moment after the status."""
        found: list[Document] = []

        def is_told() -> bool:
            found[:] = [event for event in self.events() if event["reason"] == reason]
            return bool(found)

        self.space.watch.until(is_told, lambda: f"{self.name}: no Event {reason}", seconds)
        return found[-1]

    def _children(self, kind: Kind) -> list[Document]:
        return [
            each
            for each in self.space.watch.all(kind)
            if each["metadata"].get("labels", {}).get(labels.RUN_UID) == self.uid
        ]


@dataclass(kw_only=True)
class Space:
    """A namespace with its operators and its record."""

    cluster: Cluster
    namespace: str
    watch: RunWatch
    kubeconfig: Path
    """How its operators reach the API server."""
    folder: Path
    options: tuple[str, ...] = ()
    patience: Mapping[str, float] = field(default_factory=lambda: PATIENCE)
    stack: ExitStack = field(default_factory=ExitStack)
    operators: list[OperatorProcess] = field(default_factory=list)

    @property
    def api(self) -> Api:
        """The API server itself, past any proxy."""
        return self.cluster.api

    @property
    def runs(self) -> str:
        """Where its runs are."""
        return f"/apis/lightcompute.dev/v1alpha1/namespaces/{self.namespace}/trainingruns"

    @property
    def operator(self) -> OperatorProcess:
        """The newest one."""
        return self.operators[-1]

    def start_operator(self, *options: str) -> OperatorProcess:
        """Another operator, which waits for its turn where there is one."""
        operator = self.stack.enter_context(
            OperatorProcess(
                self.kubeconfig,
                self.folder / f"{self.namespace}-{len(self.operators)}.log",
                *options_for(self.namespace),
                *OPTIONS,
                *self.options,
                *options,
                patience=dict(self.patience),
            )
        )
        self.operators.append(operator)
        return operator

    @property
    def lease(self) -> str:
        """The Lease that its operators take turns by."""
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        return f"{leases}/lightcompute-operator"

    def bury(self, operator: OperatorProcess) -> None:
        """Gives back the Lease of a dead operator, so that nobody waits until it runs out."""
        assert operator.process.poll() is not None, "it lives"
        self.api.patch(self.lease, {"spec": {"holderIdentity": ""}})

    def submit(self, name: str, sim: Mapping[str, object] | None = None, **spec: Any) -> Run:
        """Makes a run of a simulated trainer, whose variables SIM_... are in `sim`."""
        document = a_run(name, sim or {}, spec)
        uid = self.api.post(self.runs, document, fieldValidation="Strict")["metadata"]["uid"]
        return Run(space=self, name=name, uid=uid)

    def make_claim(self, name: str) -> None:
        """A claim with its volume, on which nothing lies."""
        make_claim(self.api, self.namespace, name)

    @property
    def errors(self) -> list[Document]:
        """What its operators did not foresee, as they logged it. To kopf, a server that refuses a connection is an error."""
        lines = (line for each in self.operators for line in each.lines)
        return [
            line
            for line in lines
            if line["level"] == "ERROR" and not line["logger"].startswith("kopf")
        ]

    def audit(self) -> tuple[str, ...]:
        """What did not hold at some moment until now."""
        return violations(self.watch.changes)


def make_claim(api: Api, namespace: str, name: str) -> None:
    """A claim with its volume, on which nothing lies; volumes have no namespace."""
    size = {"storage": "1Gi"}
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    volume = {"hostPath": {"path": "/simulated"}, "capacity": size}
    reference = {"namespace": namespace, "name": name}
    api.post(
        "/api/v1/persistentvolumes",
        {"metadata": {"name": name}, "spec": {**common, **volume, "claimRef": reference}},
    )
    api.post(
        f"/api/v1/namespaces/{namespace}/persistentvolumeclaims",
        {
            "metadata": {"name": name},
            "spec": {**common, "resources": {"requests": size}, "volumeName": name},
        },
    )


def a_run(name: str, sim: Mapping[str, object], spec: Mapping[str, Any]) -> Document:
    """The document of a run whose trainer is simulated; a part of the spec that is None is left out."""
    env = [{"name": f"SIM_{key}", "value": str(value)} for key, value in sim.items()]
    given = {"training": _TRAINING, "failurePolicy": _QUICK, **spec}
    trainer = {"env": env, **(given.pop("trainer", None) or {})}
    return {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": name},
        "spec": {
            "trainer": trainer,
            **{key: value for key, value in given.items() if value is not None},
        },
    }


@contextmanager
def a_space(
    cluster: Cluster,
    folder: Path,
    *,
    kubeconfig: Path | None = None,
    options: tuple[str, ...] = (),
    patience: Mapping[str, float] | None = None,
) -> Iterator[Space]:
    """A fresh namespace; afterwards its operators are ended, and it is deleted, which nobody waits for."""
    name = f"runs-{uuid.uuid4().hex[:8]}"
    cluster.api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    cluster.api.eventually(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool)
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.callback(cluster.api.delete, f"/api/v1/namespaces/{name}")
        watch = stack.enter_context(RunWatch(cluster, (name,)))
        yield Space(
            cluster=cluster,
            namespace=name,
            watch=watch,
            kubeconfig=kubeconfig or cluster.kubeconfig,
            folder=folder,
            options=options,
            patience={**PATIENCE, **(patience or {})},
            stack=stack,
        )
