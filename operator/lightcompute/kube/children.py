"""What the Jobs and pods of an attempt come to: one Child, by rules that are pure. Whatever is not certain is said to be alive.

An attempt is gone when its Job will make no more pods and no pod of it can still run. A pod that is deleted takes its last state
with it, so the states that pods had when they went (`departed`) are read beside those that exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lightcompute.api.reasons import Reason
from lightcompute.core.progress import Progress
from lightcompute.core.snapshot import Child, ChildState
from lightcompute.core.text import cut
from lightcompute.kube.endings import ended_child
from lightcompute.kube.observed import SeenJob, SeenPod

OVERDUE = timedelta(seconds=60)
"""A pod that is still there so long after it was to be gone is on a node that nobody hears from."""

_IMAGE_TROUBLE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
_REFUSALS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_BACKING_OFF = re.compile(r'^Back-off pulling image "[^"]*": (ErrImagePull: )?')


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What was read of an attempt's log."""

    progress: Progress | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Everything that is seen of one attempt."""

    attempt: int
    job: SeenJob | None = None
    pods: tuple[SeenPod, ...] = ()
    departed: tuple[SeenPod, ...] = ()
    curves_served: bool | None = None
    """Whether its TensorBoard has its Service; None where it is not to have one."""
    held: bool = False
    """Whether it held its place at some time, as its record says."""
    told: str = ""
    """What events say about why nothing of it begins."""

    @property
    def is_queued(self) -> bool:
        """Whether it waits for its queue to let it begin."""
        return self._is_held_by_its_queue and not self._held_a_place

    @property
    def is_taken_back(self) -> bool:
        """Whether its queue let it begin, and then asked it to leave."""
        return self._is_held_by_its_queue and self._held_a_place

    @property
    def _is_held_by_its_queue(self) -> bool:
        job = self.job
        if job is None or not job.queue or job.deleting or job.complete or job.failed is not None:
            return False
        return job.suspended

    @property
    def _held_a_place(self) -> bool:
        return self.held or self.scheduled_time is not None

    @property
    def scheduled_time(self) -> datetime | None:
        """When the first of its pods got a node; from then on it costs money."""
        times = (pod.scheduled_time for pod in (*self.pods, *self.departed))
        return min((time for time in times if time is not None), default=None)

    @property
    def began_time(self) -> datetime | None:
        """When the last of its programs started: before that it is no wonder that nothing is said."""
        times = [pod.began_time for pod in (*self.pods, *self.departed)]
        return max((time for time in times if time is not None), default=None)

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it runs or will run."""
        if not all(pod.is_over for pod in self.pods):
            return False  # also one that is being deleted: until it is gone it may run
        job = self.job
        if job is None or job.complete or job.failed is not None:
            return True
        # What a queue holds it may let go on at any time.
        return job.suspended and job.holds and not job.queue


def child_of(seen: Seen, heard: Heard, *, through_torchrun: bool, now: datetime) -> Child | None:
    """The attempt as the core knows it; None where there is nothing to be seen of it."""
    if seen.job is None and not seen.pods and not seen.departed:
        return None
    child = Child(
        attempt=seen.attempt,
        state=ChildState.PENDING if seen.scheduled_time is None else ChildState.RUNNING,
        start_time=seen.scheduled_time,
        asked_time=_asked_time(seen.job),
        began_time=seen.began_time,
        stopping=_is_stopping(seen),
        stopping_time=_stopping_time(seen),
        deadline_seconds=deadline_of(seen),
        requests=_requests(seen),
        curves_served=seen.curves_served,
        progress=heard.progress,
        # The first rank has nothing to tell before the last one is there: that is no silence.
        heard_until=heard.until if _has_begun(seen) else None,
    )
    if seen.is_gone:
        pods = (*seen.departed, *seen.pods)
        return ended_child(child, seen.job, pods, through_torchrun=through_torchrun)
    reason, words = _waiting(seen)
    child = replace(child, waiting_reason=reason, waiting=cut(words, 400))
    if seen.is_taken_back:
        child = replace(child, interruption=Reason.PREEMPTED, held_until=_held_until(seen))
    return replace(child, state=ChildState.UNKNOWN) if _is_overdue(seen, now) else child


def _requests(seen: Seen) -> tuple[str, str] | None:
    """What the first rank was told; all are told the same."""
    told = [pod.requests for pod in seen.pods if pod.index == 0 and not pod.is_over]
    return told[-1] if told else None


def _held_until(seen: Seen) -> datetime | None:
    """When the last pod of one that was taken back was gone, at the latest; None while one may be there."""
    job = seen.job
    if job is None or job.held_time is None or not all(pod.is_over for pod in seen.pods):
        return None
    pods = (*seen.pods, *seen.departed)
    ends = [pod.finished_time for pod in pods if pod.finished_time is not None]
    if ends and len(ends) == len(pods):
        return max(ends)
    return job.held_time + timedelta(seconds=job.grace_seconds)


