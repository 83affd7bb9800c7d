"""A contract that cannot be broken protects nothing: each is broken once here, on a copy."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.source import CHECKOUT

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and the contracts, somewhere where they may be broken."""
    for root in ("operator", "trainer"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / root, tmp_path / root, ignore=ignored)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(checkout: Path) -> subprocess.CompletedProcess[str]:
    roots = os.pathsep.join((str(checkout / "operator"), str(checkout / "trainer")))
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": roots},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("importer", "imported", "contract"),
    [
        ("operator/lightcompute/core", "lightcompute.cli", "never back"),
        ("operator/lightcompute/core", "lightcompute.local", "never back"),
        ("operator/lightcompute/api", "lightcompute.core", "never back"),
        ("operator/lightcompute/local", "lightcompute.kube", "never back"),
        ("operator/lightcompute/kube", "lightcompute.cli", "never back"),
        ("operator/lightcompute/core", "time", "no clock"),
        ("operator/lightcompute/core", "random", "no clock"),
        ("operator/lightcompute/core", "kubernetes", "no clock"),
        ("operator/lightcompute/local", "torch", "needs no torch"),
        ("operator/lightcompute/cli", "lightgpt", "needs no torch"),
        ("trainer/lightgpt", "lightcompute", "nothing of what runs it"),
        ("trainer/runcontract", "lightgpt", "neither side"),
        ("trainer/runcontract", "torch", "neither side"),
    ],
)
def test_an_import_in_a_forbidden_direction_breaks_its_contract(
    copy: Path, importer: str, imported: str, contract: str
) -> None:
    for package in ("api", "cli", "core", "kube", "local"):
        folder = copy / "operator/lightcompute" / package
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    (copy / importer / "trespasser.py").write_text(f"import {imported}\n")

    done = lint(copy)

    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(contract in line for line in broken), done.stdout


@pytest.mark.slow
def test_the_packages_as_they_are_keep_every_contract(copy: Path) -> None:
    done = lint(copy)
    assert done.returncode == 0, done.stdout + done.stderr
