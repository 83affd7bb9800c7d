import time
from datetime import datetime
from typing import Any, get_args

import pytest

from runcontract.exit_codes import ExitCode
from runcontract.progress import (
    Concluded,
    Evaluated,
    Finished,
    Report,
    Started,
    Stepped,
    Warned,
    parse_report,
)
from runcontract.results import TerminationMessage
from support.testcluster.api import Document
from support.testcluster.control_plane import ControlPlane
from support.testcluster.jobs import trainer_job

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("simulated")]


class Trainer:
    """A Job of one simulated trainer, and its pod."""

    def __init__(self, plane: ControlPlane, namespace: str, **settings: Any):
        self.api = plane.api
        self.jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self.pods = f"/api/v1/namespaces/{namespace}/pods"
        self.api.post(self.jobs, trainer_job("trainer", **settings))

    def pod(self, phase: str = "", *, seconds: float = 30) -> Document:
        """Its pod, once it is in the phase."""
        end = time.monotonic() + seconds
        while True:
            pods = self.api.get(self.pods, labelSelector="job-name=trainer")["items"]
            if pods and (not phase or pods[0]["status"].get("phase") == phase):
                return dict(pods[0])
            assert time.monotonic() < end, [pod["status"] for pod in pods]
            time.sleep(0.05)

    def path(self) -> str:
        return f"{self.pods}/{self.pod()['metadata']['name']}"

    def job(self, condition: str) -> Document:
        """The Job, once it has the condition."""
        return self.api.eventually(f"{self.jobs}/trainer", lambda job: _has(job, condition))

    def log(self, **query: object) -> str:
        return self.api.text(f"{self.path()}/log", container="trainer", **query)

    def reports(self, **query: object) -> list[Report]:
        found = (parse_report(line) for line in self.log(**query).splitlines())
        return [report for report in found if report is not None]


def _has(document: Document, condition: str) -> bool:
    conditions = document.get("status", {}).get("conditions", ())
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def _ended(pod: Document) -> Document:
    return dict(pod["status"]["containerStatuses"][0]["state"]["terminated"])


def _word(pod: Document) -> TerminationMessage:
    return TerminationMessage.model_validate_json(_ended(pod)["message"])


def test_a_job_trains_reports_and_completes(simulated: ControlPlane, namespace: str) -> None:
    trainer = Trainer(simulated, namespace, run_seconds=2, steps=40, loss=1.47, attempt=3)
    trainer.job("Complete")
    pod = trainer.pod("Succeeded")
    reports = trainer.reports()
    assert len(reports) == len(trainer.log().splitlines())
    assert {type(report) for report in reports} == set(get_args(get_args(Report)[0])) - {Warned}
    assert {report.attempt for report in reports} == {3}
    assert isinstance(reports[0], Started)
    assert reports[0].max_steps == 40
    last = reports[-1]
    assert isinstance(last, Finished)
    assert (last.exit_code, last.reason, last.step) == (0, "MaxStepsReached", 40)
    word = _word(pod)
    assert (word.exit_code, word.reason, word.step) == (0, "MaxStepsReached", 40)
    assert word.final_validation is not None
    assert word.final_validation.nats_per_character == pytest.approx(1.47)
    scored = [report.validation for report in reports if isinstance(report, Evaluated)]
    assert scored[-1].bits_per_byte == pytest.approx(word.final_validation.bits_per_byte)


@pytest.mark.parametrize(("at_most", "met"), [(1.6, True), (1.4, False)])
def test_a_target_is_judged(
    simulated: ControlPlane, namespace: str, at_most: float, met: bool
) -> None:
    trainer = Trainer(simulated, namespace, run_seconds=0.5, target=at_most)
    verdict = _word(trainer.pod("Succeeded")).target
    assert verdict is not None
    assert (verdict.at_most, verdict.met) == (at_most, met)
    told = [report.target for report in trainer.reports() if isinstance(report, Concluded)]
    assert told == [verdict]


def test_its_pod_tells_times_as_a_kubelet_does(simulated: ControlPlane, namespace: str) -> None:
    trainer = Trainer(simulated, namespace, run_seconds=2)
    status = trainer.pod("Succeeded")["status"]
    begin, end = (
        datetime.fromisoformat(_ended({"status": status})[key])
        for key in ("startedAt", "finishedAt")
    )
    assert 1 <= (end - begin).total_seconds() <= 3
    assert datetime.fromisoformat(status["startTime"]) == begin
    scheduled = {each["type"]: each for each in status["conditions"]}["PodScheduled"]
    assert scheduled["status"] == "True"
    assert datetime.fromisoformat(scheduled["lastTransitionTime"]) <= begin


