"""What a person gets who installs a built file instead of a checkout."""

import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from support.source import CHECKOUT, PACKAGES


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(CHECKOUT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as an installer does it: from the unpacked source distribution, not from the checkout."""
    unpacked = tmp_path_factory.mktemp("source")
    # The program, since Python's own filter against evil archives is not in every 3.11.
    subprocess.run(["tar", "-xzf", sdist, "-C", unpacked], check=True)
    (source,) = unpacked.iterdir()
    return build(source, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)  # noqa: S202 - it was built a moment ago
    return folder


def build(source: Path, target: str, folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (built,) = folder.iterdir()
    return built


def test_the_source_distribution_holds_what_the_wheel_and_the_tests_need(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        top = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}
    assert {
        "operator",
        "trainer",
        "tests",
        "requirements",
        "Makefile",
        "LICENSE",
        "README.md",
    } <= top
    assert top & {".venv", ".git", ".ci", "runs"} == set()


@pytest.mark.slow
def test_the_wheel_holds_the_three_packages_and_nothing_else(installed: Path) -> None:
    found = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert found == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_holds_every_file_of_a_package(installed: Path, package: str) -> None:
    def files(root: Path) -> set[str]:
        found = (path for path in root.rglob("*") if path.is_file())
        return {path.relative_to(root).as_posix() for path in found if path.suffix != ".pyc"}

    assert files(installed / package) == files(PACKAGES[package])


def test_the_packages_are_imported_from_the_wheel_without_the_checkout(installed: Path) -> None:
    code = f"""
import sys
sys.path[:] = [path for path in sys.path if not path.startswith({str(CHECKOUT)!r}) or "-packages" in path]
sys.path.insert(0, {str(installed)!r})
for name in {sorted(PACKAGES)}:
    print(__import__(name).__file__)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == [
        str(installed / name / "__init__.py") for name in sorted(PACKAGES)
    ]


def test_the_wheel_installs_both_commands_and_the_licence(installed: Path) -> None:
    (metadata,) = installed.glob("*.dist-info")
    scripts = ConfigParser()
    scripts.read(metadata / "entry_points.txt")
    assert dict(scripts["console_scripts"]) == {
        "lightcompute": "lightcompute.cli.main:main",
        "lightgpt": "lightgpt.cli.main:main",
    }
    assert "Apache License" in (metadata / "licenses/LICENSE").read_text(encoding="utf-8")
