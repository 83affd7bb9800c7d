"""What the end of an attempt means for its run."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lightcompute.api import labels
from support.played import Scenarios
from support.run_spaces import Run, Space

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

scenario = Scenarios()


def test_runs_end_as_they_should(space: Space, subtests: pytest.Subtests) -> None:
    scenario.play(space, subtests)


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Answer and reason of each."""
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def ends(status: dict[str, Any]) -> list[tuple[str, bool]]:
    """How each attempt ended, and whether it counts."""
    return [(attempt["reason"], attempt["counts"]) for attempt in status["attempts"]]


def of_purpose(run: Run, kind: str, purpose: str) -> list[dict[str, Any]]:
    """The children of a run that the record does not hold."""
    selector = f"lightcompute.dev/run-uid={run.uid},lightcompute.dev/purpose={purpose}"
    path = f"/api/v1/namespaces/{run.space.namespace}/{kind}"
    found: list[dict[str, Any]] = run.space.api.get(path, labelSelector=selector)["items"]
    return found


@scenario
def a_run_succeeds_and_tells_all_of_it(space: Space) -> None:
    target = {"unit": "NatsPerCharacter", "atMost": 1.6}
    training = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100, "target": target}
    run = space.submit("happy", {"TARGET": "1.6"}, training=training)
    status = run.in_phase("Succeeded")
    assert status["reason"] == "TargetMet"
    assert ends(status) == [("Completed", False)]
    assert status["attempts"][0]["exitCode"] == 0
    assert conditions(status) == {
        "Accepted": ("True", "SpecAccepted"),
        "Scheduled": ("False", "TargetMet"),
        "Running": ("False", "NoAttempt"),
        "CheckpointReady": ("True", "CheckpointVerified"),
        "BudgetExhausted": ("False", "NoBudget"),
        "Succeeded": ("True", "TargetMet"),
        "TargetMet": ("True", "TargetMet"),
    }
    results = status["results"]
    assert (results["attempt"], results["steps"], results["targetMet"]) == (1, 100, True)
    assert results["target"]["reached"] == 1.5
    assert status["environment"]["torch"] == "2.6.0"
    assert status["checkpoints"][-1]["name"] == "step-00000100"
    assert status["trainerStatus"]["progressPercentage"] == 100
    assert 0.002 < float(status["cost"]["spentUSD"]) < 0.008
    assert status["cost"]["reservedUSD"] == "0.00"
    run.told("TargetMet")
    told = [event["reason"] for event in run.events()]
    assert told == ["AttemptStarting", "AttemptRunning", "Completed", "TargetMet"]
    (job,) = run.jobs
    assert job["status"]["succeeded"] == 1
    assert len(of_purpose(run, "configmaps", "order")) == 1
    assert len(of_purpose(run, "services", "tensorboard")) == 1


@scenario
def a_target_that_is_missed_is_told_beside_success(space: Space) -> None:
    target = {"unit": "NatsPerCharacter", "atMost": 1.4}
    training = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100, "target": target}
    run = space.submit("missed", {"TARGET": "1.4", "RUN_SECONDS": 1}, training=training)
    status = run.in_phase("Succeeded")
    assert conditions(status)["TargetMet"] == ("False", "TargetNotMet")


@scenario
def a_failed_attempt_is_tried_again(space: Space) -> None:
    run = space.submit("retried", {"EXIT_CODE_1": 1, "RUN_SECONDS": 1})
    status = run.in_phase("Succeeded")
    assert ends(status) == [("InternalError", True), ("Completed", False)]
    assert (status["restarts"], status["restartsCountTowardsMax"]) == (1, 1)
    assert status["results"]["attempt"] == 2
    assert [job["metadata"]["labels"]["lightcompute.dev/attempt"] for job in run.jobs] == ["2"]
    assert len(of_purpose(run, "configmaps", "order")) == 1


@scenario
def too_many_failures_fail_the_run(space: Space) -> None:
    policy = {"maxRestarts": 1, "backoff": {"baseSeconds": 1, "maxSeconds": 1}}
    run = space.submit("failing", {"EXIT_CODE": 1, "RUN_SECONDS": 1}, failurePolicy=policy)
    status = run.in_phase("Failed")
    assert status["reason"] == "MaxRestartsExceeded"
    assert ends(status) == [("InternalError", True)] * 2
    assert conditions(status)["Failed"] == ("True", "MaxRestartsExceeded")
    assert run.told("MaxRestartsExceeded")["type"] == "Warning"


@scenario
def the_users_fault_fails_the_run_until_the_spec_is_mended(space: Space) -> None:
    run = space.submit("at-fault", {"EXIT_CODE_1": 10, "RUN_SECONDS": 1})
    status = run.in_phase("Failed")
    assert status["reason"] == "ConfigurationFault"
    assert ends(status) == [("ConfigurationFault", False)]
    run.edit(progressDeadlineSeconds=600)
    status = run.in_phase("Succeeded")
    assert ends(status)[1:] == [("Completed", False)]
    assert status["observedGeneration"] == 2
    run.told("SpecChanged")


