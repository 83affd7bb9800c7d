"""kube-linter finds nothing in the chart, with all the checks that it makes by itself.

It is taken from where the person has it: PATH, or KUBE_LINTER names the program. Not every Go module proxy serves it, so it is not built
here as kube-score is; the workflow of the project fetches it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from support.helm_chart import CONFIGURATIONS, Document, Helm


@pytest.fixture(scope="session")
def kube_linter() -> str:
    """The program."""
    named = os.environ.get("KUBE_LINTER", "")
    found = named or shutil.which("kube-linter")
    if not found:
        pytest.skip("there is no kube-linter: put it onto PATH, or name it by KUBE_LINTER")
    return found


def found_in(kube_linter: str, documents: tuple[Document, ...], folder: Path) -> set[str]:
    """Check, kind and name of each finding."""
    rendered = folder / "rendered.yaml"
    rendered.write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    told = subprocess.run(
        [kube_linter, "lint", "--format", "json", rendered],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.startswith("{"), told.stderr
    report = json.loads(told.stdout)
    assert len(report["Checks"]) > 20
    findings = ((each["Check"], each["Object"]["K8sObject"]) for each in report["Reports"] or ())
    return {
        f"{check} {thing['GroupVersionKind']['Kind']}/{thing['Name']}" for check, thing in findings
    }


@pytest.mark.parametrize("values", CONFIGURATIONS)
def test_nothing_is_found(kube_linter: str, helm: Helm, tmp_path: Path, values: str) -> None:
    assert found_in(kube_linter, helm.render(CONFIGURATIONS[values]), tmp_path) == set()


def test_a_root_file_system_that_can_be_written_is_found(
    kube_linter: str, helm: Helm, tmp_path: Path
) -> None:
    text = json.dumps(helm.render())
    text = text.replace('"readOnlyRootFilesystem": true', '"readOnlyRootFilesystem": false')
    found = found_in(kube_linter, tuple(json.loads(text)), tmp_path)
    assert "no-read-only-root-fs Deployment/lightcompute" in found
