"""`lightcompute validate`, and the same faults from `run`: path, value, what was expected; exit code 10; nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from lightcompute.cli.run import run
from lightcompute.cli.validate import validate
from runcontract.faults import ContractFault
from support.cases import Case
from support.cluster_documents import FULL_CLUSTER
from support.refused_clusters import REFUSED_CLUSTERS


def document(**changes: Any) -> dict[str, Any]:
    training = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 10}
    return {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "good"},
        "spec": {"training": training | changes.pop("training", {}), **changes},
    }


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in document().items() if name != key}


FAULTS = [
    pytest.param(document(training={"maxStep": 5}), "spec.training.maxStep", "5", id="unknown field"),
    pytest.param(document(training={"maxSteps": "10"}), "spec.training.maxSteps", "'10'", id="text for a number"),
    pytest.param(document(training={"maxSteps": 0}), "spec.training.maxSteps", "0", id="out of range"),
    pytest.param(document(training={"seed": 1.5}), "spec.training.seed", "1.5", id="a fraction for a whole number"),
    pytest.param(document(training={"model": {"heads": 5}}), "spec.training.model.heads", "5", id="heads that do not divide"),
    pytest.param(document(training={"maxEpochs": 3}), "spec.training.maxSteps", "10", id="two lengths"),
    pytest.param(document(training={"data": {"dataset": "war-and-peace"}}), "spec.training.data.dataset", "'war-and-peace'", id="unknown data set"),
    pytest.param(document(budget={"limitUSD": 20}), "spec.budget.limitUSD", "20", id="money as a bare number"),
    pytest.param(document(budget={"limitUSD": "-1"}), "spec.budget.limitUSD", "'-1'", id="negative money"),
    pytest.param(document(checkpoints={"keepLatest": 0}), "spec.checkpoints.keepLatest", "0", id="no checkpoint kept"),
    pytest.param(document(trainer={"env": [{"name": "1A", "value": "x"}]}), "spec.trainer.env[0].name", "'1A'", id="name of a variable"),
    pytest.param(document() | {"metadata": {"name": "Bad_Name"}}, "metadata.name", "'Bad_Name'", id="name that is no label"),
    pytest.param(document() | {"kind": "Job"}, "kind", "'Job'", id="another kind"),
    pytest.param(document() | {"kind": "trainingCluster"}, "kind", "'trainingCluster'", id="a kind that is nearly right"),
    pytest.param(document() | {"kind": ["TrainingRun"]}, "kind", "['TrainingRun']", id="a kind that is no word"),
    pytest.param(document() | {"apiVersion": "v1"}, "apiVersion", "'v1'", id="another version"),
    pytest.param(without("spec"), "spec", "nothing", id="no spec"),
    pytest.param(without("metadata"), "metadata", "nothing", id="no metadata"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "where", "found"), FAULTS)
def test_a_fault_has_its_path_and_value(
    tmp_path: Path, given: dict[str, Any], where: str, found: str
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(given), "utf-8")
    told = CliRunner().invoke(validate, [str(file), "--json"], standalone_mode=False)
    assert told.return_value == 10
    (verdict,) = json.loads(told.output)
    fault = next(fault for fault in verdict["faults"] if fault["where"] == where)
    assert fault["found"] == found
    assert fault["expected"]
    text = CliRunner().invoke(validate, [str(file)]).output
    assert where in text
    assert fault["expected"] in text


@pytest.mark.parametrize("case", REFUSED_CLUSTERS, ids=lambda case: case.name)
def test_a_fault_of_a_cluster_is_told_in_the_same_way(tmp_path: Path, case: Case) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(case.document), "utf-8")
    told = CliRunner().invoke(validate, [str(file)], standalone_mode=False)
    assert told.return_value == 10
    assert f"  {case.where}" in told.output
    assert case.reads.replace(". Check", "\n    Check") in told.output


def test_a_cluster_without_a_fault_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(FULL_CLUSTER | {"status": {"freeGPUs": 3}}), "utf-8")
    told = CliRunner().invoke(validate, [str(file)], standalone_mode=False)
    assert (told.return_value, told.output) == (0, f"{file}: valid\n")


def test_a_cluster_is_nothing_to_run(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(yaml.safe_dump(FULL_CLUSTER), "utf-8")
    told = CliRunner().invoke(run, [str(file)], standalone_mode=False)
    assert isinstance(told.exception, ContractFault)
    assert "'TrainingRun'" in str(told.exception)


@pytest.mark.parametrize(
    ("content", "where"),
    [
        pytest.param(b"a: [", ":1", id="no YAML"),
        pytest.param(b"", "", id="an empty file"),
        pytest.param(b"- 1", "", id="a list"),
        pytest.param(b"\xff\xfe", "", id="no text"),
        pytest.param(b"a: 1\na: 2", ":2", id="a key twice"),
        pytest.param(b"a: &x 1\nb: *x", ":2", id="an alias"),
    ],
)
def test_a_file_that_is_no_document_is_named(tmp_path: Path, content: bytes, where: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    told = CliRunner().invoke(validate, [str(file), "--json"], standalone_mode=False)
    assert told.return_value == 10
    assert json.loads(told.output)[0]["faults"][0]["where"].startswith(f"{file}{where}")


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(yaml.safe_dump(document()), "utf-8")
    bad.write_text(yaml.safe_dump(document(training={"seed": -1, "batchSize": 0})), "utf-8")
    told = CliRunner().invoke(validate, [str(good), str(bad), str(tmp_path / "none.yaml")])
    assert f"{good}: valid" in told.output
    assert f"{bad}: 2 faults" in told.output
    assert f"{tmp_path / 'none.yaml'}: 1 fault" in told.output


def test_a_good_file_is_valid_and_overrides_are_looked_at_too(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(document()), "utf-8")
    assert CliRunner().invoke(validate, [str(file)], standalone_mode=False).return_value == 0
    changed = [str(file), "--set", "training.seed=-1"]
    assert CliRunner().invoke(validate, changed, standalone_mode=False).return_value == 10


@pytest.mark.parametrize(
    "options",
    [
        ("--set", "training.seed=x"),
        ("--set", "training.seed"),
        ("--name", "Not_A_Label"),
        ("--price-per-hour-usd", "cheap"),
        ("--set", "trainer.numNodes=2"),
        ("--set", "trainer.env=[{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]"),
    ],
)
def test_what_cannot_be_run_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(document()), "utf-8")
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(run, [str(file), *options], standalone_mode=False)
    assert isinstance(told.exception, ContractFault)
    assert told.exception.exit_code == 10
    assert not (tmp_path / "runs").exists()


def _under_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file" / "runs"


@pytest.mark.parametrize("place", [_under_a_file, lambda _: Path("/proc/runs")])
def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, place: Callable[[Path], Path]
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(document()), "utf-8")
    root = place(tmp_path)
    told = CliRunner().invoke(run, [str(file), "--runs-dir", str(root)], standalone_mode=False)
    assert isinstance(told.exception, ContractFault)
    assert told.exception.exit_code == 16
    assert str(root) in str(told.exception)
