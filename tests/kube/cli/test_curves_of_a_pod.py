"""`lightcompute tensorboard` in a cluster: bytes both ways through a real API server, to a kubelet that the test plays.

A kubelet's own half (finding the container's network) needs containers, and is not looked at here.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from http.client import RemoteDisconnected

import pytest

from lightcompute.api import Phase, labels
from support.cluster_cli import ClusterCommands, Document, resting, running
from support.kubelet_ports import PortKubelet
from support.testcluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def kubelet(simulated: ControlPlane) -> Iterator[PortKubelet]:
    """A node whose kubelet serves the ports of its pods."""
    node = PortKubelet.start(simulated)
    yield node
    node.stop()


def pod_of(commands: ClusterCommands, run: Document, node: str, *, sidecar: bool = True) -> str:
    """The pod of the run's first attempt, running on the node; its path."""
    pods = f"/api/v1/namespaces/{commands.namespace}/pods"
    image = {"image": "lightcompute-trainer"}
    beside = [{"name": "tensorboard", "restartPolicy": "Always", **image}] if sidecar else []
    marks = {
        labels.RUN_UID: run["metadata"]["uid"],
        labels.ATTEMPT: "1",
        labels.PURPOSE: "trainer",
    }
    pod = {
        "metadata": {"name": "baseline-1", "labels": marks},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "initContainers": beside,
            "containers": [{"name": "trainer", **image}],
        },
    }
    commands.api.post(pods, pod)
    state = {
        "name": "trainer",
        "state": {"running": {}},
        "ready": True,
        "restartCount": 0,
        "imageID": "",
        **image,
    }
    status = {"phase": "Running", "containerStatuses": [state]}
    commands.api.patch(f"{pods}/baseline-1/status", {"status": status})
    return f"{pods}/baseline-1"


class Serving:
    """The command as a process."""

    def __init__(self, commands: ClusterCommands) -> None:
        options = (
            "-n",
            commands.namespace,
            "--kubeconfig",
            str(commands.kubeconfig),
            "--port",
            "0",
        )
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lightcompute", "tensorboard", "baseline", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("TensorBoard: http://127.0.0.1:"), self.end()
        self.address = line.split()[1]

    def get(self) -> bytes:
        with urllib.request.urlopen(self.address, timeout=20) as answer:  # noqa: S310 - the command's own address
            return bytes(answer.read())

    def end(self) -> tuple[int, str, str]:
        """After Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        said, warned = self.process.communicate(timeout=30)
        return self.process.returncode, said, warned


@pytest.fixture
def serving(commands: ClusterCommands, kubelet: PortKubelet) -> Iterator[Serving]:
    pod_of(commands, commands.make(status=running()), kubelet.node)
    made = Serving(commands)
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


def test_a_browser_here_sees_what_the_pod_serves(serving: Serving, kubelet: PortKubelet) -> None:
    assert [serving.get(), serving.get()] == [b"curves", b"curves"]
    assert kubelet.asked == [("baseline-1", "6006")] * 2
    code, _, warned = serving.end()
    assert (code, warned) == (0, "")


def test_a_port_that_refuses_ends_the_connection_and_not_the_command(
    serving: Serving, kubelet: PortKubelet
) -> None:
    kubelet.refuses = "connection refused"
    with pytest.raises((RemoteDisconnected, ConnectionError)):
        serving.get()
    kubelet.refuses = ""
    assert serving.get() == b"curves"
    code, _, warned = serving.end()
    assert code == 0
    assert "the pod said: connection refused" in warned


def test_it_ends_with_the_pod(serving: Serving, commands: ClusterCommands) -> None:
    path = f"/api/v1/namespaces/{commands.namespace}/pods/baseline-1"
    commands.api.delete(path, {"gracePeriodSeconds": 0})
    said, _ = serving.process.communicate(timeout=30)
    assert serving.process.returncode == 0
    assert "The attempt has ended, and TensorBoard with it" in said


def test_what_is_missing_is_told(commands: ClusterCommands, kubelet: PortKubelet) -> None:
    run = commands.make()
    assert "no attempt yet" in commands.call("tensorboard", "baseline").err
    commands.tell("baseline", running())
    assert "no pod of attempt 1 yet" in commands.call("tensorboard", "baseline").err
    pod_of(commands, run, kubelet.node, sidecar=False)
    said = commands.call("tensorboard", "baseline")
    assert (said.code, "no container tensorboard in baseline-1" in said.err) == (10, True)
    commands.make("dark", status=resting(Phase.PENDING), tensorboard={"enabled": False})
    assert "spec.tensorboard.enabled is false" in commands.call("tensorboard", "dark").err
