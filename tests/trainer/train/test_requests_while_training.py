"""What people ask of a training as it runs: read at a steady pace, obeyed once, and never more dangerous than a warning."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lightgpt.train.material import gather
from lightgpt.train.requests import MOST_COMPLAINTS, Requests
from runcontract.manifest import checkpoint_name
from runcontract.progress import Saved, Warned
from support.training import Workshop, file_hashes, order_document, repeatable_rows, reports


class Hand:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "requests").mkdir()
    return tmp_path / "requests"


def ask(folder: Path, text: str) -> None:
    (folder / "checkpoint-now").write_text(text, encoding="utf-8")


def test_each_new_text_asks_for_one_checkpoint(folder: Path, clock: Hand) -> None:
    ask(folder, "before")
    requests = Requests(folder, clock=clock)
    taken = []
    for text in ("before", "one", "one", "", "one", "two\n", "before", "one"):
        ask(folder, text)
        requests.look(at_once=True)
        taken.append(requests.take())
    assert taken == [None, "one", None, None, None, "two", None, "one"]
    assert requests.take() is None


def test_the_folder_is_looked_into_once_a_second(folder: Path, clock: Hand) -> None:
    requests = Requests(folder, clock=clock)
    ask(folder, "one")
    clock.seconds += 0.9
    requests.look()
    assert requests.take() is None
    clock.seconds += 0.1
    requests.look()
    assert requests.take() == "one"


def test_an_attempt_without_a_folder_is_asked_for_nothing(tmp_path: Path, clock: Hand) -> None:
    for nowhere in (None, tmp_path / "missing"):
        requests = Requests(nowhere, clock=clock)
        assert requests.look(at_once=True) == []
        assert requests.take() is None
        assert requests.pins == frozenset()


def test_links_are_followed_as_volumes_of_a_cluster_have_them(folder: Path, clock: Hand) -> None:
    requests = Requests(folder, clock=clock)
    for number in (1, 2):
        (folder / f"..{number}").mkdir()
        ask(folder / f"..{number}", f"request {number}")
        (folder / "..new").symlink_to(f"..{number}")
        (folder / "..new").replace(folder / "..data")
        if number == 1:
            (folder / "checkpoint-now").symlink_to("..data/checkpoint-now")
        requests.look(at_once=True)
        assert requests.take() == f"request {number}"


def test_pins_come_and_go_and_what_cannot_be_read_takes_none_away(
    folder: Path, clock: Hand
) -> None:
    requests = Requests(folder, clock=clock)
    for text, pins, complains in (
        ("100,200", {100, 200}, False),
        ("300,x", {100, 200, 300}, True),
        ("400", {400}, False),
        ("", set(), False),
    ):
        (folder / "pins").write_text(text, encoding="utf-8")
        assert bool(requests.look(at_once=True)) == complains
        assert requests.pins == pins


def test_a_text_that_cannot_be_read_is_told_once(folder: Path, clock: Hand) -> None:
    requests = Requests(folder, clock=clock)
    for text, said in (
        ("x" * 200, 1),
        ("x" * 200, 0),
        ("y\x1by", 1),
        ("x" * 200, 0),
    ):
        ask(folder, text)
        assert len(requests.look(at_once=True)) == said
        assert requests.take() is None
    ask(folder, "good")
    assert requests.look(at_once=True) == []
    assert requests.take() == "good"


def test_a_flood_of_nonsense_is_told_a_hundred_times(folder: Path, clock: Hand) -> None:
    requests = Requests(folder, clock=clock)
    said = []
    for number in range(MOST_COMPLAINTS + 20):
        ask(folder, f"{number}\0")
        said += requests.look(at_once=True)
    assert len(said) == MOST_COMPLAINTS


@pytest.mark.parametrize("name", ["checkpoint-now", "pins"])
@pytest.mark.parametrize("what", ["folder", "pipe", "loop"])
def test_what_is_no_file_is_told_and_holds_nothing_up(
    folder: Path, clock: Hand, name: str, what: str
) -> None:
    match what:
        case "folder":
            (folder / name).mkdir()
        case "pipe":
            os.mkfifo(folder / name)
        case _:
            (folder / name).symlink_to(name)
    requests = Requests(folder, clock=clock)
    [complaint] = requests.look(at_once=True)
    assert complaint.startswith(f"requests/{name}: found ")
    assert requests.take() is None


# ---- in a training ------------------------------------------------------------------------------------------------------


@pytest.fixture
def at_look(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, Callable[[], object]]], None]:
    """Has something happen when the loop asks for the time for the n-th time: a second passes each time."""

    def put(happenings: dict[int, Callable[[], object]]) -> None:
        seconds = 0.0

        def clock() -> float:
            nonlocal seconds
            seconds += 1.0
            happenings.get(int(seconds), lambda: None)()
            return seconds

        monkeypatch.setattr("lightgpt.train.run.monotonic", clock)

    return put


def attempt(workshop: Workshop, document: dict[str, object], out: str, folder: Path) -> list[int]:
    """The steps of the checkpoints that were reported."""
    workshop.attempt(document, out, variables={"LIGHTCOMPUTE_REQUESTS": str(folder)})
    return [r.step for r in reports(workshop.folder / out) if isinstance(r, Saved)]


def test_a_checkpoint_that_is_asked_for_is_saved_at_the_next_step_and_changes_no_number(
    workshop: Workshop,
    folder: Path,
    at_look: Callable[[dict[int, Callable[[], object]]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = order_document() | {"checkpoints": {"everySteps": 12, "keepLatest": 10}}
    ask(folder, "an older one")
    assert attempt(workshop, document, "unasked", folder) == [12]
    at_look({12: lambda: ask(folder, "number 1"), 15: lambda: ask(folder, "number 2")})
    steps = attempt(workshop, document, "asked", folder)
    assert len(steps) == 3
    assert steps[-1] == 12
    assert repeatable_rows(workshop.folder / "asked") == repeatable_rows(
        workshop.folder / "unasked"
    )
    assert file_hashes(workshop.folder / "asked", 12) == file_hashes(
        workshop.folder / "unasked", 12
    )
    said = capsys.readouterr().err
    assert f"request number 1: the checkpoint of step {steps[0]} answers it" in said
    assert f"request number 2: the checkpoint of step {steps[1]} answers it" in said
    assert "an older one" not in said


def test_what_is_asked_while_the_data_is_prepared_is_answered_after_the_first_step(
    workshop: Workshop, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked_meanwhile(*arguments: object) -> object:
        ask(folder, "early")
        return gather(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("lightgpt.train.run.gather", asked_meanwhile)
    monkeypatch.setattr("lightgpt.train.requests.LOOK_SECONDS", 0.0)
    document = order_document() | {"checkpoints": {"everySteps": 12}}
    assert attempt(workshop, document, "out", folder) == [1, 12]


def test_retention_leaves_alone_what_is_pinned_while_it_runs(
    workshop: Workshop,
    folder: Path,
    at_look: Callable[[dict[int, Callable[[], object]]], None],
) -> None:
    settings = {"everySteps": 2, "keepLatest": 1, "keepBest": False}
    (folder / "pins").write_text("4,nonsense", encoding="utf-8")
    results = workshop.attempt(
        order_document() | {"checkpoints": settings},
        variables={"LIGHTCOMPUTE_REQUESTS": str(folder)},
    )
    assert {kept.step: kept.kept_because for kept in results.checkpoints} == {
        4: ("Pinned",),
        12: ("LastVerified", "Latest"),
    }
    assert (workshop.folder / "out" / "checkpoints" / checkpoint_name(4)).is_dir()
    warnings = [r for r in reports(workshop.folder / "out") if isinstance(r, Warned)]
    assert [warning.reason for warning in warnings] == ["RequestUnreadable"]
    assert "requests/pins: found 'nonsense'" in warnings[0].message
