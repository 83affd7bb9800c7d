"""What must hold at every moment for runs in a cluster, whatever is done to the operator: judged from a record of all changes. Pure.

The versions of one API server's objects grow over all kinds, so the changes can be gone through in the order in which they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from lightcompute.api import labels

Document = dict[str, Any]
_OVER = frozenset({"Succeeded", "Failed"})


class Kind(StrEnum):
    """What is recorded."""

    RUN = "TrainingRun"
    CLUSTER = "TrainingCluster"
    JOB = "Job"
    POD = "Pod"


@dataclass(frozen=True, kw_only=True)
class Change:
    """An object as it came to be at `version`; as it was last, when it is `gone`."""

    version: int
    kind: Kind
    gone: bool
    document: Document
    heard_at: float = 0.0
    """When we heard of it, by the monotonic clock, in seconds."""

    @property
    def uid(self) -> str:
        """Its UID."""
        return str(self.document["metadata"]["uid"])

    @property
    def owner(self) -> tuple[str, int]:
        """UID of the run and number of the attempt that a Job or pod is of, as it says itself."""
        return _run_uid(self.document), _attempt(self.document)

    @property
    def may_run(self) -> bool:
        """Whether a Job may still make pods, or anything of a pod may run."""
        if self.gone:
            return False
        if self.kind is Kind.JOB:
            return not _is_over(self.document)
        return self.document.get("status", {}).get("phase") not in _OVER


@dataclass(kw_only=True)
class _World:
    """What there is at one moment."""

    runs: dict[str, Document] = field(default_factory=dict)
    jobs: dict[str, Document] = field(default_factory=dict)
    pods: dict[str, Document] = field(default_factory=dict)
    highest_limit: dict[str, Decimal] = field(default_factory=dict)
    owed: set[tuple[str, int]] = field(default_factory=set)
    """Attempts, by UID of their run, that a cluster was ever noted to owe."""

    def pods_alive(self, run_uid: str) -> frozenset[int]:
        """Numbers of the attempts of which a pod may run."""
        return frozenset(
            _attempt(pod)
            for pod in self.pods.values()
            if _run_uid(pod) == run_uid and pod.get("status", {}).get("phase") not in _OVER
        )

    def jobs_alive(self, run_uid: str) -> frozenset[int]:
        """Numbers of the attempts whose Job may still make pods."""
        return frozenset(
            _attempt(job)
            for job in self.jobs.values()
            if _run_uid(job) == run_uid and not _is_over(job)
        )


def violations(changes: Iterable[Change]) -> tuple[str, ...]:
    """What did not hold at some moment, each a sentence. `changes` are in the order of their versions."""
    world = _World()
    return tuple(
        f"version {change.version}: {text}"
        for change in changes
        for text in _wrong_with(world, change)
    )


def _wrong_with(world: _World, change: Change) -> Iterator[str]:
    match change.kind:
        case Kind.RUN:
            before = world.runs.get(change.uid)
            _put(world.runs, change)
            yield from _run_gone(world, change) if change.gone else _run(world, before, change)
        case Kind.JOB:
            new = change.uid not in world.jobs and not change.gone
            _put(world.jobs, change)
            if new:
                yield from _job_made(world, change.document)
        case Kind.POD:
            _put(world.pods, change)
            alive = world.pods_alive(_run_uid(change.document))
            if len(alive) > 1:
                yield f"pods of attempts {sorted(alive)} of one run may run at once"
        case Kind.CLUSTER:
            world.owed |= owed_by(change.document)


def owed_by(cluster: Document) -> frozenset[tuple[str, int]]:
    """Attempts, by UID of their run, that a TrainingCluster is noted to owe."""
    noted = (cluster.get("status") or {}).get("owed", ())
    return frozenset((each["runUid"], each["attempt"]) for each in noted)


def _run(world: _World, before: Document | None, change: Change) -> Iterator[str]:
    run, uid = change.document, change.uid
    name, status = run["metadata"]["name"], run.get("status") or {}
    told = (before or {}).get("status") or {}
    yield from _money(world, run, told)
    if status.get("observedGeneration", 0) > run["metadata"]["generation"]:
        yield f"{name}: observedGeneration is ahead of the spec"
    types = [each["type"] for each in status.get("conditions", ())]
    if len(set(types)) != len(types):
        yield f"{name}: a condition stands there twice"
    attempts = status.get("attempts", ())
    numbers = [each["number"] for each in attempts]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers)) if numbers else ()):
        yield f"{name}: the attempts are numbered {numbers}"
    if sum(each["state"] != "Ended" for each in attempts) > 1:
        yield f"{name}: more than one attempt is recorded as live"
    known = {each["number"]: each for each in told.get("attempts", ())}
    for attempt in attempts:
        yield from _attempt_of(world, uid, name, known.get(attempt["number"]), attempt)
    if len(attempts) < len(known):
        yield f"{name}: an attempt was forgotten"


def _attempt_of(
    world: _World, uid: str, name: str, before: Document | None, after: Document
) -> Iterator[str]:
    if after["state"] != "Ended":
        if before is not None and before["state"] == "Ended":
            yield f"{name}: attempt {after['number']} came back to life"
        return
    if before is not None and before["state"] == "Ended":
        if [before.get(key) for key in _FIXED] != [after.get(key) for key in _FIXED]:
            yield f"{name}: the end of attempt {after['number']} was changed after it was recorded"
    elif after["number"] in world.pods_alive(uid):
        yield f"{name}: attempt {after['number']} is recorded as ended and may run"


_FIXED = ("startTime", "endTime", "reason", "exitCode", "charges", "counts")
"""What of an attempt that is over never changes."""


def _money(world: _World, run: Document, told: Document) -> Iterator[str]:
    uid, name = run["metadata"]["uid"], run["metadata"]["name"]
    spent = _spent(run.get("status") or {})
    if spent < _spent(told):
        yield f"{name}: what was spent fell to {spent}"
    limit = run["spec"].get("budget", {}).get("limitUSD")
    if limit is None:
        return
    highest = max(Decimal(limit), world.highest_limit.get(uid, Decimal()))
    world.highest_limit[uid] = highest
    if spent > highest:
        yield f"{name}: {spent} are spent of {highest}"


def _run_gone(world: _World, change: Change) -> Iterator[str]:
    name = change.document["metadata"]["name"]
    alive = world.pods_alive(change.uid) | world.jobs_alive(change.uid)
    if alive:
        yield f"{name}: the run is gone, and attempts {sorted(alive)} may run"
    attempts = (change.document.get("status") or {}).get("attempts", ())
    open_ = {(change.uid, each["number"]) for each in attempts if each["state"] != "Ended"}
    if open_ - world.owed:
        yield f"{name}: the run is gone with an attempt that was never closed"


def _upkeep_made(world: _World, job: Document) -> Iterator[str]:
    """It is on record before it exists, and nothing trains then."""
    name = job["metadata"]["name"]
    run = world.runs.get(job["metadata"]["labels"][labels.UPKEEP_OF])
    status = (run or {}).get("status") or {}
    if (status.get("upkeep") or {}).get("state") != "Requested":
        yield f"{name}: an upkeep that no run has on record"
    if any(each["state"] != "Ended" for each in status.get("attempts", ())):
        yield f"{name}: an upkeep while an attempt is live"


def _job_made(world: _World, job: Document) -> Iterator[str]:
    if labels.UPKEEP_OF in job["metadata"].get("labels", {}):
        yield from _upkeep_made(world, job)
        return
    uid, number, name = _run_uid(job), _attempt(job), job["metadata"]["name"]
    run = world.runs.get(uid)
    if run is None:
        yield f"{name}: a Job of no run"
        return
    live = [
        each["number"]
        for each in (run.get("status") or {}).get("attempts", ())
        if each["state"] != "Ended"
    ]
    if live != [number]:
        yield f"{name}: a Job of attempt {number} came to be when {live} were recorded as live"
    if labels.FINALIZER not in run["metadata"].get("finalizers", ()):
        yield f"{name}: the Job came to be before the run was held by the finalizer"
    alive = world.jobs_alive(uid)
    if len(alive) > 1:
        yield f"{name}: Jobs of attempts {sorted(alive)} of one run may make pods at once"


def _put(place: dict[str, Document], change: Change) -> None:
    if change.gone:
        place.pop(change.uid, None)
    else:
        place[change.uid] = change.document


def _is_over(job: Document) -> bool:
    ended = any(
        each["type"] in {"Complete", "Failed"} and each["status"] == "True"
        for each in job.get("status", {}).get("conditions", ())
    )
    return ended or bool(job["spec"].get("suspend")) or "deletionTimestamp" in job["metadata"]


def _run_uid(child: Document) -> str:
    return str(child["metadata"].get("labels", {}).get(labels.RUN_UID, ""))


def _attempt(child: Document) -> int:
    return int(child["metadata"].get("labels", {}).get(labels.ATTEMPT, 0))


def _spent(status: Document) -> Decimal:
    return Decimal(status.get("cost", {}).get("spentUSD", 0))