@pytest.mark.parametrize(
    ("knobs", "code", "reason", "cause"),
    [
        ({"exit_code": 1}, 1, "Error", "InternalError"),
        ({"exit_code": 10}, 10, "Error", "ConfigurationFault"),
        ({"exit_code": 77}, 77, "Error", None),
        ({"oom": True}, 137, "OOMKilled", None),
        ({"exit_code_1": 15, "exit_code": 0}, 15, "Error", "Diverged"),
    ],
)
def test_a_trainer_ends_as_it_is_told_to(
    simulated: ControlPlane,
    namespace: str,
    knobs: dict[str, Any],
    code: int,
    reason: str,
    cause: str | None,
) -> None:
    trainer = Trainer(simulated, namespace, run_seconds=0.5, **knobs)
    pod = trainer.pod("Failed")
    assert (_ended(pod)["exitCode"], _ended(pod)["reason"]) == (code, reason)
    assert ("message" in _ended(pod)) == (cause is not None)
    if cause is not None:
        assert (_word(pod).exit_code, _word(pod).reason) == (code, cause)
    trainer.job("Failed")


def test_an_evicted_pod_says_who_took_its_place(simulated: ControlPlane, namespace: str) -> None:
    pod = Trainer(simulated, namespace, run_seconds=0.5, evicted=True).pod("Failed")
    assert pod["status"]["reason"] == "Evicted"
    assert _has(pod, "DisruptionTarget")


@pytest.mark.parametrize(
    ("knob", "reason"),
    [("image_error", "ImagePullBackOff"), ("config_error", "CreateContainerConfigError")],
)
def test_a_trainer_that_cannot_begin_waits_and_goes_when_it_is_deleted(
    simulated: ControlPlane, namespace: str, knob: str, reason: str
) -> None:
    trainer = Trainer(simulated, namespace, **{knob: True})
    path = trainer.path()
    pod = simulated.api.eventually(path, lambda found: "containerStatuses" in found["status"])
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
    simulated.api.delete(f"{trainer.jobs}/trainer", propagationPolicy="Background")
    simulated.api.gone(path)


def test_a_deleted_trainer_saves_and_leaves_and_says_so_before_it_is_gone(
    simulated: ControlPlane, namespace: str
) -> None:
    trainer = Trainer(simulated, namespace, never_ends=True)
    trainer.pod("Running")
    path = trainer.path()
    # A finalizer of the test's own, so that the last state can be read at leisure.
    _hold(simulated, path)
    simulated.api.delete(path)
    pod = simulated.api.eventually(path, lambda found: found["status"]["phase"] == "Failed")
    assert _ended(pod)["exitCode"] == ExitCode.PREEMPTED
    assert _word(pod).reason == "Preempted"
    last = trainer.reports()[-1]
    assert isinstance(last, Finished)
    assert (last.exit_code, last.step) == (13, _word(pod).step)
    _hold(simulated, path, hold=False)
    simulated.api.gone(path)


def test_a_deaf_trainer_is_killed_at_the_end_of_its_grace(
    simulated: ControlPlane, namespace: str
) -> None:
    trainer = Trainer(simulated, namespace, never_ends=True, deaf=True, grace_seconds=3)
    trainer.pod("Running")
    path = trainer.path()
    _hold(simulated, path)
    begin = time.monotonic()
    simulated.api.delete(path)
    pod = simulated.api.eventually(path, lambda found: found["status"]["phase"] == "Failed")
    assert 2 <= time.monotonic() - begin <= 6
    assert (_ended(pod)["exitCode"], "message" in _ended(pod)) == (137, False)
    _hold(simulated, path, hold=False)
    simulated.api.gone(path)


def _hold(plane: ControlPlane, path: str, *, hold: bool = True) -> None:
    finalizers = set(plane.api.get(path)["metadata"].get("finalizers", ())) | {
        "test.lightcompute.dev/hold"
    }
    if not hold:
        finalizers -= {"test.lightcompute.dev/hold"}
    plane.api.patch(path, {"metadata": {"finalizers": sorted(finalizers)}})


def test_a_hung_trainer_falls_silent_and_never_ends(
    simulated: ControlPlane, namespace: str
) -> None:
    trainer = Trainer(simulated, namespace, hang=True, run_seconds=1)
    pod = trainer.pod("Running")
    begin = datetime.fromisoformat(
        pod["metadata"]["annotations"]["sim.lightcompute.dev/started-at"]
    )
    _sleep_until(begin.timestamp() + 4.2)
    assert [report.step for report in trainer.reports() if isinstance(report, Stepped)] == [10, 20]
    assert trainer.pod()["status"]["phase"] == "Running"


def _sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.time(), 0))