def deadline_of(seen: Seen) -> int | None:
    """Seconds from the attempt's start after which its Job ends it; the Job counts from its own start."""
    job = seen.job
    if job is None or job.active_deadline_seconds is None:
        return None
    return job.active_deadline_seconds - late_seconds(job, seen.scheduled_time)


def late_seconds(job: SeenJob, start: datetime | None) -> int:
    """Whole seconds by which the attempt started later than its Job; less than none for a Job that a queue let begin again."""
    if job.start_time is None or start is None:
        return 0
    seconds = int((start - job.start_time).total_seconds())
    return seconds if job.queue else max(0, seconds)


def attempts_of(jobs: Iterable[SeenJob], pods: Iterable[SeenPod]) -> tuple[int, ...]:
    """Numbers of the attempts of which anything exists."""
    owners = (*(job.owner for job in jobs), *(pod.owner for pod in pods))
    return tuple(sorted({owner.attempt for owner in owners}))


def _is_overdue(seen: Seen, now: datetime) -> bool:
    """Whether a pod should be gone and is not: its node is not heard from, and what is there may run on."""
    dues = [pod.deletion_due for pod in seen.pods if not pod.is_over]
    return any(due is not None and now > due + OVERDUE for due in dues)


def _has_begun(seen: Seen) -> bool:
    """Whether every rank has a pod, and each of them runs or ran."""
    return not _missing(seen) and all(_ran(pod) for pod in seen.pods)


def _ran(pod: SeenPod) -> bool:
    return pod.running or pod.is_over or pod.ended is not None


def _missing(seen: Seen) -> int:
    """How many ranks never had a pod, as far as is known."""
    ranks = {pod.index for pod in (*seen.pods, *seen.departed)}
    return 0 if seen.job is None else max(0, seen.job.completions - len(ranks))


def _asked_time(job: SeenJob | None) -> datetime | None:
    """When the cluster heard of it; where a queue admits it, when that let it begin."""
    if job is None:
        return None
    return job.start_time if job.queue else job.created_time


def _is_stopping(seen: Seen) -> bool:
    """Whether each of its pods was asked to leave; where it has none, whether none can come to be any more."""
    job = seen.job
    if job is not None and job.queue:
        return job.deleting  # whatever its queue asks of its pods
    if seen.pods and not all(pod.is_over for pod in seen.pods):
        return all(pod.deleting or pod.is_over for pod in seen.pods)
    return bool(seen.pods) or (job is not None and (job.suspended or job.deleting))


def _stopping_time(seen: Seen) -> datetime | None:
    """When the last of its pods was asked, of those that are there."""
    times = [pod.asked_time for pod in seen.pods if pod.asked_time is not None and not pod.is_over]
    return max(times, default=None)


def _waiting(seen: Seen) -> tuple[Reason | None, str]:
    """Why what was asked for does not run yet."""
    if seen.job is not None and seen.is_queued:
        return Reason.NOT_ADMITTED, f"the queue {seen.job.queue} of Kueue has not admitted it yet"
    if seen.job is not None and seen.is_taken_back:
        return None, f"the queue {seen.job.queue} of Kueue took back what it had admitted"
    missing = _missing(seen)
    if missing and seen.told:
        return Reason.POD_REFUSED, seen.told
    if not seen.pods:
        left = "its pods are gone, and its Job has not ended yet"
        return None, left if seen.departed else "its pods are being created"
    pods = sorted(seen.pods, key=lambda pod: (pod.index, pod.uid))
    for pod in pods:
        if pod.scheduled_time is None and not pod.is_over:
            words = pod.unscheduled or "the scheduler has not looked at it yet"
            return (Reason.NO_CAPACITY if pod.unscheduled else None), words
    waits = [pod.waiting for pod in pods if pod.waiting is not None and not pod.running]
    if waits:
        return _held_back(waits, seen.told)
    if missing:
        return None, f"{missing} of its {missing + len(pods)} pods are being created"
    return None, "" if all(_ran(pod) for pod in pods) else "its containers are being created"


def _held_back(waits: list[tuple[str, str]], told: str) -> tuple[Reason | None, str]:
    """What keeps containers waiting; what nothing is wrong with is told last."""
    for known, reason in (
        (_IMAGE_TROUBLE, Reason.IMAGE_UNAVAILABLE),
        (_REFUSALS, Reason.POD_REFUSED),
    ):
        for why, message in waits:
            if why in known:
                return reason, _steady(why, message)
    return (Reason.POD_REFUSED, told) if told else (None, f"its container waits: {waits[0][0]}")


def _steady(why: str, message: str) -> str:
    """The same words at each try: a kubelet tells of a failed pull and of the wait before the next one by turns."""
    if why == "ImagePullBackOff" and _BACKING_OFF.match(message):
        why, message = "ErrImagePull", _BACKING_OFF.sub("", message)
    return f"{why}: {message}" if message else why
