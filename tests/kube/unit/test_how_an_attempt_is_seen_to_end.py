import json

import pytest

from lightcompute.api.reasons import Reason
from lightcompute.core.snapshot import ChildState
from lightcompute.testing.builders import at
from runcontract.exit_codes import ExitCode
from support.kube_builders import PodBuilder, a_job, a_pod
from support.seen_attempts import child_seen, seen_of

POLICY = "Container trainer for pod team-a/x failed with exit code 1 matching FailJob rule"
FAILED = a_job().started().failed("PodFailurePolicy", POLICY, seconds=60)
TWO_FAILED = FAILED.for_ranks(2)
RAN = a_pod().scheduled(3).running(10)


def word(code: int, message: str = "the words of the trainer", **more: object) -> str:
    return json.dumps({"exitCode": code, "reason": "Any", "message": message, **more})


# Ends of one pod.


def test_a_complete_job_is_success_when_its_last_container_ended() -> None:
    pod = RAN.over(0, seconds=50).ended(0, seconds=55, container="tensorboard")
    child = child_seen(pod, job=a_job().started().complete(60))
    assert (child.state, child.exit_code) == (ChildState.EXITED, 0)
    assert (child.start_time, child.end_time) == (at(3), at(55))


def test_a_complete_job_whose_pods_nobody_saw_is_success_until_the_job_ended() -> None:
    child = child_seen(job=a_job().started().complete(60))
    assert (child.state, child.exit_code, child.end_time) == (ChildState.EXITED, 0, at(60))


def test_a_job_that_failed_by_its_pods_exit_code_ends_with_that_code() -> None:
    child = child_seen(RAN.over(11, seconds=50), job=FAILED)
    assert (child.state, child.exit_code, child.signal) == (ChildState.EXITED, 11, None)
    assert child.end_time == at(50)
    assert child.cause == f"PodFailurePolicy: {POLICY}"
    assert child.out_of_memory is False


def test_a_pod_that_failed_is_not_gone_before_its_job_has_ended() -> None:
    """Until then the Job may make another pod."""
    job = a_job().started().about_to_fail("PodFailurePolicy")
    assert child_seen(RAN.over(1), job=job).state is ChildState.RUNNING


def test_a_job_that_ended_is_not_gone_while_a_pod_of_it_runs() -> None:
    assert child_seen(RAN, job=FAILED).state is ChildState.RUNNING
    assert child_seen(RAN, job=a_job().started().complete()).state is ChildState.RUNNING


def test_a_trainer_that_ended_is_not_gone_while_its_sidecar_runs() -> None:
    pod = RAN.running(container="tensorboard").ended(0)
    assert child_seen(pod, job=a_job().started()).state is ChildState.RUNNING
    assert child_seen(pod, job=FAILED).state is ChildState.RUNNING


def test_memory_that_ran_out_is_told_apart_from_other_kills() -> None:
    memory = child_seen(RAN.over(137, reason="OOMKilled"), job=FAILED)
    assert (memory.exit_code, memory.out_of_memory) == (137, True)
    killed = child_seen(RAN.over(137, reason="Error"), job=FAILED)
    assert (killed.exit_code, killed.out_of_memory) == (137, False)
    by_signal = child_seen(RAN.over(137, signal=9), job=FAILED)
    assert by_signal.signal == 9


def test_a_program_that_cannot_be_started_is_told_in_the_runtimes_words() -> None:
    words = 'exec: "trian": executable file not found in $PATH'
    child = child_seen(RAN.over(128, reason="StartError", message=words), job=FAILED)
    assert child.cause == f"StartError: {words}"


def test_a_program_without_a_last_word_is_told_of_by_the_end_of_its_log() -> None:
    log = 'Traceback\n  line 3\nValueError: no text\n\n{"event": "finished"'
    child = child_seen(RAN.over(1, message=log), job=FAILED)
    assert child.cause == "its log ends: ValueError: no text"
    reports_only = child_seen(RAN.over(1, message='{"event": "step"\n{"event": '), job=FAILED)
    assert reports_only.cause == f"PodFailurePolicy: {POLICY}"


