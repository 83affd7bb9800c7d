import shutil
import subprocess
from pathlib import Path

import pytest

from support.testcluster import binaries
from support.testcluster.binaries import NoBinaries, Program, binary

HELLO = """package main

func main() { println("hello") }
"""


@pytest.fixture
def hello(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A program that is quick to build, in a cache of its own."""
    module = tmp_path / "modules" / "hello"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module example.invalid/hello\n\ngo 1.24.0\n", encoding="utf-8")
    (module / "main.go").write_text(HELLO, encoding="utf-8")
    monkeypatch.setattr(binaries, "MODULES", tmp_path / "modules")
    if go := shutil.which("go"):
        # Or Go itself would begin with an empty cache, and compile its library first.
        cache = subprocess.run([go, "env", "GOCACHE"], capture_output=True, text=True, check=True)
        monkeypatch.setenv("GOCACHE", cache.stdout.strip())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Program(name="hello", package=".", minutes=1)


def test_a_machine_without_go_is_told_what_to_install(
    hello: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoBinaries, match=r"no `go` is on the PATH: install Go 1\.26"):
        binary(hello)


def test_a_go_that_is_too_old_is_refused(
    hello: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "go"
    old.write_text("#!/bin/sh\necho go1.19.8\n", encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        NoBinaries, match=r"is go1\.19\.8; the test cluster needs Go 1\.26 or newer"
    ):
        binary(hello)


@pytest.mark.slow
def test_a_program_is_built_once_and_anew_when_its_source_changes(hello: Program) -> None:
    first = binary(hello)
    built = first.stat().st_mtime_ns
    assert binary(hello) == first
    assert first.stat().st_mtime_ns == built
    assert {path.name for path in first.parent.iterdir()} == {"hello", "lock"}
    (hello.module / "main.go").write_text(HELLO.replace("hello", "hullo"), encoding="utf-8")
    assert binary(hello) != first


@pytest.mark.slow
def test_a_program_that_does_not_compile_leaves_nothing_behind(hello: Program) -> None:
    (hello.module / "main.go").write_text("package main\n\nfunc main() { nothing() }\n", "utf-8")
    with pytest.raises(NoBinaries, match="undefined: nothing"):
        binary(hello)
    assert list((hello.module.parents[1] / "cache").rglob("hello")) == []
