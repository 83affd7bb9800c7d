"""A process may end, and a disk may fill, between any two file operations of a save and of the deletions after it."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lightgpt.checkpoint.filesystem import FileSystem
from runcontract.faults import StorageFault
from support.checkpoints import is_state_of, save, store_at
from support.faulty_disks import (
    CountingDisk,
    FailingDisk,
    ForgetfulDisk,
    Killed,
    KillingDisk,
    LyingDisk,
)


def begin_run(folder: Path) -> None:
    """A run of two attempts with checkpoints, something half written and something half deleted."""
    with store_at(folder, keep_latest=2) as store:
        save(store, 10, validation=1.0)
        save(store, 20, validation=2.0)
        save(store, 30, validation=3.0)
    for name in ("step-00000040.tmp-1", "step-00000005.deleted-1"):
        (folder / name).mkdir()
        (folder / name / "model.safetensors").write_bytes(b"half")


def go_on(folder: Path, files: FileSystem) -> None:
    """The attempt under test: sweeps, loads step 30, saves step 40, deletes step 20."""
    store = store_at(folder, attempt=2, keep_latest=2, files=files)
    try:
        assert store.load_newest() is not None
        save(store, 40, validation=4.0)
    finally:
        store.close()


def recover(folder: Path, *, newest: set[int]) -> int:
    """A healthy third attempt loads one of `newest`, goes on, and leaves the folder as if nothing had been."""
    with store_at(folder, attempt=3, keep_latest=2) as store:
        loaded = store.load_newest()
        assert loaded is not None
        assert loaded.manifest.step in newest
        assert is_state_of(loaded, loaded.manifest.step)
        assert [w for w in store.take_warnings() if w.reason == "CheckpointQuarantined"] == []
        if loaded.manifest.step == 30:
            save(store, 40, validation=4.0)
        save(store, 50, validation=5.0)
    assert names(folder) == {
        "step-00000010", "step-00000040", "step-00000050", "attempt-00000003.lock"
    }  # fmt: skip
    return loaded.manifest.step


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def operations_of(tmp_path: Path) -> list[str]:
    disk = CountingDisk()
    begin_run(tmp_path / "count")
    go_on(tmp_path / "count", disk)
    return disk.operations


def test_the_operations_are_those_of_a_sweep_a_save_and_a_deletion(tmp_path: Path) -> None:
    operations = operations_of(tmp_path)
    print(f"{len(operations)} file operations: {', '.join(operations)}")
    assert {
        "make_folder", "create", "write", "sync_file", "sync_folder", "rename", "remove_file", "remove_folder"
    } == set(operations)  # fmt: skip
    assert len(operations) > 30


@pytest.mark.slow
@pytest.mark.parametrize("disk", [KillingDisk, ForgetfulDisk])
def test_after_a_death_at_any_operation_the_newest_whole_checkpoint_is_loaded(
    tmp_path: Path, disk: Callable[[int], FileSystem]
) -> None:
    operations = operations_of(tmp_path)
    found = []
    for at in range(1, len(operations) + 1):
        folder = tmp_path / f"killed-{at}"
        begin_run(folder)
        with pytest.raises(Killed):
            go_on(folder, disk(at))
        found.append(recover(folder, newest={30, 40}))
    print(f"killed before each of {len(operations)} operations; recovered from {found}")
    assert found == sorted(found), "once committed, a checkpoint stays committed"
    assert set(found) == {30, 40}


def test_a_checkpoint_that_was_reported_survives_the_loss_of_power(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    begin_run(tmp_path)
    go_on(tmp_path, disk)
    disk.lose_power()
    assert recover(tmp_path, newest={40}) == 40


def test_so_does_the_very_first_after_which_nothing_is_deleted(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    with store_at(tmp_path, files=disk) as store:
        save(store, 10)
        disk.lose_power()
    with store_at(tmp_path, attempt=2) as store:
        loaded = store.load_newest()
    assert loaded is not None
    assert is_state_of(loaded, 10)


def test_what_the_disk_did_not_keep_is_found_before_it_is_reported_and_written_again(
    tmp_path: Path,
) -> None:
    with store_at(tmp_path, files=LyingDisk()) as store:
        save(store, 10)
        [warning] = store.take_warnings()
        loaded = store.load_newest()
    assert loaded is not None
    assert is_state_of(loaded, 10)
    assert "step-00000010 is broken and was renamed to step-00000010.broken-1" in warning.message


def test_a_disk_that_never_keeps_what_it_wrote_costs_no_older_checkpoint(tmp_path: Path) -> None:
    with store_at(tmp_path, keep_latest=1, keep_best=False) as store:
        save(store, 10)
    disk = LyingDisk(forever=True)
    with store_at(tmp_path, attempt=2, keep_latest=1, keep_best=False, files=disk) as store:
        with pytest.raises(StorageFault, match="what was read back differs"):
            save(store, 20)
        loaded = store.load_newest()
    assert loaded is not None
    assert is_state_of(loaded, 10)


@pytest.mark.slow
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_one_failure_at_any_operation_is_got_over_or_told_and_leaves_nothing_half_written(
    tmp_path: Path, error: int
) -> None:
    for at in range(1, len(operations_of(tmp_path)) + 1):
        folder = tmp_path / f"failed-{at}"
        begin_run(folder)
        disk = FailingDisk(at, error=error, forever=False)
        with store_at(folder, attempt=2, keep_latest=2, files=disk) as store:
            assert store.load_newest() is not None
            save(store, 40, validation=4.0)
            assert not [name for name in names(folder) if ".tmp-2" in name]
        assert recover(folder, newest={40}) == 40


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EACCES])
def test_a_disk_that_stays_broken_ends_in_one_fault_that_says_where_and_what_to_do(
    tmp_path: Path, error: int
) -> None:
    for at in range(1, 13):
        folder = tmp_path / f"broken-{at}"
        folder.mkdir()
        disk = FailingDisk(
            at,
            error=error,
            forever=True,
            spared=frozenset({"remove_file", "remove_folder"}),
        )
        with store_at(folder, files=disk) as store:
            with pytest.raises(StorageFault) as caught:
                save(store, 10)
            [fault] = caught.value.faults
            assert fault.where == str(folder / "step-00000010")
            assert fault.found == os.strerror(error)
            assert fault.action
        if disk.operations[at - 1] not in {"rename", "sync_folder"}:
            assert names(folder) == {"attempt-00000001.lock"}


def test_too_little_space_is_found_before_anything_is_written(tmp_path: Path) -> None:
    class FullDisk(CountingDisk):
        def free_bytes(self, path: Path) -> int:
            return 4096

    disk = FullDisk()
    with (
        store_at(tmp_path, files=disk) as store,
        pytest.raises(StorageFault, match=r"0\.0 MB free, 4\.2 MB needed.*Free some space"),
    ):
        save(store, 10)
    assert disk.operations == []


def test_a_folder_that_cannot_be_made_is_a_storage_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageFault, match="file"):
        store_at(tmp_path / "file" / "checkpoints")


SIGKILL_AT_EACH = """
import os, pathlib, signal, sys
sys.path.insert(0, {tests!r})
sys.path.insert(0, {here!r})
import test_every_file_operation as scenario
from support.faulty_disks import CountingDisk

class SuicidalDisk(CountingDisk):
    def strike(self, operation):
        os.kill(os.getpid(), signal.SIGKILL)

root = pathlib.Path({root!r})
count = len(scenario.operations_of(root))
for at in range(1, count + 1):
    folder = root / str(at)
    scenario.begin_run(folder)
    child = os.fork()
    if child == 0:
        scenario.go_on(folder, SuicidalDisk(at))
        os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    scenario.recover(folder, newest={{30, 40}})
print(count, "killed")
"""


@pytest.mark.slow
def test_a_real_sigkill_at_any_operation_leaves_the_same(tmp_path: Path) -> None:
    here = Path(__file__).parent
    script = SIGKILL_AT_EACH.format(
        tests=str(here.parent.parent), here=str(here), root=str(tmp_path)
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    assert int(done.stdout.split()[0]) > 30
