"""`lightgpt checkpoint copy`: the whole checkpoint under its own name, or nothing of that name."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import pytest

from lightgpt.checkpoint.copying import copy_checkpoint
from lightgpt.checkpoint.reading import load_checkpoint
from runcontract.exit_codes import ExitCode
from runcontract.faults import CheckpointFault, StorageFault
from support.checkpoints import is_state_of, save, store_at
from support.faulty_disks import (
    CountingDisk,
    FailingDisk,
    HookedDisk,
    Killed,
    KillingDisk,
    LyingDisk,
)
from support.lightgpt_cli import call

NAME = "step-00000020"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder with two checkpoints."""
    with store_at(tmp_path / "run" / "checkpoints") as store:
        save(store, 10)
        save(store, 20)
    return tmp_path / "run"


@pytest.fixture
def source(run: Path) -> Path:
    return run / "checkpoints" / NAME


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_copy_is_the_same_bytes_and_can_be_trained_from(source: Path, tmp_path: Path) -> None:
    copied = copy_checkpoint(source, tmp_path / "far" / "away")
    target = tmp_path / "far" / "away" / NAME
    assert contents(target) == contents(source)
    assert is_state_of(load_checkpoint(target), 20)
    assert (copied.destination, copied.step) == (str(target), 20)
    assert [path.name for path in target.parent.iterdir()] == [NAME]
    assert target.stat().st_mode == source.stat().st_mode


def test_nothing_is_overwritten(source: Path, tmp_path: Path) -> None:
    (tmp_path / "there" / NAME).mkdir(parents=True)
    with pytest.raises(StorageFault, match="Nothing is overwritten"):
        copy_checkpoint(source, tmp_path / "there")
    assert contents(tmp_path / "there" / NAME) == {}


def test_a_broken_checkpoint_is_not_handed_on(source: Path, tmp_path: Path) -> None:
    with (source / "optimizer.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointFault, match=r"optimizer\.safetensors has"):
        copy_checkpoint(source, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_source_that_changes_while_it_is_copied_leaves_no_copy(
    source: Path, tmp_path: Path
) -> None:
    def change() -> None:
        (source / "state.json").write_text("{}", "utf-8")

    disk = HookedDisk("write", change)
    with pytest.raises(CheckpointFault, match="while it was copied"):
        copy_checkpoint(source, tmp_path / "there", files=disk)
    assert list((tmp_path / "there").iterdir()) == []


def test_a_source_that_is_deleted_while_it_is_copied_leaves_no_copy(
    source: Path, tmp_path: Path
) -> None:
    disk = HookedDisk("create", lambda: shutil.rmtree(source))
    with pytest.raises(CheckpointFault, match="is missing, while it was copied"):
        copy_checkpoint(source, tmp_path / "there", files=disk)
    assert list((tmp_path / "there").iterdir()) == []


def test_a_device_that_keeps_something_else_is_found_out(source: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointFault, match="does not match its hash"):
        copy_checkpoint(source, tmp_path / "there", files=LyingDisk())
    assert list((tmp_path / "there").iterdir()) == []


def test_a_copy_that_is_killed_or_fails_anywhere_is_none(source: Path, tmp_path: Path) -> None:
    counting = CountingDisk()
    copy_checkpoint(source, tmp_path / "count", files=counting)
    committed = counting.operations.index("rename") + 1
    for at in range(1, committed + 1):
        there = tmp_path / f"killed-{at}"
        with pytest.raises(Killed):
            copy_checkpoint(source, there, files=KillingDisk(at))
        assert not (there / NAME).exists()
        copy_checkpoint(source, there)
        there = tmp_path / f"full-{at}"
        full = FailingDisk(at, error=errno.ENOSPC, forever=False)
        with pytest.raises(StorageFault, match="No space left"):
            copy_checkpoint(source, there, files=full)
        assert list(there.iterdir()) == []


def test_the_command_takes_a_run_or_a_checkpoint_and_says_where_the_copy_is(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = call(capsys, "checkpoint", "copy", run, tmp_path / "a")
    assert newest.code == 0, newest.err
    assert str(tmp_path / "a" / NAME) in newest.out
    older = call(capsys, "checkpoint", "copy", run, tmp_path / "b", "--step", 10, "--json")
    assert json.loads(older.out)["step"] == 10
    assert call(capsys, "checkpoint", "copy", source, tmp_path / "c").code == 0
    missing = call(capsys, "checkpoint", "copy", run, tmp_path / "d", "--step", 15)
    assert missing.code == ExitCode.BROKEN_CHECKPOINT
    assert "no checkpoint at step 15; expected one of: 20, 10" in missing.err
    again = call(capsys, "checkpoint", "copy", run, tmp_path / "a")
    assert again.code == ExitCode.STORAGE_FAULT
