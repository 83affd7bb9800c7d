import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.source import CHECKOUT

PROMISED = {
    "quickstart",
    "cluster",
    "images",
    "test",
    "e2e",
    "mutants",
    "sequences",
    "check",
    "crds",
    "lock",
    "format",
    "clean",
    "help",
}


def make(*arguments: str, folder: Path = CHECKOUT, path: str | None = None) -> str:
    done = subprocess.run(
        [shutil.which("make") or "make", "--no-print-directory", *arguments],
        cwd=folder,
        env={"PATH": path or "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_make_alone_lists_each_promised_target_with_a_sentence() -> None:
    listed = dict(re.findall(r"^  make (\w+) +(.+)$", make(), flags=re.MULTILINE))
    assert listed.keys() >= PROMISED
    assert [target for target, text in listed.items() if not re.fullmatch(r"[A-Z].+\.", text)] == []


def test_every_target_that_is_no_file_is_declared_phony() -> None:
    text = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.+)$", text, flags=re.MULTILINE)[0].split())
    assert set(re.findall(r"^([a-z0-9]+):", text, flags=re.MULTILINE)) == phony


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with a shell and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "env"):
        (folder / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    shutil.copytree(CHECKOUT / "requirements", tmp_path / "requirements")
    return folder


def python(folder: Path, script: str) -> None:
    program = folder / "python3"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_machine_without_python_is_told_what_to_install(tools: Path) -> None:
    said = make(".venv/bin/python", folder=tools.parent, path=str(tools))
    assert "Python 3.11 or newer is needed" in said
    assert "apt install python3 python3-venv" in said


def test_a_python_that_is_too_old_counts_as_none(tools: Path) -> None:
    python(tools, 'case "$*" in *version_info*) exit 1;; esac')
    said = make(".venv/bin/python", folder=tools.parent, path=str(tools))
    assert "Python 3.11 or newer is needed" in said


def test_a_python_without_ensurepip_is_told_which_package_brings_it(tools: Path) -> None:
    python(tools, 'case "$*" in *ensurepip*) exit 1;; *print*) echo 3.12;; esac')
    said = make(".venv/bin/python", folder=tools.parent, path=str(tools))
    assert "python3 cannot make virtual environments" in said
    assert "apt install python3.12-venv" in said
    assert not (tools.parent / ".venv").exists()