def test_a_trainer_leaves_when_the_budget_ends(simulated: ControlPlane, namespace: str) -> None:
    job = trainer_job("trainer", never_ends=True)
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": "LIGHTCOMPUTE_STOP_AFTER_SECONDS", "value": "1"})
    simulated.api.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", job)
    pod = _pod_of(simulated, namespace)
    assert _ended(pod)["exitCode"] == ExitCode.BUDGET_REACHED
    assert _word(pod).reason == "BudgetReached"


def test_the_pods_own_deadline_ends_it(simulated: ControlPlane, namespace: str) -> None:
    job = trainer_job("trainer", never_ends=True)
    job["spec"]["template"]["spec"]["activeDeadlineSeconds"] = 1
    simulated.api.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", job)
    pod = _pod_of(simulated, namespace)
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert _ended(pod)["exitCode"] == ExitCode.PREEMPTED


def _pod_of(plane: ControlPlane, namespace: str) -> Document:
    listed = plane.api.eventually(
        f"/api/v1/namespaces/{namespace}/pods",
        lambda pods: pods["items"] and pods["items"][0]["status"].get("phase") == "Failed",
    )
    return dict(listed["items"][0])


def test_the_jobs_deadline_stops_it_by_deleting_its_pod(
    simulated: ControlPlane, namespace: str
) -> None:
    trainer = Trainer(simulated, namespace, never_ends=True, job_spec={"activeDeadlineSeconds": 2})
    conditions = trainer.job("Failed")["status"]["conditions"]
    assert {each["reason"] for each in conditions} == {"DeadlineExceeded"}


def test_a_sidecar_keeps_neither_the_pod_nor_the_job(
    simulated: ControlPlane, namespace: str
) -> None:
    trainer = Trainer(simulated, namespace, sidecar=True, run_seconds=1.5)
    running = trainer.pod("Running")["status"]["initContainerStatuses"][0]
    assert (running["started"], "running" in running["state"]) == (True, True)
    trainer.job("Complete")
    ended = trainer.pod("Succeeded")["status"]["initContainerStatuses"][0]
    assert "terminated" in ended["state"]


def test_a_foreign_image_says_nothing(simulated: ControlPlane, namespace: str) -> None:
    trainer = Trainer(simulated, namespace, silent=True, run_seconds=1)
    pod = trainer.pod("Succeeded")
    assert trainer.log() == ""
    assert "message" not in _ended(pod)


def test_a_lying_image_prints_megabytes_and_leaves_no_readable_word(
    simulated: ControlPlane, namespace: str
) -> None:
    trainer = Trainer(simulated, namespace, garbage=True, run_seconds=1.2)
    pod = trainer.pod("Succeeded")
    assert len(trainer.log()) > 2_000_000
    assert len(trainer.log(limitBytes=1000)) == 1000
    with pytest.raises(ValueError, match="validation error"):
        _word(pod)


def test_a_log_is_cut_to_what_was_asked_for(simulated: ControlPlane, namespace: str) -> None:
    trainer = Trainer(simulated, namespace, run_seconds=3, steps=30)
    trainer.pod("Running")
    followed = trainer.log(follow="true")
    assert followed == trainer.log()
    assert isinstance(parse_report(followed.splitlines()[-1]), Finished)
    assert trainer.log(tailLines=2) == "".join(followed.splitlines(keepends=True)[-2:])
    stamped = trainer.log(timestamps="true").splitlines()
    times = [datetime.fromisoformat(line.split(" ")[0]) for line in stamped]
    assert times == sorted(times)
    later = trainer.log(sinceTime=times[-1].strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert followed.endswith(later)
    assert 0 < len(later) < len(followed)


def test_a_pod_that_is_no_trainer_is_ready_and_done_at_once(
    simulated: ControlPlane, namespace: str
) -> None:
    job = trainer_job("plain", gpus=0)
    del job["spec"]["template"]["metadata"]["labels"]["lightcompute.dev/purpose"]
    simulated.api.post(f"/apis/batch/v1/namespaces/{namespace}/jobs", job)
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/plain"
    simulated.api.eventually(path, lambda found: _has(found, "Complete"))


def test_gpus_that_nobody_has_are_waited_for(simulated: ControlPlane, namespace: str) -> None:
    trainer = Trainer(simulated, namespace, gpus=9)
    pod = simulated.api.eventually(trainer.path(), lambda found: found["status"].get("conditions"))
    unscheduled = pod["status"]["conditions"][0]
    assert (unscheduled["type"], unscheduled["reason"]) == ("PodScheduled", "Unschedulable")
    assert "Insufficient nvidia.com/gpu" in unscheduled["message"]