def test_a_job_past_its_deadline_ends_as_its_last_pod_did() -> None:
    job = a_job().started().failed("DeadlineExceeded", "it was active too long", seconds=90)
    known = child_seen(job=job, departed=(RAN.over(13, seconds=80),))
    assert (known.state, known.exit_code, known.end_time) == (ChildState.EXITED, 13, at(80))
    unknown = child_seen(job=job)
    assert (unknown.state, unknown.end_time) == (ChildState.VANISHED, at(90))
    assert unknown.cause == "DeadlineExceeded: it was active too long"


# Held and deleted.


def test_a_job_that_holds_is_gone_with_its_last_pod() -> None:
    job = a_job().started().holding(70)
    assert child_seen(RAN.deleted(), job=job).state is ChildState.RUNNING
    child = child_seen(job=job, departed=(RAN.over(13, seconds=65),))
    assert (child.state, child.exit_code, child.end_time) == (ChildState.EXITED, 13, at(65))
    assert child.stopping
    unseen = child_seen(job=job)
    assert unseen.state is ChildState.VANISHED
    assert unseen.cause == "its pods left when its Job was held"


def test_a_job_that_was_asked_to_hold_may_still_make_pods_until_its_controller_says_otherwise() -> (
    None
):
    child = child_seen(job=a_job().started().asked_to_hold())
    assert child.state is ChildState.PENDING
    assert child.stopping


def test_a_deleted_job_leaves_pods_that_are_alive() -> None:
    child = child_seen(RAN)
    assert child.state is ChildState.RUNNING
    assert not child.stopping
    job = a_job().started().deleted()
    assert not child_seen(RAN, job=job).stopping, "whoever deletes pods did not yet"
    assert child_seen(RAN.deleted(), job=job).stopping


def test_a_deleted_job_whose_pods_went_too_has_vanished() -> None:
    child = child_seen(departed=(RAN,))
    assert (child.state, child.end_time, child.cause) == (
        ChildState.VANISHED,
        None,
        "its Job is gone",
    )


def test_a_pod_that_was_killed_after_it_was_deleted_was_asked_to_leave_and_one_killed_before_was_not() -> (
    None
):
    asked = child_seen(departed=(RAN.over(137, seconds=130).deleted(due=130),), job=FAILED)
    assert (asked.exit_code, asked.stopping) == (137, True)
    at_once = child_seen(departed=(RAN.over(137, seconds=100).deleted(due=130),), job=FAILED)
    assert at_once.stopping
    before = child_seen(departed=(RAN.over(137, seconds=99).deleted(due=130),), job=FAILED)
    assert (before.exit_code, before.stopping) == (137, False)


def test_a_deleted_pod_is_stopping_until_it_is_gone() -> None:
    child = child_seen(RAN.deleted(due=130), job=a_job().started())
    assert (child.state, child.stopping) == (ChildState.RUNNING, True)


def test_a_pod_that_should_be_gone_long_ago_may_run_on_a_node_that_nobody_hears_from() -> None:
    pod = RAN.deleted(due=30)
    job = a_job().started()
    assert child_seen(pod, job=job, now_seconds=89).state is ChildState.RUNNING
    assert child_seen(pod, job=job, now_seconds=91).state is ChildState.UNKNOWN
    assert child_seen(pod, job=FAILED, now_seconds=91).state is ChildState.UNKNOWN
    over = child_seen(pod.over(1), job=FAILED, now_seconds=1000)
    assert over.state is ChildState.EXITED


# Machines that are taken away.


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("PreemptionByScheduler", Reason.PREEMPTED),
        ("EvictionByEvictionAPI", Reason.EVICTED),
        ("TerminationByKubelet", Reason.EVICTED),
        ("DeletionByTaintManager", Reason.NODE_LOST),
        ("DeletionByPodGC", Reason.NODE_LOST),
        ("OfAKindThatComesLater", Reason.PREEMPTED),
    ],
)
def test_who_took_the_machine_away_is_told_whatever_the_trainer_left_with(
    reason: str, kind: Reason
) -> None:
    pod = RAN.disrupted(reason, "the words of whoever did it").over(137)
    child = child_seen(pod, job=FAILED)
    assert (child.state, child.exit_code) == (ChildState.EXITED, 137)
    assert child.interruption is kind
    assert child.cause == f"{reason}: the words of whoever did it"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Evicted", Reason.EVICTED),
        ("Terminated", Reason.NODE_LOST),
        ("NodeShutdown", Reason.NODE_LOST),
        ("Preempting", Reason.PREEMPTED),
    ],
)
def test_a_kubelets_own_word_says_for_what_it_ended_the_pod(said: str, kind: Reason) -> None:
    pod = RAN.disrupted("TerminationByKubelet").over(137).in_phase("Failed", said, "its words")
    child = child_seen(pod, job=FAILED)
    assert (child.interruption, child.cause) == (kind, f"{said}: its words")
    older = child_seen(RAN.over(137).in_phase("Failed", said, "its words"), job=FAILED)
    assert older.interruption is kind


