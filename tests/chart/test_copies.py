"""What the chart says twice is the same both times."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightcompute.api import read_training_run
from lightcompute.kube.settings import OperatorSettings, PoolSettings
from support.helm_chart import CHART, default_values, generator
from support.source import CHECKOUT


def test_crds_and_readme_are_those_that_the_script_makes() -> None:
    done = subprocess.run(
        [sys.executable, CHECKOUT / "charts/generate.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_value_has_a_sentence() -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")

    silent = [each.path for each in generator().values(text) if not each.says.endswith(".")]

    assert silent == []


def test_the_chart_has_the_version_of_the_package() -> None:
    package = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["version"] == chart["appVersion"] == package["version"]


def test_the_run_of_helm_test_is_a_valid_run() -> None:
    run = read_training_run(CHART / "files/test-run.yaml")

    assert run.metadata.name == "helm-test"


DEFAULTS = {
    "pool.clusterName": PoolSettings().cluster,
    "pool.name": PoolSettings().name,
    "pool.gpuResource": PoolSettings().gpu_resource,
    "operator.graceSeconds": OperatorSettings().grace_seconds,
    "operator.clockSkewSeconds": OperatorSettings().clock_skew_seconds,
    "operator.requestsPerSecond": OperatorSettings().requests_per_second,
    "operator.logReadsPerSecond": OperatorSettings().log_reads_per_second,
    "operator.workers": OperatorSettings().workers,
    "operator.leaseSeconds": OperatorSettings().lease_seconds,
    "metrics.port": OperatorSettings().http_port,
}


@pytest.mark.parametrize("path", DEFAULTS)
def test_a_default_is_that_of_the_operator(path: str) -> None:
    value: Any = default_values()
    for key in path.split("."):
        value = value[key]

    assert value == DEFAULTS[path]


def test_bounds_are_those_of_the_operator() -> None:
    ours = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))["properties"]
    theirs = OperatorSettings.model_json_schema()["properties"]

    for key, schema in ours["operator"]["properties"].items():
        known = theirs.get(key, {})
        bounds = ("minimum", "maximum", "exclusiveMinimum")
        assert {name: schema[name] for name in bounds if name in schema} == {
            name: known[name] for name in bounds if name in known
        }, key


def test_the_script_says_what_is_out_of_date(tmp_path: Path) -> None:
    copy = tmp_path / "charts/lightcompute"
    copy.mkdir(parents=True)
    (tmp_path / "crds").mkdir()
    (tmp_path / "crds/things.yaml").write_text("kind: CustomResourceDefinition\n")
    (copy / "values.yaml").write_text("# What it is.\nkey: 1\n")
    (copy / "README.md").write_text((CHART / "README.md").read_text(encoding="utf-8"))
    script = tmp_path / "charts/generate.py"
    script.write_text((CHECKOUT / "charts/generate.py").read_text(encoding="utf-8"))

    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, script, *words], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    code, said = run("--check")
    assert code == 1
    assert "lightcompute/files/crds/things.yaml is out of date" in said
    assert "lightcompute/README.md is out of date" in said
    assert run() == (0, "")
    assert run("--check") == (0, "")
    assert "| `key` | `1` | What it is. |" in (copy / "README.md").read_text(encoding="utf-8")
