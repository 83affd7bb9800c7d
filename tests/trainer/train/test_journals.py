from pathlib import Path

from lightgpt.train.journal import Journal


def open_journal(path: Path, *, least: str = "") -> Journal:
    return Journal(path, header="name", keep=lambda line: line >= least)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_lines_come_after_the_header_in_their_order(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j")
    assert journal.append("one")
    assert journal.append("two")
    assert lines(tmp_path / "j") == ["name", "one", "two"]


def test_what_is_not_to_be_kept_and_a_torn_last_line_are_dropped_when_it_is_opened(
    tmp_path: Path,
) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"name\nb\na\nc\nhalf a li")
    open_journal(path, least="b").append("d")
    assert lines(path) == ["name", "b", "c", "d"]


def test_bytes_that_are_no_text_do_not_stop_a_run(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"name\na\n\xff\xfe\nb\n")
    assert open_journal(path).append("c")
    assert lines(path)[-1] == "c"


def test_lines_that_cannot_be_written_wait_and_come_in_order_later(tmp_path: Path) -> None:
    folder, away = tmp_path / "run", tmp_path / "away"
    folder.mkdir()
    journal = open_journal(folder / "j")
    journal.append("one")
    folder.rename(away)  # as a volume that is not there for a while
    assert not journal.append("two")
    assert not journal.sync()
    away.rename(folder)
    assert journal.append("three")
    assert lines(folder / "j") == ["name", "one", "two", "three"]


def test_what_a_failed_write_left_behind_is_overwritten(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "j")
    with (tmp_path / "j").open("a", encoding="utf-8") as file:
        file.write("half of a line that a full dis")
    journal.append("one")
    assert lines(tmp_path / "j") == ["name", "one"]