@scenario
def an_attempt_that_runs_out_of_memory_counts(space: Space) -> None:
    run = space.submit("out-of-memory", {"OOM_1": 1, "RUN_SECONDS": 1})
    status = run.in_phase("Succeeded")
    assert ends(status) == [("OutOfMemory", True), ("Completed", False)]


@scenario
def an_attempt_that_is_evicted_does_not_count(space: Space) -> None:
    run = space.submit("evicted", {"EVICTED_1": 1, "RUN_SECONDS": 1})
    status = run.in_phase("Succeeded")
    assert ends(status) == [("Evicted", False), ("Completed", False)]
    assert "low on resource: memory" in status["attempts"][0]["message"]


@scenario
def another_program_that_says_nothing_gets_phases_and_cost(space: Space) -> None:
    trainer = {"image": "example.invalid/another:1", "command": ["run"]}
    sim = {"SILENT": 1, "RUN_SECONDS": 1}
    run = space.submit("foreign", sim, training=None, trainer=trainer)
    status = run.in_phase("Succeeded")
    assert ends(status) == [("Completed", False)]
    assert float(status["cost"]["spentUSD"]) > 0
    assert "results" not in status
    assert of_purpose(run, "configmaps", "order") == []


@scenario
def a_program_that_prints_junk_and_lies_spoils_nothing(space: Space) -> None:
    run = space.submit("garbage", {"GARBAGE": 1, "RUN_SECONDS": 3})
    status = run.in_phase("Succeeded")
    assert ends(status) == [("Completed", False)]
    assert len(str(status)) < 8000
    assert 0.002 < float(status["cost"]["spentUSD"]) < 0.008
    assert status.get("results") is None


@scenario
def a_run_on_two_nodes_of_which_one_fails_is_tried_again_on_both(space: Space) -> None:
    sim = {"NEVER_ENDS_1": 1, "RUN_SECONDS": 1}
    run = space.submit("two-nodes", sim, trainer={"numNodes": 2})
    pods = run.pods_until(2, phase="Running")
    assert len(of_purpose(run, "services", "rendezvous")) == 1
    (second,) = (pod for pod in pods if pod["metadata"]["name"].rpartition("-")[0].endswith("-1"))
    _fail(space, second)
    status = run.in_phase("Succeeded")
    assert ends(status) == [("InternalError", True), ("Completed", False)]
    assert status["attempts"][1]["ratePerHourUSD"] == "7.20"


def _fail(space: Space, pod: dict[str, Any]) -> None:
    """Has the pod's trainer end with 1."""
    (container,) = pod["status"]["containerStatuses"]
    started = container["state"]["running"]["startedAt"]
    ended = {"exitCode": 1, "reason": "Error", "startedAt": started, "finishedAt": started}
    status = {
        "phase": "Failed",
        "containerStatuses": [{**container, "ready": False, "state": {"terminated": ended}}],
    }
    path = f"/api/v1/namespaces/{space.namespace}/pods/{pod['metadata']['name']}/status"
    space.api.patch(path, {"status": status})


@scenario
def the_curves_of_a_run_that_is_over_are_served_from_its_claim_while_somebody_looks(
    space: Space,
) -> None:
    claim = f"curves-{space.namespace}"
    space.make_claim(claim)
    storage = {"persistentVolumeClaim": {"claimName": claim}}
    run = space.submit("curves", {"RUN_SECONDS": 1}, storage=storage)
    run.in_phase("Succeeded")
    for asked_to_end in (signal.SIGINT, signal.SIGTERM):
        with looking(space, "curves") as command:
            assert command.stdout is not None
            assert command.stdout.readline().startswith("TensorBoard: http://127.0.0.1:")
            (viewer,) = viewers(space, "curves")
            assert [each["name"] for each in viewer["spec"]["containers"]] == ["tensorboard"]
            command.send_signal(asked_to_end)
            assert command.wait(30) == 0
        space.watch.until(lambda: not viewers(space, "curves"), lambda: "a viewer is left", 20)
    # One whose command was killed goes with the run at the latest.
    with looking(space, "curves") as command:
        assert command.stdout is not None
        command.stdout.readline()
        command.kill()
    assert len(viewers(space, "curves")) == 1
    assert len(run.status["attempts"]) == 1, "a viewer is no child of the run's"
    run.delete()
    run.gone()
    space.watch.until(lambda: not viewers(space, "curves"), lambda: "a viewer is left", 60)


def viewers(space: Space, name: str) -> list[dict[str, Any]]:
    """Pods that serve curves of a run that is over."""
    marks = f"app.kubernetes.io/component=curves,{labels.RUN_NAME}={name}"
    pods = f"/api/v1/namespaces/{space.namespace}/pods"
    found: list[dict[str, Any]] = space.api.get(pods, labelSelector=marks)["items"]
    return found


@contextmanager
def looking(space: Space, name: str) -> Iterator[subprocess.Popen[str]]:
    """`lightcompute tensorboard` as a person calls it."""
    where = ("-n", space.namespace, "--kubeconfig", str(space.cluster.kubeconfig), "--port", "0")
    with subprocess.Popen(
        [sys.executable, "-m", "lightcompute", "tensorboard", name, *where],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
