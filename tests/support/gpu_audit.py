"""Whether runs ever had more GPUs of a pool than it has: judged from a record of all changes to their Jobs and pods. Pure.

The versions of one API server's objects grow over all kinds, so a record of Jobs and one of pods can be gone through in the order in
which the changes were, and nothing between two looks is missed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lightcompute.api import labels

Document = dict[str, Any]
GPU = "nvidia.com/gpu"
GPU_TYPE = "lightcompute.dev/gpu-type"
"""Label of nodes: the type of their GPUs, which is the pool's."""
_OVER = frozenset({"Succeeded", "Failed"})


class By(StrEnum):
    """Who wants GPUs."""

    JOBS = "Jobs"
    PODS = "pods"
    ATTEMPTS = "attempts"
    """An attempt wants what its Job does, or what its pods still do after the Job's end or deletion: the strictest reading."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """What a Job or a pod wants from `version` on: nothing once it is over or gone."""

    version: int
    by: By
    uid: str
    attempt: tuple[str, int]
    """UID of the run, and number."""
    gpu_type: str
    gpus: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Most:
    """The most GPUs of a type that were ever wanted at once, and when that first was."""

    gpus: int
    version: int


def claim_of(by: By, document: Document, *, gone: bool) -> Claim:
    """What a Job or pod of a run wants as it is in `document`; nothing when that is how it was last."""
    metadata, spec = document["metadata"], document["spec"]
    marks = metadata["labels"]
    pod = spec if by is By.PODS else spec["template"]["spec"]
    pods = 1 if by is By.PODS else int(spec.get("completions") or 1)
    over = gone or (_is_pod_over(document) if by is By.PODS else _is_job_over(document))
    return Claim(
        version=int(metadata["resourceVersion"]),
        by=by,
        uid=metadata["uid"],
        attempt=(marks[labels.RUN_UID], int(marks[labels.ATTEMPT])),
        gpu_type=pod["nodeSelector"][GPU_TYPE],
        gpus=0 if over else pods * sum(_gpus(each) for each in pod["containers"]),
    )


def most_at_once(claims: Iterable[Claim]) -> dict[tuple[By, str], Most]:
    """For Jobs, pods and attempts, and for each type, the most at any version of one cluster. `claims` may come in any order."""
    wanted: dict[By, dict[str, Claim]] = {By.JOBS: {}, By.PODS: {}}
    attempts: defaultdict[tuple[str, tuple[str, int]], Counter[By]] = defaultdict(Counter)
    now: Counter[tuple[By, str]] = Counter()
    most: dict[tuple[By, str], Most] = {}
    for claim in sorted(claims, key=lambda each: each.version):
        before = wanted[claim.by].get(claim.uid)
        change = claim.gpus - (0 if before is None else before.gpus)
        wanted[claim.by][claim.uid] = claim
        attempt = attempts[claim.gpu_type, claim.attempt]
        held = max(attempt.values(), default=0)
        attempt[claim.by] += change
        now[claim.by, claim.gpu_type] += change
        now[By.ATTEMPTS, claim.gpu_type] += max(attempt.values()) - held
        for by in (claim.by, By.ATTEMPTS):
            gpus, known = now[by, claim.gpu_type], most.get((by, claim.gpu_type))
            if known is None or gpus > known.gpus:
                most[by, claim.gpu_type] = Most(gpus=gpus, version=claim.version)
    return most


def _gpus(container: Document) -> int:
    return int(container.get("resources", {}).get("limits", {}).get(GPU, 0))


def _is_pod_over(pod: Document) -> bool:
    return pod.get("status", {}).get("phase") in _OVER


def _is_job_over(job: Document) -> bool:
    return any(
        each["type"] in {"Complete", "Failed"} and each["status"] == "True"
        for each in job.get("status", {}).get("conditions") or ()
    )
