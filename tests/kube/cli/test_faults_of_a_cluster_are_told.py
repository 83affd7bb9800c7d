"""What can be wrong with a cluster, or with what is asked of it: one message, an exit code by its kind, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from support.cluster_cli import ClusterCommands
from support.testcluster.control_plane import ControlPlane
from support.testcluster.proxy import FaultProxy

pytestmark = pytest.mark.e2e

VERBS = ["status", "explain", "cost", "logs", "stop", "suspend", "resume", "delete", "tensorboard"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_run_that_does_not_exist_is_told_with_those_that_do(
    commands: ClusterCommands, verb: str
) -> None:
    commands.make("somebody")
    said = commands.call(verb, "nobody")
    assert said.code == 10
    assert "no run named nobody; expected one of: somebody" in said.err


def test_a_run_of_another_namespace_is_told_with_its_namespace(commands: ClusterCommands) -> None:
    commands.make("lost-and-found")
    said = commands.plain(
        "status", "lost-and-found", "-n", "default", "--kubeconfig", commands.kubeconfig
    )
    assert said.code == 10
    assert f"There is one of this name in: {commands.namespace}" in said.err


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        (403, 10, "kubectl auth can-i"),
        (401, 1, "are the credentials still valid"),
        (503, 1, "Is the cluster up"),
        (422, 10, "422"),
    ],
)
def test_an_answer_that_is_none_has_the_code_of_its_kind(
    commands: ClusterCommands, fault_proxy: FaultProxy, code: int, exit_code: int, words: str
) -> None:
    fault_proxy.answer(code, times=None, path="trainingruns")
    said = commands.plain("list", "-n", commands.namespace, "--kubeconfig", fault_proxy.kubeconfig)
    assert said.code == exit_code
    assert words in said.err
    assert len(said.err.splitlines()) == 1


def test_a_server_that_is_not_there_is_told(
    commands: ClusterCommands, fault_proxy: FaultProxy
) -> None:
    kubeconfig = fault_proxy.kubeconfig
    fault_proxy.go_dark(refuse=True)
    said = commands.plain("status", "baseline", "-n", "default", "--kubeconfig", kubeconfig)
    assert said.code == 1
    assert "Is the cluster up" in said.err


@pytest.mark.parametrize(
    "options",
    [("--kubeconfig", "none.yaml"), ("--context", "nobody")],
)
def test_a_kubeconfig_that_does_not_say_is_told(
    commands: ClusterCommands, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(commands.kubeconfig))
    said = commands.plain("list", *options)
    assert said.code == 10
    assert "kubeconfig" in said.err
    assert "Traceback" not in said.err


def test_the_namespace_of_the_context_is_the_default(commands: ClusterCommands) -> None:
    commands.make("by-context")
    document = yaml.safe_load(commands.kubeconfig.read_text("utf-8"))
    document["contexts"][0]["context"]["namespace"] = commands.namespace
    file = commands.folder / "kubeconfig"
    file.write_text(yaml.safe_dump(document), "utf-8")
    said = commands.plain("list", "--cluster", "--kubeconfig", file)
    assert said.code == 0
    assert "by-context" in said.out


def test_one_of_two_places_has_to_be_chosen(commands: ClusterCommands) -> None:
    said = commands.call("list", "--runs-dir", commands.folder)
    assert said.code == 10
    assert "--runs-dir beside an option of a cluster" in said.err


@pytest.mark.slow
def test_a_cluster_without_the_crds_is_told_how_to_get_them(
    simulated: ControlPlane, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ControlPlane.start(tmp_path, "bare", kwok=False) as bare:
        commands = ClusterCommands(
            api=bare.api, namespace="default", kubeconfig=bare.kubeconfig, folder=tmp_path, capsys=capsys
        )  # fmt: skip
        asked = [
            commands.call("list"),
            commands.call("status", "x"),
            commands.call("submit", commands.file()),
        ]
    for said in asked:
        assert said.code == 10
        assert "kubectl apply -f crds/" in said.err
