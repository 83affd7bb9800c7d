"""`lightcompute submit`: from files to runs in a cluster, and from changed files to changed runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightcompute.api import Phase
from support.cluster_cli import ClusterCommands, resting, running

pytestmark = pytest.mark.e2e


def test_a_file_becomes_a_run_with_the_fields_that_it_gives(commands: ClusterCommands) -> None:
    file = commands.file(budget={"limitUSD": "20.00"}, placement={"gpuTypes": ["A100-40GB"]})
    said = commands.call("submit", file, "--set", "training.seed=7")
    assert said.code == 0, said
    for words in (
        f"baseline: a new run in namespace {commands.namespace}",
        "A100-40GB",
        "at most $20.00",
        "by a rough model",
        "the price is told once it has a place",
        f"lightcompute logs baseline -f -n {commands.namespace}",
    ):
        assert words in said.out
    run = commands.get()
    assert run["spec"]["training"]["seed"] == 7
    (entry,) = run["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("lightcompute", "Apply")
    assert "f:checkpoints" not in entry["fieldsV1"]["f:spec"]


def test_several_files_become_several_runs(commands: ClusterCommands) -> None:
    said = commands.call("submit", commands.file("one"), commands.file("two"))
    assert said.code == 0, said
    listed = commands.call("list").out
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [
        ["one", "Pending"],
        ["two", "Pending"],
    ]


def test_a_fault_in_one_file_keeps_all_from_being_sent(commands: ClusterCommands) -> None:
    good, bad = commands.file("good"), commands.file("bad", budget={"limitUSD": 20})
    said = commands.call("submit", good, bad, commands.folder / "none.yaml")
    assert said.code == 10
    assert f"{bad}: spec.budget.limitUSD: found 20" in said.err
    assert "none.yaml: found No such file" in said.err
    assert "No runs in namespace" in commands.call("list").out


def test_a_dry_run_writes_nothing(commands: ClusterCommands) -> None:
    said = commands.call("submit", commands.file(), "--dry-run")
    assert said.code == 0
    assert "dry run: nothing was written" in said.out
    assert "No runs in namespace" in commands.call("list").out


def test_a_changed_file_changes_the_run_and_says_how(commands: ClusterCommands) -> None:
    file = commands.file(budget={"limitUSD": "20.00"})
    commands.call("submit", file)
    assert "baseline: unchanged" in commands.call("submit", file).out
    said = commands.call("submit", file, "--set", 'budget.limitUSD="40.00"')
    assert said.code == 0, said
    assert "spec.budget.limitUSD: '20.00' -> '40.00'" in said.out
    assert commands.get()["spec"]["budget"]["limitUSD"] == "40.00"


def test_a_training_that_has_begun_keeps_what_decides_its_numbers(
    commands: ClusterCommands,
) -> None:
    commands.call("submit", commands.file())
    status = running()
    commands.tell(
        "baseline", status.model_copy(update={"start_time": status.attempts[0].start_time})
    )
    said = commands.call("submit", commands.file(), "--set", "training.seed=7")
    assert said.code == 10
    assert "spec.training.seed: found 7; expected 1337" in said.err
    assert commands.call("submit", commands.file(), "--set", "training.maxSteps=200").code == 0


def test_a_run_that_is_over_stays_as_it_is(commands: ClusterCommands) -> None:
    commands.make(status=resting(Phase.SUCCEEDED))
    said = commands.call("submit", commands.file())
    assert said.code == 0
    assert "baseline is over (Succeeded), so nothing was changed" in said.out
    assert "--name baseline-2" in said.out


def test_fields_that_others_set_are_taken_over_by_force_only(commands: ClusterCommands) -> None:
    file = commands.file(budget={"limitUSD": "20.00"})
    commands.call("submit", file)
    edited = {"spec": {"budget": {"limitUSD": "30.00"}}}
    commands.api.patch(f"{commands.runs}/baseline", edited, fieldManager="kubectl-edit")
    said = commands.call("submit", file)
    assert said.code == 10
    assert "kubectl-edit" in said.err
    assert "--force" in said.err
    assert commands.get()["spec"]["budget"]["limitUSD"] == "30.00"
    assert commands.call("submit", file, "--force").code == 0
    assert commands.get()["spec"]["budget"]["limitUSD"] == "20.00"


def test_a_namespace_that_does_not_exist_is_told(commands: ClusterCommands) -> None:
    said = commands.plain(
        "submit", commands.file(), "-n", "nowhere", "--kubeconfig", commands.kubeconfig
    )
    assert said.code == 10
    assert "kubectl create namespace nowhere" in said.err


def test_a_file_of_another_namespace_is_refused(commands: ClusterCommands) -> None:
    file: Path = commands.file()
    said = commands.call("submit", file, "--set", "metadata.namespace=elsewhere")
    assert said.code == 10
    assert "metadata.namespace: found elsewhere" in said.err
