import os
from pathlib import Path

import pytest

from lightgpt.data.local_files import read_files
from runcontract.faults import DataFault
from support.texts import write_text


def test_files_are_joined_in_the_order_given_and_globs_sorted(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.md"):
        write_text(tmp_path, f"{name}\n", name)
    assert read_files(["c.md", "*.txt"], tmp_path) == "c.md\na.txt\nb.txt\n"


def test_a_newline_is_put_between_files_that_end_without_one(tmp_path: Path) -> None:
    write_text(tmp_path, "one", "1.txt")
    write_text(tmp_path, "two", "2.txt")
    assert read_files(["1.txt", "2.txt"], tmp_path) == "one\ntwo"


def test_every_character_of_a_file_is_kept(tmp_path: Path) -> None:
    text = "a\r\nb\rc\td\x0be\0é😀\u2028 \n"
    write_text(tmp_path, text)
    assert read_files(["text.txt"], tmp_path) == text


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfto be")
    assert read_files(["a.txt"], tmp_path) == "to be"


def test_a_glob_reaches_into_folders(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    write_text(tmp_path / "x" / "y", "deep", "a.txt")
    assert read_files(["**/*.txt"], tmp_path) == "deep"


def test_an_absolute_path_and_an_absolute_glob_are_taken(tmp_path: Path) -> None:
    write_text(tmp_path, "text")
    elsewhere = Path("/")
    assert read_files([str(tmp_path / "text.txt")], elsewhere) == "text"
    assert read_files([str(tmp_path / "*.txt")], elsewhere) == "text"


def test_a_file_whose_name_looks_like_a_glob_is_taken_by_its_name(tmp_path: Path) -> None:
    write_text(tmp_path, "brackets", "part[1].txt")
    assert read_files(["part[1].txt"], tmp_path) == "brackets"


def refused(tmp_path: Path, *patterns: str) -> str:
    with pytest.raises(DataFault) as fault:
        read_files(patterns, tmp_path)
    return str(fault.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    said = refused(tmp_path, "no.txt")
    assert said == (
        f"training.data.files[0] {tmp_path}/no.txt: found No such file or directory; expected a file that can be read"
    )


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    write_text(tmp_path, "")
    assert "text.txt: found an empty file; expected a file with text" in refused(
        tmp_path, "text.txt"
    )


def test_a_file_of_white_space_is_named(tmp_path: Path) -> None:
    write_text(tmp_path, " \n\n\t")
    assert "found no text; expected a file with text" in refused(tmp_path, "text.txt")


def test_a_file_that_is_not_utf_8_is_named_with_the_byte(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 au lait")
    assert "latin.txt: found byte 3 is not UTF-8" in refused(tmp_path, "latin.txt")


def test_a_folder_is_no_file_and_the_message_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "plays").mkdir()
    assert "found a folder; expected a text file. Write plays/*.txt" in refused(tmp_path, "plays")


def test_a_glob_that_matches_nothing_is_named(tmp_path: Path) -> None:
    assert f"found no file for '*.txt' in {tmp_path}" in refused(tmp_path, "*.txt")


def test_a_glob_that_matches_only_folders_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    assert "found only folders for '*.txt'" in refused(tmp_path, "*.txt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    write_text(tmp_path, "secret")
    (tmp_path / "text.txt").chmod(0)
    assert "found Permission denied" in refused(tmp_path, "text.txt")


def test_a_file_that_stands_twice_is_refused_because_it_would_leak_into_validation(
    tmp_path: Path,
) -> None:
    write_text(tmp_path, "text")
    assert "for the second time; expected each file once" in refused(tmp_path, "*.txt", "text.txt")


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    write_text(tmp_path, "", "empty.txt")
    with pytest.raises(DataFault) as fault:
        read_files(["no.txt", "empty.txt", "*.md"], tmp_path)
    assert [found.where.split()[0] for found in fault.value.faults] == [
        "training.data.files[0]",
        "training.data.files[1]",
        "training.data.files[2]",
    ]
