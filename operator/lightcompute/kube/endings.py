"""How an attempt ended that is gone, by what its Job and its pods were last: which of them decides, who took it away, in what words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from lightcompute.api.reasons import Reason
from lightcompute.core.snapshot import Child, ChildState
from lightcompute.core.text import cut
from lightcompute.kube.observed import SeenJob, SeenPod
from runcontract.exit_codes import ExitCode
from runcontract.results import TerminationMessage

_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})
_INTERRUPTIONS = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "Preempting": Reason.PREEMPTED,
    "EvictionByEvictionAPI": Reason.EVICTED,
    "TerminationByKubelet": Reason.EVICTED,
    "Evicted": Reason.EVICTED,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
    "NodeLost": Reason.NODE_LOST,
    "NodeShutdown": Reason.NODE_LOST,
    "Terminated": Reason.NODE_LOST,
}
"""Reasons of the condition DisruptionTarget, and of pods that a kubelet ended, by who took the machine away."""


def ended_child(
    child: Child, job: SeenJob | None, pods: Iterable[SeenPod], *, through_torchrun: bool
) -> Child:
    """`child` with how it ended: `job` will make no more pods, and none of `pods` runs or will run."""
    pods = tuple(sorted(pods, key=lambda pod: (pod.index, pod.uid)))
    decisive = _decisive(pods)
    word = _word(decisive)
    if through_torchrun and decisive is not None and _says_nothing(decisive, word):
        word = _word_of_others(pods)
    disruption = next((pod.disruption for pod in pods if pod.disruption is not None), None)
    gone = replace(
        child,
        stopping=child.stopping or _was_asked(decisive),
        end_time=_end_time(job, pods),
        interruption=_interruption(disruption),
        cause=cut(_cause(job, disruption, _own_words(decisive, word)), 400),
        termination=word,
    )
    if job is not None and job.complete:
        return replace(gone, state=ChildState.EXITED, exit_code=0)
    if decisive is None or decisive.ended is None:
        return replace(gone, state=ChildState.VANISHED)
    ended, code = decisive.ended, decisive.ended.exit_code
    if through_torchrun and code == ExitCode.INTERNAL_ERROR and word is not None:
        # It failed, whatever was said before: a last word of success is another rank's failure.
        code = word.exit_code or code
    return replace(
        gone,
        state=ChildState.EXITED,
        exit_code=code,
        signal=ended.signal,
        out_of_memory=ended.reason == "OOMKilled",
    )


def _was_asked(decisive: SeenPod | None) -> bool:
    """Whether the pod that tells was deleted before it ended, by whomever."""
    if decisive is None or decisive.ended is None or decisive.asked_time is None:
        return False
    finished = decisive.ended.finished_time
    return finished is not None and finished >= decisive.asked_time


def _end_time(job: SeenJob | None, pods: tuple[SeenPod, ...]) -> datetime | None:
    """When the last of it ended. Where that is not known of a pod that held a node: when its Job ended, or else nothing."""
    ends = [pod.finished_time for pod in pods if pod.finished_time is not None]
    job_end = job.ended_time if job is not None else None
    if not any(pod.scheduled_time is not None and pod.finished_time is None for pod in pods):
        return max(ends, default=job_end)
    return None if job_end is None else max([*ends, job_end])


def _decisive(pods: tuple[SeenPod, ...]) -> SeenPod | None:
    """The pod that tells how the attempt ended: the first that failed, else the first rank."""
    ended = [pod for pod in pods if pod.ended is not None]
    failed = [pod for pod in ended if pod.ended is not None and pod.ended.exit_code != 0]
    if failed:
        return min(failed, key=_failing_order)
    # With a rank missing, the others' success says nothing about the whole.
    return min(ended, key=lambda pod: pod.index) if ended and len(ended) == len(pods) else None


def _says_nothing(pod: SeenPod, word: TerminationMessage | None) -> bool:
    """Whether `pod` left torchrun's exit code, which stands for any, and no word beside it."""
    assert pod.ended is not None
    return pod.ended.exit_code == ExitCode.INTERNAL_ERROR and word is None


def _word_of_others(pods: tuple[SeenPod, ...]) -> TerminationMessage | None:
    """A user's fault that any rank told of: all ranks end by it, and the first that is seen to end may be another."""
    words = (_word(pod) for pod in pods)
    codes = frozenset(code for code in ExitCode if code.is_users_fault)
    return next((word for word in words if word is not None and word.exit_code in codes), None)


def _failing_order(pod: SeenPod) -> tuple[datetime, int]:
    assert pod.ended is not None
    return pod.ended.finished_time or datetime.max.replace(tzinfo=UTC), pod.index


def _word(pod: SeenPod | None) -> TerminationMessage | None:
    if pod is None or pod.ended is None or not pod.ended.message.lstrip().startswith("{"):
        return None
    try:
        return TerminationMessage.model_validate_json(pod.ended.message)
    except ValueError:
        return None


def _interruption(disruption: tuple[str, str] | None) -> Reason | None:
    return None if disruption is None else _INTERRUPTIONS.get(disruption[0], Reason.PREEMPTED)


def _own_words(decisive: SeenPod | None, word: TerminationMessage | None) -> str:
    """What the container itself left about its failure: why it did not begin, or how its log ends."""
    ended = decisive.ended if decisive is not None else None
    if ended is None or ended.exit_code == 0 or word is not None:
        return ""
    if ended.reason in _NEVER_RAN:
        return f"{ended.reason}: {ended.message}"
    lines = [_printable(line).strip() for line in ended.message.splitlines()]
    # Reports are for machines.
    said = next((line for line in reversed(lines) if line and not line.startswith("{")), "")
    return f"its log ends: {cut(said, 200)}" if said else ""


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())


def _cause(job: SeenJob | None, disruption: tuple[str, str] | None, own_words: str) -> str:
    if disruption is not None:
        return ": ".join(part for part in disruption if part)
    if own_words:
        return own_words
    if job is None:
        return "its Job is gone"
    if job.failed is not None:
        return f"{job.failed}: {job.message}" if job.message else job.failed
    return "its pods left when its Job was held" if job.suspended else ""
