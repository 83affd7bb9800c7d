"""Builders of Jobs and pods as an API server sends them: each method says one thing that happened, at so many seconds after NOON."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Self

from lightcompute.api import labels
from lightcompute.kube.observed import QUEUE, SeenJob, SeenPod, kept_job, kept_pod
from lightcompute.testing.builders import at

Document = dict[str, Any]
UID = "uid-1"
NAMESPACE = "team-a"


def clock(seconds: float) -> str:
    """A time as an API server writes it."""
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def _marks(attempt: int) -> Document:
    return {
        labels.MANAGED_BY: "lightcompute",
        labels.RUN_UID: UID,
        labels.ATTEMPT: str(attempt),
        labels.PURPOSE: "trainer",
    }


def _condition(type_: str, reason: str, message: str, seconds: float, status: str) -> Document:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": clock(seconds),
    }


@dataclass(frozen=True)
class _Builder:
    document: Document

    def _changed(self, *path: str, **values: Any) -> Self:
        """A copy with `values` laid over the mapping at `path`."""
        document = deepcopy(self.document)
        place = document
        for key in path:
            place = place.setdefault(key, {})
        place.update(values)
        return replace(self, document=document)

    def _with_condition(self, condition: Document) -> Self:
        known = self.document["status"].get("conditions", [])
        others = [each for each in known if each["type"] != condition["type"]]
        return self._changed("status", conditions=[*others, condition])

    def labelled(self, **marks: Any) -> Self:
        """With these labels and no others."""
        return self._changed("metadata", labels=dict(marks))

    def named(self, name: str, uid: str) -> Self:
        """Another object of the same kind."""
        return self._changed("metadata", name=name, uid=uid)

    def deleted(self, due: float = 130) -> Self:
        """Asked to be gone by `due`."""
        return self._changed(
            "metadata", deletionTimestamp=clock(due), deletionGracePeriodSeconds=30
        )


@dataclass(frozen=True)
class JobBuilder(_Builder):
    """A Job that its controller has not looked at yet."""

    def for_ranks(self, ranks: int) -> JobBuilder:
        """With so many pods."""
        return self._changed("spec", completions=ranks, parallelism=ranks)

    def started(self, seconds: float = 0) -> JobBuilder:
        """Its controller has seen it."""
        return self._changed("status", startTime=clock(seconds), active=1)

    def with_deadline(self, seconds: int) -> JobBuilder:
        """It ends by itself."""
        return self._changed("spec", activeDeadlineSeconds=seconds)

    def asked_to_hold(self) -> JobBuilder:
        """Suspended, and nobody has seen it yet."""
        return self._changed("spec", suspend=True)

    def holding(self, seconds: float = 60) -> JobBuilder:
        """Suspended, as its controller confirms."""
        told = _condition("Suspended", "JobSuspended", "Job suspended", seconds, "True")
        return self.asked_to_hold()._with_condition(told)

    def queued(self, queue: str = "team") -> JobBuilder:
        """For Kueue to admit."""
        return self._changed("metadata", "labels", **{QUEUE: queue})

    def let_go(self, seconds: float) -> JobBuilder:
        """Not held any more, since then."""
        told = _condition("Suspended", "JobResumed", "Job resumed", seconds, "False")
        return self._changed("spec", suspend=False)._with_condition(told).started(seconds)

    def failed(self, reason: str, message: str = "", *, seconds: float = 60) -> JobBuilder:
        """Over, for `reason`."""
        return self._with_condition(_condition("Failed", reason, message, seconds, "True"))

    def about_to_fail(self, reason: str, *, seconds: float = 60) -> JobBuilder:
        """Its controller wants it over, and waits for the pods."""
        return self._with_condition(_condition("FailureTarget", reason, "", seconds, "True"))

    def complete(self, seconds: float = 60) -> JobBuilder:
        """Over, with success."""
        told = _condition("Complete", "CompletionsReached", "", seconds, "True")
        return self._with_condition(told)

    def kept(self) -> SeenJob:
        """As we keep it."""
        return kept_job(self.document)


@dataclass(frozen=True)
class PodBuilder(_Builder):
    """A pod that was just created; what its containers do is told by name."""

    def unscheduled(self, words: str, *, reason: str = "Unschedulable") -> PodBuilder:
        """The scheduler finds no node for it."""
        return self._with_condition(_condition("PodScheduled", reason, words, 1, "False"))

    def scheduled(self, seconds: float = 0) -> PodBuilder:
        """On a node, where nothing is told of its containers yet."""
        on_node = self._changed("spec", nodeName="node-1")
        return on_node._with_condition(_condition("PodScheduled", "", "", seconds, "True"))

    def on_node_without_scheduler(self, seconds: float | None = 0) -> PodBuilder:
        """Put there by its own nodeName; `seconds`: when the node's kubelet saw it."""
        told = {} if seconds is None else {"startTime": clock(seconds)}
        return self._changed("spec", nodeName="node-1")._changed("status", **told)

    def waiting(self, reason: str, message: str = "", *, container: str = "trainer") -> PodBuilder:
        """A container of it waits."""
        return self._in_state(container, {"waiting": {"reason": reason, "message": message}})

    def running(self, seconds: float = 10, *, container: str = "trainer") -> PodBuilder:
        """A container of it runs."""
        running = self._in_state(container, {"running": {"startedAt": clock(seconds)}})
        return running.in_phase("Running")

    def ended(
        self,
        code: int,
        *,
        seconds: float | None = 50,
        reason: str = "",
        message: str = "",
        container: str = "trainer",
        **more: Any,
    ) -> PodBuilder:
        """A container of it ended; the pod's phase is told apart."""
        told = {
            "exitCode": code,
            "reason": reason or ("Error" if code else "Completed"),
            "startedAt": clock(10),
            **({} if seconds is None else {"finishedAt": clock(seconds)}),
            **({"message": message} if message else {}),
            **more,
        }
        return self._in_state(container, {"terminated": told})

    def over(self, code: int = 0, *, seconds: float | None = 50, **more: Any) -> PodBuilder:
        """Its trainer ended, and so did all of it."""
        ended = self.ended(code, seconds=seconds, **more)
        return ended.in_phase("Failed" if code else "Succeeded")

    def in_phase(self, phase: str, reason: str = "", message: str = "") -> PodBuilder:
        """In this phase, with what its status says."""
        told = {"reason": reason, "message": message} if reason else {}
        return self._changed("status", phase=phase, **told)

    def disrupted(self, reason: str, message: str = "", *, status: str = "True") -> PodBuilder:
        """Somebody wants its place."""
        return self._with_condition(_condition("DisruptionTarget", reason, message, 40, status))

    def kept(self) -> SeenPod:
        """As we keep it."""
        return kept_pod(self.document)

    def _in_state(self, container: str, state: Document) -> PodBuilder:
        key = "containerStatuses" if container == "trainer" else "initContainerStatuses"
        known = self.document["status"].get(key, [])
        told = {"name": container, "state": state, "lastState": {}, "image": "trainer:1"}
        others = [each for each in known if each["name"] != container]
        return self._changed("status", **{key: [*others, told]})


def a_job(attempt: int = 1) -> JobBuilder:
    """A Job of one pod that was just created."""
    name = f"baseline-{attempt}-trainer"
    return JobBuilder(
        {
            "metadata": {
                "uid": f"job-{attempt}",
                "name": name,
                "namespace": NAMESPACE,
                "labels": _marks(attempt),
                "resourceVersion": "1",
                "creationTimestamp": clock(0),
            },
            "spec": {"completionMode": "Indexed", "completions": 1, "parallelism": 1},
            "status": {},
        }
    )


def a_pod(rank: int = 0, *, attempt: int = 1, name: str = "") -> PodBuilder:
    """A pod of that rank that was just created."""
    uid = name or f"pod-{attempt}-{rank}"
    return PodBuilder(
        {
            "metadata": {
                "uid": uid,
                "name": uid,
                "namespace": NAMESPACE,
                "labels": _marks(attempt),
                "annotations": {"batch.kubernetes.io/job-completion-index": str(rank)},
                "creationTimestamp": clock(0),
            },
            "spec": {"containers": [{"name": "trainer"}]},
            "status": {"phase": "Pending"},
        }
    )
