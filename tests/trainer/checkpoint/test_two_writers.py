"""Only the newest attempt writes: one that was cut off and wakes again changes nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from lightgpt.checkpoint.store import CheckpointStore
from runcontract.faults import CheckpointFault
from support.checkpoints import IDENTITY, is_state_of, save, snapshot_of, store_at
from support.faulty_disks import CountingDisk, HookedDisk


def test_an_older_attempt_writes_and_deletes_nothing_once_a_newer_one_has_begun(
    tmp_path: Path,
) -> None:
    disk = CountingDisk()
    with store_at(tmp_path, attempt=1, files=disk) as old:
        save(old, 10)
        with store_at(tmp_path, attempt=2) as new:
            before = len(disk.operations)
            with pytest.raises(CheckpointFault, match="attempt 2 has begun to write here"):
                save(old, 20)
            assert len(disk.operations) == before
            save(new, 20)
            loaded = new.load_newest()

    assert loaded is not None
    assert is_state_of(loaded, 20)
    assert loaded.manifest.attempt == 2


@pytest.mark.parametrize("operation", ["make_folder", "create", "write", "sync_file", "rename"])
def test_a_writer_that_is_overtaken_in_the_middle_of_a_save_commits_nothing(
    tmp_path: Path, operation: str
) -> None:
    overtaking: list[CheckpointStore] = []
    disk = HookedDisk(operation, lambda: overtaking.append(store_at(tmp_path, attempt=2)))
    with store_at(tmp_path, attempt=1, files=disk) as old:
        old.save(snapshot_of(10), step=10, epoch=0, tokens=0)
        with pytest.raises(CheckpointFault, match="attempt 2"):
            old.wait()
    [new] = overtaking
    with new:
        assert new.load_newest() is None
    assert [path.name for path in tmp_path.iterdir()] == ["attempt-00000002.lock"]


def test_an_older_attempt_cannot_even_begin(tmp_path: Path) -> None:
    with store_at(tmp_path, attempt=3) as store:
        save(store, 10)
    with pytest.raises(CheckpointFault, match=r"attempt 3.*this one, which is attempt 2"):
        store_at(tmp_path, attempt=2)


def test_the_manifest_alone_fences_an_older_attempt(tmp_path: Path) -> None:
    with store_at(tmp_path, attempt=3) as store:
        save(store, 10)
    (tmp_path / "attempt-00000003.lock").unlink()
    with pytest.raises(CheckpointFault, match="attempt 3"):
        store_at(tmp_path, attempt=2)


def test_attempts_of_another_run_in_a_copied_folder_do_not_count(tmp_path: Path) -> None:
    with store_at(tmp_path, attempt=3) as store:
        save(store, 10)
    (tmp_path / "attempt-00000003.lock").unlink()
    with store_at(tmp_path, attempt=1, identity=replace(IDENTITY, run_uid="run-2")) as store:
        assert store.load_newest() is not None
        [warning] = store.take_warnings()
    assert warning.reason == "CheckpointOfAnotherRun"


def test_two_processes_of_one_attempt_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        store_at(tmp_path),
        pytest.raises(CheckpointFault, match="another process that writes checkpoints here"),
    ):
        store_at(tmp_path)
    with store_at(tmp_path) as again:
        save(again, 10)
