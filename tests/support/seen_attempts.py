"""What is seen of an attempt, and the Child that comes of it: one call for tests."""

from __future__ import annotations

from lightcompute.core.snapshot import Child
from lightcompute.kube.children import Heard, Seen, child_of
from lightcompute.testing.builders import at
from support.kube_builders import JobBuilder, PodBuilder

NOW_SECONDS = 100


def seen_of(
    *pods: PodBuilder,
    job: JobBuilder | None = None,
    departed: tuple[PodBuilder, ...] = (),
    told: str = "",
    held: bool = False,
) -> Seen:
    """Attempt 1, with these pods."""
    return Seen(
        attempt=1,
        job=None if job is None else job.kept(),
        pods=tuple(pod.kept() for pod in pods),
        departed=tuple(pod.kept() for pod in departed),
        told=told,
        held=held,
    )


def child_seen(
    *pods: PodBuilder,
    job: JobBuilder | None = None,
    departed: tuple[PodBuilder, ...] = (),
    told: str = "",
    held: bool = False,
    through_torchrun: bool = False,
    heard: Heard | None = None,
    now_seconds: float = NOW_SECONDS,
) -> Child:
    """The Child that comes of what is seen of attempt 1; there is something."""
    seen = seen_of(*pods, job=job, departed=departed, told=told, held=held)
    child = child_of(seen, heard or Heard(), through_torchrun=through_torchrun, now=at(now_seconds))
    assert child is not None
    return child
