"""`lightcompute logs` through a real API server, of pods that a simulated kubelet answers for."""

from __future__ import annotations

import threading
import time

import pytest

from lightcompute.api import Phase
from lightcompute.api.status import AttemptState
from lightcompute.testing.builders import a_running_attempt
from runcontract.progress import Finished, parse_report
from support.cluster_cli import ClusterCommands, resting, running
from support.local_runs import eventually
from support.testcluster.proxy import FaultProxy

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("simulated")]


def finished(lines: list[str]) -> int:
    return sum(isinstance(parse_report(line), Finished) for line in lines)


def whole_log(commands: ClusterCommands) -> str:
    """The log of the only pod, as the server has it at the end."""
    pods = f"/api/v1/namespaces/{commands.namespace}/pods"
    (pod,) = commands.api.get(pods)["items"]
    return commands.api.text(f"{pods}/{pod['metadata']['name']}/log", container="trainer")


def test_a_log_is_followed_from_before_its_pod_to_its_end(
    commands: ClusterCommands, fault_proxy: FaultProxy
) -> None:
    run = commands.make()

    def begin() -> None:
        eventually(lambda: fault_proxy.count(path="/trainingruns/baseline") > 1)
        commands.tell("baseline", running())
        eventually(lambda: fault_proxy.count(path=r"/pods\?") > 1)
        commands.trainer(run, run_seconds=3)

    later = threading.Thread(target=begin)
    later.start()
    options = ("-n", commands.namespace, "--kubeconfig", fault_proxy.kubeconfig)
    said = commands.plain("logs", "baseline", "-f", "--reports", *options)
    later.join()
    assert said.code == 0, said
    assert finished(said.out.splitlines()) == 1
    assert said.out == whole_log(commands)
    assert "attempt 1 has no pod yet" in said.err


def test_reports_are_printed_on_request_only(commands: ClusterCommands) -> None:
    commands.trainer(commands.make(status=running()), run_seconds=1)
    said = commands.call("logs", "baseline", "-f")
    assert said.code == 0, said
    assert '"event"' not in said.out


def test_a_stream_that_breaks_is_taken_up_where_it_broke(
    commands: ClusterCommands, fault_proxy: FaultProxy
) -> None:
    commands.trainer(commands.make(status=running()), run_seconds=8)

    def break_off() -> None:
        wanted = {"path": "/log.*follow"}
        eventually(lambda: fault_proxy.count(**wanted) > 0)
        time.sleep(2.5)
        fault_proxy.go_dark(refuse=True)
        time.sleep(2)
        fault_proxy.come_back()

    breaking = threading.Thread(target=break_off)
    breaking.start()
    options = ("-n", commands.namespace, "--kubeconfig", fault_proxy.kubeconfig)
    said = commands.plain("logs", "baseline", "-f", "--reports", *options)
    breaking.join()
    assert said.code == 0, said
    assert fault_proxy.count(path="sinceTime") > 0
    assert "was not answered" in said.err
    assert said.out == whole_log(commands)


def test_a_run_without_attempts_has_no_log(commands: ClusterCommands) -> None:
    commands.make()
    said = commands.call("logs", "baseline")
    assert said.code == 10
    assert "no attempt yet" in said.err
    commands.tell("baseline", resting(Phase.FAILED))
    assert commands.call("logs", "baseline", "-f").code == 10


def test_a_log_that_went_with_its_pod_is_told(commands: ClusterCommands) -> None:
    ended = running().attempts[0].model_copy(update={"state": AttemptState.ENDED})
    commands.make(status=resting(Phase.FAILED).model_copy(update={"attempts": (ended,)}))
    for options in ((), ("-f",)):
        said = commands.call("logs", "baseline", *options)
        assert said.code == 10
        assert "no pod of attempt 1 in namespace" in said.err


def test_what_does_not_exist_is_told_with_what_does(commands: ClusterCommands) -> None:
    commands.trainer(commands.make(status=running()), never_ends=True)
    commands.api.eventually(
        f"/api/v1/namespaces/{commands.namespace}/pods", lambda found: bool(found["items"])
    )
    assert (
        "--attempt: found 7; expected one of: 1"
        in commands.call("logs", "baseline", "--attempt", "7").err
    )
    assert (
        "--rank: found 3; expected one of: 0"
        in commands.call("logs", "baseline", "--rank", "3").err
    )


def test_a_container_that_cannot_begin_is_told(commands: ClusterCommands) -> None:
    attempts = (a_running_attempt(),)
    run = commands.make(status=running(attempts=attempts))
    commands.trainer(run, image_error=True)
    pods = f"/api/v1/namespaces/{commands.namespace}/pods"
    commands.api.eventually(pods, lambda found: "ImagePullBackOff" in str(found))
    said = commands.call("logs", "baseline")
    assert said.code == 10
    assert "ImagePullBackOff" in said.err
    assert "--follow waits for it" in said.err
