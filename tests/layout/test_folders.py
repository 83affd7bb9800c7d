import pytest

from support.source import CHECKOUT, PACKAGES, tracked_files

FOLDERS = {
    ".ci",
    ".github",
    "benchmarks",
    "charts",
    "crds",
    "docs",
    "examples",
    "images",
    "operator",
    "requirements",
    "tests",
    "trainer",
}


@pytest.mark.parametrize("root", ["operator", "trainer", "tests"])
def test_a_source_root_is_not_a_package(root: str) -> None:
    # A package named `operator` would hide Python's own module of that name.
    assert not (CHECKOUT / root / "__init__.py").exists()


def test_no_folder_of_tests_is_a_package() -> None:
    assert list((CHECKOUT / "tests").rglob("__init__.py")) == []


def test_each_source_root_holds_its_packages_and_nothing_else() -> None:
    found = {
        path.relative_to(CHECKOUT).as_posix()
        for root in ("operator", "trainer")
        for path in (CHECKOUT / root).iterdir()
        if path.name not in {"__pycache__", ".DS_Store"}
    }
    assert found == {path.relative_to(CHECKOUT).as_posix() for path in PACKAGES.values()}


def test_the_top_level_folders_are_those_of_the_design() -> None:
    found = {path.parts[0] for path in tracked_files() if len(path.parts) > 1}
    assert found <= FOLDERS


def test_every_test_file_lies_in_a_folder_that_says_what_it_tests() -> None:
    assert sorted((CHECKOUT / "tests").glob("test_*.py")) == []
