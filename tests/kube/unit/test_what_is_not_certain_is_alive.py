"""Whatever Jobs and pods there are: an attempt of which something may run is never said to be gone."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lightcompute.core.snapshot import Child, ChildState
from lightcompute.kube.children import Heard, Seen, child_of
from lightcompute.testing.builders import at
from support.kube_builders import JobBuilder, PodBuilder, a_job, a_pod

GONE = {ChildState.EXITED, ChildState.VANISHED}
SECONDS = st.integers(0, 200)
few = settings(max_examples=50)


@st.composite
def some_pod(draw: st.DrawFn, number: int) -> PodBuilder:
    pod = a_pod(draw(st.integers(0, 3)), name=f"pod-{number}")
    scheduled = draw(SECONDS)
    if draw(st.booleans()):
        pod = pod.scheduled(scheduled)
    elif draw(st.booleans()):
        pod = pod.unscheduled(f"no node for {number}")
    state = draw(st.sampled_from(("none", "waiting", "running", "ended")))
    if state == "waiting":
        pod = pod.waiting(draw(st.sampled_from(("ErrImagePull", "Later", ""))), f"words {number}")
    elif state == "running":
        pod = pod.running(draw(SECONDS))
    elif state == "ended":
        code = draw(st.sampled_from((0, 1, 10, 137)))
        message = draw(st.sampled_from(("", "log", '{"exitCode":10,"reason":"A","message":""}')))
        pod = pod.ended(code, seconds=draw(SECONDS | st.none()), message=message)
    if draw(st.booleans()):
        pod = pod.running(container="tensorboard")
    if draw(st.booleans()):
        pod = pod.disrupted(draw(st.sampled_from(("PreemptionByScheduler", "Other"))))
    if draw(st.booleans()):
        pod = pod.deleted(draw(SECONDS))
    phases = ("Pending", "Running", "Succeeded", "Failed", "Unknown", "OfLater")
    return pod.in_phase(draw(st.sampled_from(phases)))


@st.composite
def some_job(draw: st.DrawFn) -> JobBuilder | None:
    job = a_job().for_ranks(draw(st.integers(1, 4)))
    steps = draw(
        st.sets(
            st.sampled_from(
                ["started", "asked", "holding", "failed", "complete", "deleted", "queued"]
            )
        )
    )
    if "started" in steps:
        job = job.started(draw(SECONDS))
    if "asked" in steps:
        job = job.asked_to_hold()
    if "holding" in steps:
        job = job.holding()
    if "queued" in steps:
        job = job.queued()
    if "failed" in steps:
        job = job.failed("PodFailurePolicy", seconds=draw(SECONDS))
    if "complete" in steps:
        job = job.complete(draw(SECONDS))
    if "deleted" in steps:
        job = job.deleted()
    return draw(st.sampled_from((job, None)))


@st.composite
def anything_seen(draw: st.DrawFn) -> Seen:
    here = [draw(some_pod(number)).kept() for number in range(draw(st.integers(0, 4)))]
    went = [draw(some_pod(10 + number)).kept() for number in range(draw(st.integers(0, 3)))]
    job = draw(some_job())
    return Seen(
        attempt=1,
        job=None if job is None else job.kept(),
        pods=tuple(here),
        departed=tuple(went),
        told=draw(st.sampled_from(("", "FailedMount: no such volume"))),
    )


def child(seen: Seen, *, through_torchrun: bool = False) -> Child | None:
    heard = Heard(until=at(90))
    return child_of(seen, heard, through_torchrun=through_torchrun, now=at(100))


@given(seen=anything_seen(), through_torchrun=st.booleans())
def test_an_attempt_with_a_pod_that_is_not_over_is_never_gone(
    seen: Seen, through_torchrun: bool
) -> None:
    found = child(seen, through_torchrun=through_torchrun)
    alive = any(pod.phase not in {"Succeeded", "Failed"} for pod in seen.pods)
    if found is not None and alive:
        assert found.state not in GONE


@few
@given(seen=anything_seen())
def test_an_attempt_whose_job_may_still_make_pods_is_never_gone(seen: Seen) -> None:
    found, job = child(seen), seen.job
    if job is None or found is None:
        return
    ended = job.complete or job.failed is not None or (job.suspended and job.holds)
    if not ended:
        assert found.state not in GONE


@few
@given(seen=anything_seen())
def test_what_is_gone_is_gone_for_a_reason(seen: Seen) -> None:
    found = child(seen)
    if found is None or found.state not in GONE:
        return
    assert all(pod.is_over for pod in seen.pods)
    assert found.state is not ChildState.EXITED or found.exit_code is not None
    assert found.state is not ChildState.VANISHED or found.exit_code is None
    assert (found.waiting, found.waiting_reason) == ("", None)


@few
@given(seen=anything_seen())
def test_an_end_is_never_told_earlier_than_any_pod_is_known_to_have_run(seen: Seen) -> None:
    found = child(seen)
    if found is None or found.state not in GONE or found.end_time is None:
        return
    for pod in (*seen.pods, *seen.departed):
        assert pod.finished_time is None or pod.finished_time <= found.end_time


@few
@given(seen=anything_seen())
def test_a_success_is_told_only_where_the_job_says_so_or_every_pod_did(seen: Seen) -> None:
    found = child(seen, through_torchrun=True)
    if found is None or found.exit_code != 0 or (seen.job is not None and seen.job.complete):
        return
    pods = (*seen.pods, *seen.departed)
    assert all(pod.ended is not None and pod.ended.exit_code == 0 for pod in pods)


@few
@given(seen=anything_seen(), through_torchrun=st.booleans())
def test_the_order_in_which_pods_are_seen_says_nothing(seen: Seen, through_torchrun: bool) -> None:
    turned = replace(seen, pods=seen.pods[::-1], departed=seen.departed[::-1])
    assert child(turned, through_torchrun=through_torchrun) == child(
        seen, through_torchrun=through_torchrun
    )


@few
@given(seen=anything_seen(), minutes=st.integers(0, 60))
def test_time_alone_makes_nothing_gone(seen: Seen, minutes: int) -> None:
    first = child(seen)
    later = child_of(
        seen, Heard(), through_torchrun=False, now=at(100) + timedelta(minutes=minutes)
    )
    assert (first is None) == (later is None)
    if first is not None and later is not None:
        assert (first.state in GONE) == (later.state in GONE)
