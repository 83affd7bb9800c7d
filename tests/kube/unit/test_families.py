from hypothesis import given
from hypothesis import strategies as st

from lightcompute.kube.family import Family
from support.kube_builders import UID, a_job, a_pod

RUNNING = a_pod().scheduled().running().kept()
OVER = a_pod().scheduled().over(1).kept()


class Woken:
    """A family, and who was woken."""

    def __init__(self) -> None:
        self.uids: list[str] = []
        self.family = Family(self.uids.append)


def test_a_change_wakes_the_run_and_an_echo_does_not() -> None:
    woken = Woken()
    woken.family.pod_changed(None, RUNNING)
    woken.family.pod_changed(RUNNING, OVER)
    assert woken.uids == [UID, UID]
    woken.family.pod_changed(OVER, OVER)
    again = a_pod().scheduled().over(1).kept()
    woken.family.pod_changed(OVER, again)
    job = a_job().kept()
    woken.family.job_changed(None, job)
    woken.family.job_changed(job, a_job().kept())
    assert woken.uids == [UID] * 3


def test_what_is_not_kept_of_a_pod_wakes_nobody() -> None:
    """A node's heartbeat, an address, a readiness: most of what a watch tells is no news to a run."""
    pod = a_pod().scheduled().running()
    changed = pod._changed("status", podIP="10.0.0.1")._changed("metadata", resourceVersion="9")
    woken = Woken()
    woken.family.pod_changed(pod.kept(), changed.kept())
    assert woken.uids == []


def test_a_pod_that_goes_leaves_its_last_state() -> None:
    woken = Woken()
    woken.family.pod_changed(None, RUNNING)
    woken.family.pod_changed(OVER, None)
    children = woken.family.of(UID)
    assert not children.pods
    assert list(children.departed.values()) == [OVER]
    assert woken.uids == [UID, UID]


def test_a_pod_that_was_missing_from_a_list_leaves_what_was_known_of_it() -> None:
    family = Woken().family
    family.pod_changed(None, RUNNING)
    family.pod_changed(RUNNING, None)
    assert list(family.of(UID).departed.values()) == [RUNNING]


def test_a_job_that_goes_leaves_nothing() -> None:
    woken = Woken()
    job = a_job().kept()
    woken.family.job_changed(None, job)
    woken.family.job_changed(job, None)
    assert woken.family.of(UID).is_empty
    assert woken.uids == [UID, UID]


def test_nothing_told_is_nothing_done() -> None:
    woken = Woken()
    woken.family.job_changed(None, None)
    woken.family.pod_changed(None, None)
    assert woken.uids == []


def test_departed_pods_are_remembered_until_the_end_of_their_attempt_is_on_record() -> None:
    family = Woken().family
    pods = {number: a_pod(attempt=number).scheduled().over(1).kept() for number in (1, 2, 3)}
    for pod in pods.values():
        family.pod_changed(pod, None)
    assert set(family.settle(UID, 2)) == {pods[1].uid, pods[2].uid}
    assert list(family.of(UID).departed.values()) == [pods[3]]
    assert family.settle(UID, 2) == ()


def test_settling_names_pods_that_still_exist_and_leaves_them() -> None:
    family = Woken().family
    family.pod_changed(None, OVER)
    assert family.settle(UID, 1) == (OVER.uid,)
    assert list(family.of(UID).pods.values()) == [OVER]


def test_a_run_that_is_gone_leaves_only_what_still_exists() -> None:
    family = Woken().family
    family.pod_changed(OVER, None)
    family.forget(UID)
    assert family.of(UID).is_empty
    family.pod_changed(None, RUNNING)
    family.forget(UID)
    assert list(family.of(UID).pods.values()) == [RUNNING]
    family.forget("never seen")
    assert family.settle("never seen", 1) == ()


def test_what_is_asked_about_an_unknown_run_is_not_remembered() -> None:
    family = Woken().family
    family.of(UID).pods[OVER.uid] = OVER
    assert family.of(UID).is_empty


STEPS = st.lists(
    st.tuples(st.sampled_from(("job", "pod")), st.integers(1, 2), st.booleans()), max_size=12
)


@given(steps=STEPS)
def test_nothing_is_kept_of_a_run_of_which_everything_went(
    steps: list[tuple[str, int, bool]],
) -> None:
    family = Woken().family
    for kind, attempt, there in steps:
        if kind == "job":
            job = a_job(attempt).kept()
            family.job_changed(None if there else job, job if there else None)
        else:
            pod = a_pod(attempt=attempt).kept()
            family.pod_changed(None if there else pod, pod if there else None)
    for attempt in (1, 2):
        family.job_changed(a_job(attempt).kept(), None)
        family.pod_changed(a_pod(attempt=attempt).kept(), None)
    family.settle(UID, 2)
    assert family._children == {}
