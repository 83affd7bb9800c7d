import pytest

from lightcompute.api.reasons import Reason
from lightcompute.core.snapshot import ChildState
from lightcompute.kube.children import Heard, Seen, attempts_of, child_of
from lightcompute.testing.builders import NOON, at
from support.kube_builders import PodBuilder, a_job, a_pod
from support.seen_attempts import child_seen

NO_NODE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
PULL = 'failed to pull and unpack image "trainer:1": not found'


def test_nothing_is_seen_where_there_is_nothing() -> None:
    seen = Seen(attempt=1)
    assert child_of(seen, Heard(), through_torchrun=False, now=NOON) is None


def test_a_job_without_pods_is_pending_and_says_so() -> None:
    child = child_seen(job=a_job().started())
    assert child.state is ChildState.PENDING
    assert (child.waiting_reason, child.waiting) == (None, "its pods are being created")
    assert child.start_time is None
    assert not child.stopping


def test_what_keeps_pods_from_being_created_is_told_in_the_clusters_words() -> None:
    child = child_seen(job=a_job().started(), told="FailedCreate: exceeded quota: gpus")
    assert child.state is ChildState.PENDING
    assert child.waiting_reason is Reason.POD_REFUSED
    assert child.waiting == "FailedCreate: exceeded quota: gpus"


def test_pods_of_some_ranks_only_are_told_of() -> None:
    """Of a quota that lets two of three ranks in, the two would wait for the third on paid machines."""
    ranks = (a_pod(0).scheduled().running(), a_pod(1).scheduled().running())
    job = a_job().for_ranks(3).started()
    child = child_seen(*ranks, job=job)
    assert child.state is ChildState.RUNNING
    assert (child.waiting_reason, child.waiting) == (None, "1 of its 3 pods are being created")
    refused = child_seen(*ranks, job=job, told="FailedCreate: exceeded quota: gpus")
    assert refused.waiting_reason is Reason.POD_REFUSED


def test_a_rank_that_was_there_and_went_is_not_being_created() -> None:
    job = a_job().for_ranks(2).started()
    pod = a_pod(0).scheduled().running()
    child = child_seen(pod, job=job, departed=(a_pod(1).scheduled().running(),))
    assert child.waiting == ""
    gone = child_seen(job=a_job().started(), departed=(a_pod().scheduled().over(1),))
    assert gone.state is ChildState.RUNNING
    assert gone.waiting == "its pods are gone, and its Job has not ended yet"


def test_a_pod_that_no_node_takes_is_pending_in_the_schedulers_words() -> None:
    child = child_seen(a_pod().unscheduled(NO_NODE), job=a_job().started())
    assert child.state is ChildState.PENDING
    assert (child.waiting_reason, child.waiting) == (Reason.NO_CAPACITY, NO_NODE)


def test_a_pod_that_the_scheduler_did_not_look_at_yet_lacks_nothing() -> None:
    child = child_seen(a_pod(), job=a_job().started())
    assert child.state is ChildState.PENDING
    assert child.waiting_reason is None
    assert child.waiting == "the scheduler has not looked at it yet"


def test_one_rank_without_a_node_keeps_all_waiting_and_the_others_cost_money() -> None:
    pods = (a_pod(0).scheduled(7).running(), a_pod(1).unscheduled(NO_NODE))
    child = child_seen(*pods, job=a_job().for_ranks(2).started())
    assert child.state is ChildState.RUNNING
    assert child.start_time == at(7)
    assert child.waiting_reason is Reason.NO_CAPACITY


def test_a_scheduled_pod_that_fetches_its_image_is_charged() -> None:
    pod = a_pod().scheduled(3).waiting("ContainerCreating")
    child = child_seen(pod, job=a_job().started())
    assert child.state is ChildState.RUNNING
    assert child.start_time == at(3)
    assert (child.waiting_reason, child.waiting) == (None, "its container waits: ContainerCreating")


def test_a_pod_that_was_put_on_a_node_without_a_scheduler_is_charged_from_when_the_node_saw_it() -> (
    None
):
    seen = child_seen(a_pod().on_node_without_scheduler(4).running(), job=a_job().started())
    assert (seen.state, seen.start_time) == (ChildState.RUNNING, at(4))
    unseen = child_seen(a_pod().on_node_without_scheduler(None), job=a_job().started())
    assert (unseen.state, unseen.start_time) == (ChildState.PENDING, None)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("ErrImagePull", Reason.IMAGE_UNAVAILABLE),
        ("ImagePullBackOff", Reason.IMAGE_UNAVAILABLE),
        ("InvalidImageName", Reason.IMAGE_UNAVAILABLE),
        ("ErrImageNeverPull", Reason.IMAGE_UNAVAILABLE),
        ("CreateContainerConfigError", Reason.POD_REFUSED),
        ("CreateContainerError", Reason.POD_REFUSED),
        ("RunContainerError", Reason.POD_REFUSED),
    ],
)
@pytest.mark.parametrize("container", ["trainer", "tensorboard"])
def test_what_is_wrong_with_a_container_is_told_of_the_trainer_and_of_the_sidecar_before_it(
    reason: str, kind: Reason, container: str
) -> None:
    pod = a_pod().scheduled().waiting("PodInitializing")
    pod = pod.waiting(reason, "it is not there", container=container)
    child = child_seen(pod, job=a_job().started())
    assert child.state is ChildState.RUNNING
    assert child.waiting_reason is kind
    assert child.waiting == f"{reason}: it is not there"


