"""Jobs, pods and Services as we keep them: the few facts that say what an attempt is doing. Parsed once, where they come in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from lightcompute.api import labels
from lightcompute.kube.client import Document

QUEUE = "kueue.x-k8s.io/queue-name"
"""Label by which Kueue knows the Jobs that it admits, and into which queue."""
MAX_EXECUTION = "kueue.x-k8s.io/max-exec-time-seconds"
"""Label by which Kueue takes a Job back for good after so many seconds in which it was admitted."""
TRAINER = "trainer"
"""Name of the container that trains."""
TENSORBOARD = "tensorboard"
"""Name of the container beside it that serves its curves."""
_HARMLESS = frozenset({"", "PodInitializing", "ContainerCreating", "CrashLoopBackOff"})
"""Waits that keep nothing else from beginning; only a sidecar is started again after a crash."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Whose something is, as its labels say."""

    run_uid: str
    attempt: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenJob:
    """What we keep of a Job."""

    uid: str
    name: str
    namespace: str
    owner: Owner
    created_time: datetime | None
    deleting: bool
    suspended: bool
    """Whether it was asked to hold (`spec.suspend`)."""
    holds: bool
    """Whether its controller says that it does."""
    queue: str
    """The queue that admits it; empty where none does."""
    held_time: datetime | None
    """Since when it is held, as its controller says; None while it is not."""
    grace_seconds: int
    """So long its pods have to leave."""
    completions: int
    active_deadline_seconds: int | None
    start_time: datetime | None
    active: int
    terminating: int
    complete: bool
    failed: str | None
    """Reason for which it failed for good; None when it did not."""
    message: str
    ended_time: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Termination:
    """How a container ended."""

    exit_code: int
    signal: int | None
    reason: str
    message: str
    finished_time: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenPod:
    """What we keep of a pod."""

    uid: str
    name: str
    namespace: str
    owner: Owner
    index: int
    requests: tuple[str, str] | None
    """What it was told that people want of its trainer; None for one of a version that was told nothing."""
    node: str
    phase: str
    deleting: bool
    deletion_due: datetime | None
    """When it should be gone, if it is being deleted."""
    asked_time: datetime | None
    """When it was asked to leave, if it is being deleted."""
    scheduled_time: datetime | None
    unscheduled: str
    """Why it has no node, in the scheduler's words."""
    disruption: tuple[str, str] | None
    """Reason and message of the condition DisruptionTarget, or of the pod's own status."""
    waiting: tuple[str, str] | None
    """Reason and message of a container that waits: of one that says why, where there is one."""
    running: bool
    """Whether the trainer's container runs."""
    began_time: datetime | None
    """When the trainer's container started."""
    ended: Termination | None
    """How the trainer's container ended."""
    finished_time: datetime | None
    """When its last container ended; None while any is last known to run."""
    image_id: str
    serves_curves: bool
    """Whether TensorBoard stands beside the trainer in it."""

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs or will run again."""
        return self.phase in {"Succeeded", "Failed"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenService:
    """What we keep of a Service: that it is there."""

    uid: str
    owner: Owner
    deleting: bool


def kept_service(document: Document) -> SeenService:
    """The facts of a Service of ours."""
    metadata = document["metadata"]
    return SeenService(
        uid=metadata["uid"], owner=_owner(metadata), deleting="deletionTimestamp" in metadata
    )


def kept_job(document: Document) -> SeenJob:
    """The facts of a Job of ours."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    status = document.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or () if _true(each)}
    failed, complete = conditions.get("Failed"), conditions.get("Complete")
    ending = failed or complete or {}
    return SeenJob(
        uid=metadata["uid"],
        name=metadata["name"],
        namespace=metadata["namespace"],
        owner=_owner(metadata),
        created_time=_time(metadata.get("creationTimestamp")),
        deleting="deletionTimestamp" in metadata,
        suspended=bool(spec.get("suspend")),
        holds="Suspended" in conditions,
        held_time=_time((conditions.get("Suspended") or {}).get("lastTransitionTime")),
        grace_seconds=_grace(spec),
        queue=str((metadata.get("labels") or {}).get(QUEUE) or ""),
        completions=int(spec.get("completions") or 1),
        active_deadline_seconds=spec.get("activeDeadlineSeconds"),
        start_time=_time(status.get("startTime")),
        active=int(status.get("active") or 0),
        terminating=int(status.get("terminating") or 0),
        complete=complete is not None,
        failed=str(failed.get("reason") or "Failed") if failed else None,
        message=str(ending.get("message") or ""),
        ended_time=_time(ending.get("lastTransitionTime")),
    )


