"""`lightgpt checkpoint prune --pattern` and `lightgpt tend Prune --pattern`: a trainer without manifests, by the numbers in its names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lightgpt.checkpoint import named
from lightgpt.checkpoint.filesystem import FileSystem
from lightgpt.checkpoint.named import prune_named
from lightgpt.upkeep import Subject, tend
from runcontract.faults import ConfigurationFault
from runcontract.order import Checkpoints
from runcontract.upkeep import UpkeepTask
from support.lightgpt_cli import call

STEPS = (10, 20, 100, 9)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Folders of one trainer, with something beside each that is not to be touched."""
    run = tmp_path / "run"
    for age, step in enumerate(STEPS):
        folder = run / f"checkpoint-{step}"
        (folder / "deep").mkdir(parents=True)
        (folder / "deep/model.bin").write_bytes(b"x" * 1000)
        os.utime(folder, (age, age))
    os.utime(run / "checkpoint-100", (1000, 1000))
    (run / "checkpoint-latest").symlink_to("checkpoint-100")
    (run / "checkpoint-best").mkdir()
    (run / "metrics.csv").write_text("1\n", "utf-8")
    return run


def names(run: Path) -> set[str]:
    return {path.name for path in run.iterdir()}


KEPT = {"checkpoint-100", "checkpoint-latest", "checkpoint-best", "metrics.csv"}


def test_the_highest_numbers_stay_and_names_without_one_are_left_alone(run: Path) -> None:
    pruning = prune_named(run, "checkpoint-*", keep_latest=1, pins=frozenset({9}))
    assert names(run) == {*KEPT, "checkpoint-9"}
    assert [each.number for each in pruning.checkpoints if each.deleted] == [10, 20]
    assert pruning.freed_bytes == 2000
    assert pruning.without_number == ("checkpoint-best",)
    assert "2 of 4 checkpoints deleted by their names" in pruning.text()
    assert "nothing verifies them" in pruning.text()


def test_what_was_written_last_stays_whatever_its_number(run: Path) -> None:
    os.utime(run / "checkpoint-9", (2000, 2000))
    prune_named(run, "checkpoint-*", keep_latest=1)
    assert names(run) == {*KEPT, "checkpoint-9"}


def test_nothing_is_changed_on_trial(run: Path) -> None:
    before = names(run)
    pruning = prune_named(run, "checkpoint-*", keep_latest=1, dry_run=True)
    assert names(run) == before
    assert "3 of 4 checkpoints would be deleted" in pruning.text()


def test_files_of_one_number_go_together(tmp_path: Path) -> None:
    folder = tmp_path / "out/ckpt"
    folder.mkdir(parents=True)
    for step in (1, 2, 3):
        (folder / f"model-{step}.pt").write_bytes(b"m")
        (folder / f"optimizer-{step}.pt").write_bytes(b"o")
    (folder / "model-1.txt").write_bytes(b"no")
    prune_named(tmp_path / "out", "ckpt/*.pt", keep_latest=2)
    assert names(folder) == {
        "model-1.txt", "model-2.pt", "optimizer-2.pt", "model-3.pt", "optimizer-3.pt",
    }  # fmt: skip


def test_links_lead_nowhere(run: Path, tmp_path: Path) -> None:
    """Neither one on the way, nor one that has a name of a checkpoint, nor one in a folder that is deleted."""
    outside = tmp_path / "outside"
    (outside / "model-1").mkdir(parents=True)
    (outside / "model-2").mkdir()
    (run / "elsewhere").symlink_to(outside)
    prune_named(run, "elsewhere/model-*", keep_latest=1)
    (run / "checkpoint-1").symlink_to(outside)
    (run / "checkpoint-10/deep/link").symlink_to(outside)
    prune_named(run, "checkpoint-*", keep_latest=1)
    assert names(run) == {*KEPT, "elsewhere", "checkpoint-1"}
    assert names(outside) == {"model-1", "model-2"}


@pytest.mark.parametrize("pattern", ["../*-1", "/etc/a*", "*", "a/../b*", "", "x" * 101, "a\n"])
def test_what_is_no_pattern_is_refused(run: Path, pattern: str) -> None:
    before = names(run)
    with pytest.raises(ConfigurationFault, match=r"checkpoint-\* or ckpt"):
        prune_named(run, pattern, keep_latest=1)
    assert names(run) == before


class _Dying(FileSystem):
    """The process ends before the first file is removed."""

    def remove_file(self, path: Path) -> None:
        raise InterruptedError(str(path))


def test_a_death_in_between_leaves_nothing_that_is_taken_for_a_checkpoint(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(named, "FileSystem", _Dying)
        with pytest.raises(Exception, match="checkpoint"):
            prune_named(run, "checkpoint-*", keep_latest=1)
    assert ".checkpoint-9.deleted-1" in names(run)
    assert "checkpoint-9" not in names(run)
    prune_named(run, "checkpoint-*", keep_latest=1)
    assert names(run) == KEPT


def test_an_upkeep_pod_does_it_and_says_that_nothing_was_verified(run: Path) -> None:
    settings = Checkpoints(keep_latest=2, pattern="checkpoint-*")
    subject = Subject(folder=run, run_uid="u", attempt=3, settings=settings)
    report = tend(UpkeepTask.PRUNE, subject)
    assert report.done
    assert report.checkpoints == ()
    assert report.message.startswith(
        "4 checkpoints by name (checkpoint-*), none of them verified; "
    )
    assert "deleted: 9, 10, 0.0 MB" in report.message
    assert names(run) == {*KEPT, "checkpoint-20"}
    gone = Subject(folder=run / "nowhere", run_uid="u", attempt=3, settings=settings)
    assert tend(UpkeepTask.PRUNE, gone).message.startswith("0 checkpoints by name")


def test_the_command_lines_say_the_same(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--pattern", "checkpoint-*", "--keep-latest", "2")
    done = call(capsys, "checkpoint", "prune", str(run), *options, "--dry-run", "--json")
    assert done.code == 0, done
    found = json.loads(done.out)["checkpoints"]
    assert [each["number"] for each in found if each["deleted"]] == [9, 10]
    done = call(capsys, "tend", "Prune", str(run), "--run-uid", "u", *options, "--pin", "9")
    assert done.code == 0, done
    assert names(run) == {*KEPT, "checkpoint-20", "checkpoint-9"}
    done = call(capsys, "checkpoint", "prune", str(run), "--pattern", "../x-*")
    assert done.code == 10