def test_a_pod_that_was_thrown_out_before_it_began_has_no_exit_code() -> None:
    pod = a_pod().scheduled(3).in_phase("Failed", "Evicted", "the node was low on disk")
    child = child_seen(pod, job=FAILED)
    assert (child.state, child.exit_code) == (ChildState.VANISHED, None)
    assert child.interruption is Reason.EVICTED
    assert child.end_time == at(60)


def test_of_two_that_took_machines_away_the_one_of_the_lower_rank_is_told() -> None:
    first = a_pod(0).scheduled().disrupted("DeletionByTaintManager").over(137)
    second = a_pod(1).scheduled().disrupted("PreemptionByScheduler").over(137)
    for pods in ((first, second), (second, first)):
        assert child_seen(*pods, job=TWO_FAILED).interruption is Reason.NODE_LOST
    child = child_seen(first, job=TWO_FAILED, departed=(second,))
    assert child.interruption is Reason.NODE_LOST


def test_a_threat_that_passed_is_no_interruption() -> None:
    pod = RAN.disrupted("PreemptionByScheduler", status="False").over(1)
    assert child_seen(pod, job=FAILED).interruption is None


def test_a_lost_node_is_charged_until_its_pod_was_given_up_not_until_another_rank_ended() -> None:
    lost = a_pod(1).scheduled(3).running().disrupted("DeletionByTaintManager").in_phase("Failed")
    first = a_pod(0).scheduled(3).over(1, seconds=20)
    child = child_seen(first, lost, job=TWO_FAILED)
    assert child.interruption is Reason.NODE_LOST
    assert child.end_time == at(60)
    without_job = child_seen(first, lost)
    assert without_job.end_time is None  # the core takes the time of its look


def test_a_sidecar_that_ended_says_nothing_about_a_trainer_that_was_last_seen_to_run() -> None:
    pod = RAN.ended(1, seconds=12, container="tensorboard")
    assert pod.kept().finished_time is None
    assert child_seen(departed=(pod,)).end_time is None


# Several ranks.


def test_the_first_failure_decides_by_time_then_by_rank() -> None:
    late = (a_pod(0).scheduled().over(1, seconds=50), a_pod(1).scheduled().over(137, seconds=40))
    assert child_seen(*late, job=TWO_FAILED).exit_code == 137
    tie = (a_pod(0).scheduled().over(1, seconds=50), a_pod(1).scheduled().over(137, seconds=50))
    assert child_seen(*tie, job=TWO_FAILED).exit_code == 1
    untimed = (a_pod(0).scheduled().over(1, seconds=None), tie[1])
    assert child_seen(*untimed, job=TWO_FAILED).exit_code == 137
    assert child_seen(*late, job=TWO_FAILED).end_time == at(50)


def test_one_rank_that_failed_does_not_end_the_others() -> None:
    pods = (a_pod(0).scheduled().over(1), a_pod(1).scheduled().running())
    assert child_seen(*pods, job=TWO_FAILED).state is ChildState.RUNNING


def test_one_rank_that_is_done_leaves_the_others_running() -> None:
    pods = (a_pod(0).scheduled().over(0), a_pod(1).scheduled().running())
    child = child_seen(*pods, job=a_job().for_ranks(2).started())
    assert child.state is ChildState.RUNNING
    assert not child.stopping