def kept_pod(document: Document) -> SeenPod:
    """The facts of a pod of ours."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    status = document.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    containers = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    trainer: Document = next((each for each in containers if each.get("name") == TRAINER), {})
    state = trainer.get("state") or {}
    states = [each.get("state") or {} for each in containers]
    return SeenPod(
        uid=metadata["uid"],
        name=metadata["name"],
        namespace=metadata["namespace"],
        owner=_owner(metadata),
        index=_index(metadata),
        requests=_requests(metadata),
        node=spec.get("nodeName") or "",
        phase=status.get("phase") or "Pending",
        deleting="deletionTimestamp" in metadata,
        deletion_due=_time(metadata.get("deletionTimestamp")),
        asked_time=_asked(metadata),
        scheduled_time=_scheduled(spec, status, conditions),
        unscheduled=_unscheduled(conditions),
        disruption=_disruption(status, conditions),
        waiting=_waiting(states),
        running="running" in state,
        began_time=_time((state.get("running") or state.get("terminated") or {}).get("startedAt")),
        ended=_termination(state.get("terminated")),
        finished_time=_finished(states),
        image_id=trainer.get("imageID") or "",
        serves_curves=any(
            each.get("name") == TENSORBOARD for each in spec.get("initContainers") or ()
        ),
    )


def _grace(spec: Document) -> int:
    pod = (spec.get("template") or {}).get("spec") or {}
    return int(pod.get("terminationGracePeriodSeconds") or 30)


def _owner(metadata: Document) -> Owner:
    marks = metadata.get("labels") or {}
    number = str(marks.get(labels.ATTEMPT, ""))
    return Owner(
        run_uid=str(marks.get(labels.RUN_UID, "")),
        attempt=int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0,
    )


def _asked(metadata: Document) -> datetime | None:
    due = _time(metadata.get("deletionTimestamp"))
    grace = metadata.get("deletionGracePeriodSeconds")
    return due - timedelta(seconds=int(grace or 0)) if due is not None else None


def _index(metadata: Document) -> int:
    text = str(
        (metadata.get("annotations") or {}).get("batch.kubernetes.io/job-completion-index", "")
    )
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _requests(metadata: Document) -> tuple[str, str] | None:
    notes = metadata.get("annotations") or {}
    if labels.CHECKPOINT_NOW not in notes:
        return None
    return str(notes[labels.CHECKPOINT_NOW]), str(notes.get(labels.PINNED_CHECKPOINTS, ""))


def _scheduled(
    spec: Document, status: Document, conditions: dict[str, Document]
) -> datetime | None:
    scheduled = conditions.get("PodScheduled")
    if scheduled is not None and _true(scheduled):
        return _time(scheduled.get("lastTransitionTime"))
    # A pod that was put on a node without the scheduler has no such condition.
    return _time(status.get("startTime")) if spec.get("nodeName") else None


def _unscheduled(conditions: dict[str, Document]) -> str:
    scheduled = conditions.get("PodScheduled")
    if scheduled is None or _true(scheduled):
        return ""
    return str(scheduled.get("message") or scheduled.get("reason") or "")


def _disruption(status: Document, conditions: dict[str, Document]) -> tuple[str, str] | None:
    target = conditions.get("DisruptionTarget")
    if target is None or not _true(target):
        return _said(status) if status.get("reason") else None
    # A kubelet ends pods for want of memory, for a shutdown and for others: its own word says for which.
    by_kubelet = target.get("reason") == "TerminationByKubelet" and status.get("reason")
    return _said(status if by_kubelet else target)


def _waiting(states: list[Document]) -> tuple[str, str] | None:
    waits = [_said(state["waiting"]) for state in states if "waiting" in state]
    return min(waits, key=lambda wait: wait[0] in _HARMLESS, default=None)


def _finished(states: list[Document]) -> datetime | None:
    if any("running" in state for state in states):
        return None
    ends = [_time((state.get("terminated") or {}).get("finishedAt")) for state in states]
    return max((end for end in ends if end is not None), default=None)


def _began(state: Document) -> datetime | None:
    known = state.get("running") or state.get("terminated") or {}
    return _time(known.get("startedAt"))


def _termination(terminated: Document | None) -> Termination | None:
    if terminated is None:
        return None
    return Termination(
        exit_code=int(terminated.get("exitCode") or 0),
        signal=int(terminated["signal"]) if terminated.get("signal") else None,
        reason=str(terminated.get("reason") or ""),
        message=str(terminated.get("message") or ""),
        finished_time=_time(terminated.get("finishedAt")),
    )


def _said(told: Document) -> tuple[str, str]:
    return str(told.get("reason") or ""), str(told.get("message") or "")


def _true(condition: Document) -> bool:
    return condition.get("status") == "True"


def _time(text: object) -> datetime | None:
    """An API server's time: RFC 3339 with Z."""
    return datetime.fromisoformat(text) if isinstance(text, str) else None
