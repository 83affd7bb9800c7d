"""A Job that Kueue admits: held is no end, admission begins it, and what is taken back is not let in again."""

from __future__ import annotations

from lightcompute.api.reasons import Reason
from lightcompute.core.snapshot import ChildState
from lightcompute.testing.builders import at
from support.kube_builders import a_job, a_pod
from support.seen_attempts import child_seen, seen_of

HELD = a_job().queued().holding(0)
ADMITTED = HELD.let_go(40)
RAN = a_pod().scheduled(43).running(50)


def test_a_job_that_its_queue_has_not_admitted_waits_and_is_not_gone() -> None:
    child = child_seen(job=HELD)
    assert (child.state, child.waiting_reason) == (ChildState.PENDING, Reason.NOT_ADMITTED)
    assert child.waiting == "the queue team of Kueue has not admitted it yet"
    assert (child.asked_time, child.stopping, child.interruption) == (None, False, None)


def test_the_same_job_without_a_queue_would_be_gone() -> None:
    assert child_seen(job=a_job().holding(0)).state is ChildState.VANISHED


def test_an_admitted_job_is_asked_for_from_its_admission() -> None:
    child = child_seen(job=ADMITTED)
    assert (child.state, child.asked_time) == (ChildState.PENDING, at(40))
    assert child.waiting_reason is None
    assert child_seen(RAN, job=ADMITTED).state is ChildState.RUNNING


def test_a_job_that_is_held_again_while_its_pods_leave_is_taken_back() -> None:
    job = ADMITTED.asked_to_hold()
    child = child_seen(RAN.deleted(), job=job)
    assert (child.state, child.interruption) == (ChildState.RUNNING, Reason.PREEMPTED)
    assert not child.stopping, "we have not asked yet, and it may be let in again"
    assert "took back" in child.waiting


def test_a_job_that_is_held_again_is_not_gone_when_its_pods_are() -> None:
    """Its queue may let it in again: only its deletion makes an end."""
    child = child_seen(job=ADMITTED.holding(70), departed=(RAN.over(0),))
    assert (child.state, child.interruption) == (ChildState.RUNNING, Reason.PREEMPTED)
    unseen = child_seen(job=ADMITTED.holding(70), held=True)
    assert (unseen.state, unseen.interruption) == (ChildState.PENDING, Reason.PREEMPTED)


def test_it_held_its_place_until_its_last_pod_was_gone() -> None:
    held = ADMITTED.holding(70)
    assert child_seen(RAN.deleted(), job=held).held_until is None
    left = RAN.over(0, seconds=75)
    assert child_seen(job=held, departed=(left,)).held_until == at(75)
    assert child_seen(job=held, held=True).held_until == at(70 + 30), "a time of grace, unseen"


def test_pods_that_never_held_a_node_leave_a_job_in_its_queue() -> None:
    child = child_seen(job=ADMITTED.holding(70), departed=(a_pod().unscheduled("full"),))
    assert (child.waiting_reason, child.interruption) == (Reason.NOT_ADMITTED, None)


def test_a_job_that_is_over_or_being_deleted_is_neither_queued_nor_taken_back() -> None:
    for job in (
        ADMITTED.holding(70).failed("PodFailurePolicy"),
        ADMITTED.holding(70).complete(),
        ADMITTED.holding(70).deleted(),
    ):
        seen = seen_of(job=job, held=True)
        assert not seen.is_queued
        assert not seen.is_taken_back


def test_one_that_is_asked_to_leave_is_waited_for_until_its_job_is_gone() -> None:
    leaving = child_seen(RAN.deleted(), job=ADMITTED.asked_to_hold().deleted())
    assert (leaving.state, leaving.stopping) == (ChildState.RUNNING, True)
    gone = child_seen(departed=(RAN.over(0, seconds=90),))
    assert (gone.state, gone.end_time) == (ChildState.EXITED, at(90))


def test_a_job_that_was_let_in_again_keeps_the_deadline_of_its_first_start() -> None:
    """Kubernetes counts it from the newest admission: 100 s from 40 are 137 s from the attempt's start at 3."""
    first = a_pod().scheduled(3).over(1, seconds=20)
    job = ADMITTED.with_deadline(100)
    child = child_seen(RAN, job=job, departed=(first,))
    assert (child.start_time, child.deadline_seconds) == (at(3), 137)
