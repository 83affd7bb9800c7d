import re
from pathlib import Path

from support.source import CHECKOUT, tracked_files

# Written in halves, so that this file passes its own test. An address fits one index; locks must fit any.
REGISTRIES = (
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry." + "npmjs.org",
    "crates" + ".io",
    "proxy." + "golang.org",
    "sum." + "golang.org",
    "repo.maven." + "apache.org",
    "repo1.maven" + ".org",
    "deb." + "debian.org",
)
# Folders of one machine or of one person.
MACHINE_PATHS = re.compile(
    "|".join((r"(?<![\w.])/wor" + "k/", r"(?<![\w.])/roo" + "t/", "/User" + "s/"))
)


def tracked_texts() -> list[tuple[Path, str]]:
    contents = ((path, (CHECKOUT / path).read_bytes()) for path in tracked_files())
    return [
        (path, content.decode("utf-8", errors="replace"))
        for path, content in contents
        if b"\0" not in content
    ]


def test_no_file_names_a_package_registry() -> None:
    found = [
        f"{path}: {registry}"
        for path, text in tracked_texts()
        for registry in REGISTRIES
        if registry in text
    ]
    assert found == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
        for path, text in tracked_texts()
        for match in MACHINE_PATHS.finditer(text)
    ]
    assert found == []


def test_no_lock_that_records_addresses_is_tracked() -> None:
    assert [path for path in tracked_files() if path.name in {"uv.lock", "poetry.lock"}] == []


def test_no_environment_cache_or_run_is_tracked() -> None:
    generated = {
        ".venv",
        "__pycache__",
        ".hypothesis",
        ".mypy_cache",
        ".ruff_cache",
        "dist",
        "runs",
    }
    assert [path for path in tracked_files() if generated & set(path.parts)] == []
