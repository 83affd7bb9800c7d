"""`images/build.py`, and the small programs that run while an image is built."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from support.locks import lock_text, read_lock
from support.source import CHECKOUT


def script(path: str) -> ModuleType:
    """A script of images/, which is in no package."""
    name = f"images_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "images" / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


build = script("build.py")
lock_without = script("trainer/lock_without.py")
without_libuv = script("trainer/without_libuv.py")


def tool(folder: Path, name: str, text: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    program.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with no tool that builds images."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_the_first_tool_that_works_is_taken(tools: Path) -> None:
    tool(tools, "docker", "exit 1")
    tool(tools, "buildah", "exit 0")

    assert build.chosen() == "buildah"


def test_without_a_tool_a_person_is_told_what_was_tried(tools: Path) -> None:
    tool(tools, "docker", "exit 1")

    with pytest.raises(build.Unbuildable) as refusal:
        build.chosen()

    said = str(refusal.value)
    assert "docker is there and does not work" in said
    assert "podman is not installed" in said
    assert "Install one of them" in said


def test_a_tool_that_is_wanted_is_not_replaced_by_another(tools: Path) -> None:
    tool(tools, "buildah", "exit 0")

    with pytest.raises(build.Unbuildable, match="podman is not installed"):
        build.chosen("podman")


@pytest.mark.parametrize("name", ["docker", "podman", "buildah"])
def test_a_build_is_told_version_commit_and_what_else_is_given(name: str) -> None:
    words = build.command(
        name, "trainer", "x:1", build_args=["TORCH=system"], pip_conf=Path("pip.conf")
    )

    assert words[:2] == (name, "build")
    assert words[-1] == str(CHECKOUT)
    assert f"VERSION={build.version()}" in words
    assert f"REVISION={build.revision()}" in words
    assert "TORCH=system" in words
    assert "id=pip.conf,src=pip.conf" in words
    # docker finds it by its name and knows no such option.
    assert ("--ignorefile" in words) is (name != "docker")


def test_a_commit_is_a_hash_and_says_when_files_differ_from_it() -> None:
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", build.revision())


def test_a_build_that_fails_ends_with_a_sentence(
    tools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool(tools, "podman", '[ "$1" = info ] || exit 3')

    assert build.main(["operator"]) == 1
    assert "ended with 3" in capsys.readouterr().err


def test_sizes_are_told(tools: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool(tools, "buildah", """[ "$1" = images ] && echo '[{"size": "459 MB"}]'; exit 0""")

    assert build.main(["operator", "--tag", "7", "--prefix", "registry.example/"]) == 0
    assert "registry.example/lightcompute-operator:7: 459 MB" in capsys.readouterr().out


def test_a_lock_loses_what_the_distribution_brings_and_nothing_else() -> None:
    kept = set(
        re.findall(r"^([\w.-]+)==", lock_without.without(lock_text("trainer")), flags=re.MULTILINE)
    )
    every = set(read_lock("trainer"))

    gone = every - {name.lower() for name in kept}
    assert {"torch", "numpy", "sentencepiece", "safetensors", "triton"} <= gone
    assert {"pydantic", "tensorboard", "click", "protobuf", "setuptools"} <= kept
    assert all(name.startswith(("nvidia-", "cuda-")) or name in lock_without.BROUGHT for name in gone)  # fmt: skip


def test_each_entry_that_a_lock_keeps_keeps_its_hashes() -> None:
    for entry in re.split(r"(?m)^(?=[\w.-]+==)", lock_without.without(lock_text("trainer")))[1:]:
        assert "--hash=sha256:" in entry


def torch(folder: Path) -> Path:
    for name, argument in without_libuv.STORES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"store = TCPStore(host, {argument} timeout=1)\n", encoding="utf-8")
    return folder


def test_each_store_of_torchrun_asks_for_no_libuv(tmp_path: Path) -> None:
    without_libuv.patch(torch(tmp_path))

    for name in without_libuv.STORES:
        assert "use_libuv=False, timeout=1" in (tmp_path / name).read_text(encoding="utf-8")


def test_another_pytorch_than_the_known_one_stops_the_build(tmp_path: Path) -> None:
    (torch(tmp_path) / "rendezvous.py").write_text("nothing of it\n", encoding="utf-8")

    with pytest.raises(ValueError, match="found 'is_master=False,' 0 times, expected once"):
        without_libuv.patch(tmp_path)
