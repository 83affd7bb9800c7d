"""Jobs, pods and TensorBoard's Services of all runs, by run: kept by watches, with the last state of pods that went, and who is woken by a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lightcompute.kube.observed import Owner, SeenJob, SeenPod, SeenService


@dataclass(kw_only=True, slots=True)
class Children:
    """What exists of one run, by UID."""

    jobs: dict[str, SeenJob] = field(default_factory=dict)
    pods: dict[str, SeenPod] = field(default_factory=dict)
    services: dict[str, SeenService] = field(default_factory=dict)
    departed: dict[str, SeenPod] = field(default_factory=dict)
    """Pods that are gone, as they were last. Only until the end of their attempt is on record."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.jobs or self.pods or self.services or self.departed)


class Family:
    """Children by the UID of their run."""

    def __init__(self, wake: Callable[[str], None]) -> None:
        self._wake = wake
        self._children: dict[str, Children] = {}

    def of(self, run_uid: str) -> Children:
        """What is seen of the run's children."""
        return self._children.get(run_uid) or Children()

    def job_changed(self, before: SeenJob | None, after: SeenJob | None) -> None:
        """A watch of Jobs says so; a Job that goes is told as it was last, with no `after`."""
        job = after or before
        if job is None:
            return
        jobs = self._room(job.owner).jobs
        if after is not None:
            jobs[after.uid] = after
        else:
            jobs.pop(job.uid, None)
        if before != after:
            self._changed(job.owner)

    def pod_changed(self, before: SeenPod | None, after: SeenPod | None) -> None:
        """A watch of pods says so; a pod that goes leaves its last state."""
        pod = after or before
        if pod is None:
            return
        room = self._room(pod.owner)
        if after is not None:
            room.pods[after.uid] = after
        else:
            room.pods.pop(pod.uid, None)
            room.departed[pod.uid] = pod
        if before != after:
            self._changed(pod.owner)

    def service_changed(self, before: SeenService | None, after: SeenService | None) -> None:
        """A watch of Services says so. Who is looked at for it is only a run that lost one."""
        service = after or before
        if service is None:
            return
        services = self._room(service.owner).services
        if after is not None:
            services[after.uid] = after
        else:
            services.pop(service.uid, None)
            self._changed(service.owner)

    def settle(self, run_uid: str, attempt: int) -> tuple[str, ...]:
        """The end of `attempt` and all before it is on record: their departed pods are forgotten. UIDs of their pods."""
        room = self._children.get(run_uid)
        if room is None:
            return ()
        pods = (*room.departed.values(), *room.pods.values())
        old = tuple(pod.uid for pod in pods if pod.owner.attempt <= attempt)
        room.departed = {
            uid: pod for uid, pod in room.departed.items() if pod.owner.attempt > attempt
        }
        self._tidy(run_uid)
        return old

    def forget(self, run_uid: str) -> None:
        """The run is gone: so are the last states of its pods."""
        room = self._children.get(run_uid)
        if room is not None:
            room.departed.clear()
            self._tidy(run_uid)

    def _room(self, owner: Owner) -> Children:
        return self._children.setdefault(owner.run_uid, Children())

    def _changed(self, owner: Owner) -> None:
        self._tidy(owner.run_uid)
        self._wake(owner.run_uid)

    def _tidy(self, run_uid: str) -> None:
        room = self._children.get(run_uid)
        if room is not None and room.is_empty:
            del self._children[run_uid]
