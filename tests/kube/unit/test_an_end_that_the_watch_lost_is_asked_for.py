"""Pods that are over, and a Job that does not say so: what the watch lost is asked for, after a while and not before."""

from __future__ import annotations

import pytest

from lightcompute.kube.sight import PATIENCE, _is_over_untold
from lightcompute.testing.builders import at
from support.kube_builders import JobBuilder, PodBuilder, a_job, a_pod
from support.seen_attempts import seen_of

OVER = a_pod().scheduled(3).running(10).over(0, seconds=50)
STARTED = a_job().started()
LATER = at(50) + 2 * PATIENCE


def test_a_job_that_says_nothing_of_the_end_of_its_pods_is_asked_about() -> None:
    assert _is_over_untold(seen_of(OVER, job=STARTED), LATER)
    assert not _is_over_untold(seen_of(OVER, job=STARTED), at(51))


@pytest.mark.parametrize(
    ("pods", "job"),
    [
        ((a_pod().scheduled(3).running(10),), STARTED),
        ((), STARTED),
        ((OVER,), STARTED.complete(60)),
        ((OVER,), None),
        ((OVER,), STARTED.asked_to_hold()),
        ((OVER,), STARTED.for_ranks(2)),
    ],
    ids=["runs", "no pod yet", "told", "no Job", "held", "one of two"],
)
def test_no_other_attempt_is(pods: tuple[PodBuilder, ...], job: JobBuilder | None) -> None:
    assert not _is_over_untold(seen_of(*pods, job=job), LATER)
