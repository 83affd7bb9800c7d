"""`lightcompute tensorboard` in a cluster: bytes both ways through a real API server, to a kubelet that the test plays.

A kubelet's own half (finding the container's network) needs containers, and is not looked at here.
"""

from __future__ import annotations

from collections.abc import Iterator
from http.client import RemoteDisconnected

import pytest

from lightcompute.api import Phase
from support.cluster_cli import ClusterCommands, resting, running
from support.kubelet_ports import PortKubelet
from support.served_curves import Serving, pod_of
from support.testcluster.control_plane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def kubelet(simulated: ControlPlane) -> Iterator[PortKubelet]:
    """A node whose kubelet serves the ports of its pods."""
    node = PortKubelet.start(simulated)
    yield node
    node.stop()


@pytest.fixture
def serving(commands: ClusterCommands, kubelet: PortKubelet) -> Iterator[Serving]:
    pod_of(commands.api, commands.namespace, commands.make(status=running()), kubelet.node)
    made = Serving("-n", commands.namespace, "--kubeconfig", commands.kubeconfig)
    yield made
    made.kill()


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
    pod_of(commands.api, commands.namespace, run, kubelet.node, sidecar=False)
    said = commands.call("tensorboard", "baseline")
    assert (said.code, "no container tensorboard in baseline-1" in said.err) == (10, True)
    commands.make("dark", status=resting(Phase.PENDING), tensorboard={"enabled": False})
    assert "spec.tensorboard.enabled is false" in commands.call("tensorboard", "dark").err