def test_a_failed_pull_and_the_wait_after_it_are_told_in_the_same_words() -> None:
    """A kubelet tells both by turns for minutes; each change of words would be a write of the status."""
    failed = a_pod().scheduled().waiting("ErrImagePull", PULL)
    backing_off = f'Back-off pulling image "trainer:1": ErrImagePull: {PULL}'
    waits = a_pod().scheduled().waiting("ImagePullBackOff", backing_off)
    words = {child_seen(pod, job=a_job().started()).waiting for pod in (failed, waits)}
    assert words == {f"ErrImagePull: {PULL}"}


def test_an_older_kubelets_words_are_kept() -> None:
    pod = a_pod().scheduled().waiting("ImagePullBackOff", 'Back-off pulling image "trainer:1"')
    child = child_seen(pod, job=a_job().started())
    assert child.waiting == 'ImagePullBackOff: Back-off pulling image "trainer:1"'


def test_a_sidecar_that_crashes_does_not_hide_what_is_wrong_with_the_trainer() -> None:
    pod = a_pod().scheduled().waiting("CrashLoopBackOff", container="tensorboard")
    child = child_seen(pod.waiting("ErrImagePull", PULL), job=a_job().started())
    assert child.waiting_reason is Reason.IMAGE_UNAVAILABLE


def test_a_trainer_that_runs_waits_for_nothing_whatever_its_sidecar_does() -> None:
    pod = a_pod().scheduled().waiting("ImagePullBackOff", container="tensorboard").running()
    child = child_seen(pod, job=a_job().started())
    assert (child.state, child.waiting_reason, child.waiting) == (ChildState.RUNNING, None, "")


@pytest.mark.parametrize(
    "told",
    [
        "FailedMount: no such volume",
        'FailedAttachVolume: Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node',
    ],
)
def test_a_volume_that_cannot_be_mounted_is_told_of_by_events(told: str) -> None:
    pod = a_pod().scheduled().waiting("ContainerCreating")
    child = child_seen(pod, job=a_job().started(), told=told)
    assert (child.waiting_reason, child.waiting) == (Reason.POD_REFUSED, told)


def test_words_of_any_length_are_cut() -> None:
    child = child_seen(a_pod().unscheduled("x" * 10_000), job=a_job().started())
    assert len(child.waiting) <= 400


def test_an_attempt_runs_from_when_its_last_rank_began() -> None:
    pods = (a_pod(0).scheduled(1).running(5), a_pod(1).scheduled(2).running(90))
    heard = Heard(until=at(95))
    child = child_seen(*pods, job=a_job().for_ranks(2).started(), heard=heard)
    assert child.began_time == at(90)
    assert child.heard_until == at(95)


@pytest.mark.parametrize(
    "late", [(), (a_pod(1),), (a_pod(1).scheduled().waiting("ContainerCreating"),)]
)
def test_a_first_rank_that_waits_for_another_is_not_called_silent(
    late: tuple[PodBuilder, ...],
) -> None:
    pods = (a_pod(0).scheduled(1).running(5), *late)
    heard = Heard(until=at(95))
    job = a_job().for_ranks(2).started()
    assert child_seen(*pods, job=job, heard=heard).heard_until is None


def test_attempts_are_told_apart_by_their_labels() -> None:
    jobs = (a_job(3).kept(), a_job(1).kept())
    pods = (a_pod(attempt=1).kept(), a_pod(attempt=2).kept())
    assert attempts_of(jobs, pods) == (1, 2, 3)


@pytest.mark.parametrize("number", ["", "-1", "one", "1.5", "9" * 30, "²", None])
def test_a_label_that_is_no_number_is_attempt_zero_which_no_run_records(number: object) -> None:
    marks = {"lightcompute.dev/run-uid": "uid-1", "lightcompute.dev/attempt": number}
    owner = a_pod().labelled(**marks).kept().owner
    assert (owner.run_uid, owner.attempt) == ("uid-1", 0)
    assert a_job().labelled().kept().owner.attempt == 0


def test_a_scheduled_pod_of_which_no_container_is_told_of_is_being_created() -> None:
    child = child_seen(a_pod().scheduled(), job=a_job().started())
    assert (child.state, child.waiting) == (
        ChildState.RUNNING,
        "its containers are being created",
    )
    over = child_seen(a_pod().scheduled().in_phase("Failed", "Evicted"), job=a_job().started())
    assert over.waiting == ""


def test_an_attempt_is_charged_from_when_the_first_of_its_pods_had_a_node() -> None:
    here, went = a_pod(1).scheduled(5).running(), a_pod(0).scheduled(3).over(1)
    job = a_job().for_ranks(2).started()
    assert child_seen(here, a_pod(0).scheduled(9).running(), job=job).start_time == at(5)
    assert child_seen(here, job=job, departed=(went,)).start_time == at(3)