def test_all_ranks_that_are_done_are_success_once_their_job_says_so() -> None:
    pods = (a_pod(0).scheduled().over(0, seconds=40), a_pod(1).scheduled().over(0, seconds=45))
    assert child_seen(*pods, job=a_job().for_ranks(2).started()).state is ChildState.RUNNING
    child = child_seen(*pods, job=a_job().for_ranks(2).started().complete())
    assert (child.state, child.exit_code, child.end_time) == (ChildState.EXITED, 0, at(45))


def test_success_of_some_ranks_says_nothing_about_one_that_left_without_a_word() -> None:
    pods = (a_pod(0).scheduled().over(0), a_pod(1).scheduled().in_phase("Failed"))
    assert child_seen(*pods, job=TWO_FAILED).state is ChildState.VANISHED


# Last words.


@pytest.mark.parametrize("code", [10, 11, 12, 13, 15, 16])
def test_torchruns_exit_code_is_replaced_by_that_of_the_last_word(code: int) -> None:
    pod = RAN.over(1, message=word(code))
    child = child_seen(pod, job=FAILED, through_torchrun=True)
    assert child.exit_code == code
    assert child.termination is not None
    assert child.termination.message == "the words of the trainer"
    without = child_seen(pod, job=FAILED)
    assert without.exit_code == 1


def test_only_the_exit_code_that_torchrun_makes_of_all_others_is_replaced() -> None:
    pod = RAN.over(137, message=word(10))
    assert child_seen(pod, job=FAILED, through_torchrun=True).exit_code == 137


def test_a_last_word_of_success_makes_no_success_of_a_failure() -> None:
    pod = RAN.over(1, message=word(0))
    assert child_seen(pod, job=FAILED, through_torchrun=True).exit_code == 1


@pytest.mark.parametrize("code", list(ExitCode))
def test_of_other_ranks_words_only_the_users_fault_is_taken(code: ExitCode) -> None:
    """The first to end may be a rank that only followed; but one that was asked to leave did so because another failed."""
    pods = (
        a_pod(0).scheduled().over(1, seconds=50, message=word(code)),
        a_pod(1).scheduled().over(1, seconds=40),
    )
    child = child_seen(*pods, job=TWO_FAILED, through_torchrun=True)
    assert child.exit_code == (code if code.is_users_fault else 1)
    assert (child.termination is not None) == code.is_users_fault


def test_a_rank_that_ran_out_of_memory_is_not_excused_by_what_another_said() -> None:
    pods = (
        a_pod(0).scheduled().over(1, seconds=50, message=word(11)),
        a_pod(1).scheduled().over(137, seconds=40, reason="OOMKilled"),
    )
    child = child_seen(*pods, job=TWO_FAILED, through_torchrun=True)
    assert (child.exit_code, child.out_of_memory) == (137, True)
    assert child.termination is None


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "{}",
        "[]",
        "null",
        '"text"',
        "{" * 3000,
        '{"a":' * 3000,
        word(10) + word(10),
        word(-1),
        word(256),
        word(10, "x" * 2000),
        word(10, step=-1),
        '{"exitCode": NaN, "reason": "Any", "message": ""}',
        '{"exitCode": 1e400, "reason": "Any", "message": ""}',
        '{"exitCode": "ten", "reason": "Any", "message": ""}',
        word(10, finalValidation={"value": float("nan")}),
        word(10, "\ud800"),
        "\ud800",
        "x" * 1_000_000,
        "\x00\x1b[31m",
    ],
)
def test_last_words_of_any_kind_do_no_harm(message: str) -> None:
    child = child_seen(RAN.over(1, message=message), job=FAILED, through_torchrun=True)
    assert child.state is ChildState.EXITED
    assert child.exit_code in {1, 10}
    assert len(child.cause) <= 400
    assert "\x1b" not in child.cause


def test_a_last_word_that_a_later_trainer_writes_may_say_more() -> None:
    pod = RAN.over(10, message=word(10, fieldOfALaterVersion=1))
    assert child_seen(pod, job=FAILED).termination is not None


def test_gone_is_gone_for_each_kind_of_end() -> None:
    for pod in (RAN, RAN.deleted(), a_pod(), a_pod().scheduled()):
        assert not seen_of(pod, job=FAILED).is_gone
    over: PodBuilder = RAN.over(1)
    assert seen_of(over, job=FAILED).is_gone
    assert seen_of(over).is_gone
    assert not seen_of(over, job=a_job().started()).is_gone
