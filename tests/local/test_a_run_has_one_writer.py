"""The documents of a run: whole or not there, each change counted, and no write over what somebody else wrote meanwhile."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from lightcompute.api import Phase, TrainingRun, TrainingRunStatus, parse_training_run
from lightcompute.local.files import try_lock, write_whole
from lightcompute.local.folder import RunFolder, Runs, acting, controlling
from lightcompute.local.store import RunStore, StatusChanged, with_spec
from runcontract.faults import ConfigurationFault


def wanted(**spec: object) -> TrainingRun:
    training = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 10}
    return parse_training_run(
        {"metadata": {"name": "given"}, "spec": {"training": training, **spec}}
    )


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore(RunFolder(tmp_path / "runs" / "one"))
    store.create(wanted())
    return store


def test_a_made_run_has_a_name_an_id_and_an_order(store: RunStore) -> None:
    run = store.read()
    assert run.metadata.name == "one"
    assert run.metadata.uid
    assert run.metadata.generation == 1
    assert run.metadata.uid in store.folder.order_file.read_text("utf-8")


def test_what_is_read_is_what_was_given(store: RunStore) -> None:
    given = wanted(budget={"limitUSD": "2.50"}, failurePolicy={"maxRestarts": 0})
    other = RunStore(RunFolder(store.folder.path.parent / "two"))
    assert other.create(given).spec == given.spec


def test_a_changed_spec_is_the_next_generation_and_an_unchanged_one_is_not(store: RunStore) -> None:
    assert store.change(lambda run: run).metadata.generation == 1
    changed = store.change(lambda run: with_spec(run, suspend=True))
    assert changed.spec.suspend
    assert changed.metadata.generation == 2
    assert store.change(lambda run: run, again=True).metadata.generation == 3


def test_a_status_is_not_written_over_one_that_was_not_seen(store: RunStore) -> None:
    seen = store.read().metadata.resource_version or ""
    store.write_status(TrainingRunStatus(phase=Phase.RUNNING), version=seen)
    with pytest.raises(StatusChanged):
        store.write_status(TrainingRunStatus(phase=Phase.FAILED), version=seen)
    assert store.read().status.phase is Phase.RUNNING


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_whole(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, "new")
    assert file.read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_only_one_acts_and_the_other_is_told_who(store: RunStore) -> None:
    with (
        controlling(store.folder),
        pytest.raises(ConfigurationFault, match=f"process {os.getpid()}"),
        controlling(store.folder),
    ):
        pytest.fail("two act at once")
    assert not store.folder.has_controller()


def test_who_only_asks_whether_somebody_acts_keeps_nobody_from_acting(store: RunStore) -> None:
    with controlling(store.folder):
        pass
    asking = os.open(store.folder.controller_lock, os.O_RDWR)
    fcntl.flock(asking, fcntl.LOCK_SH)
    threading.Timer(0.03, os.close, (asking,)).start()
    with controlling(store.folder):
        assert store.folder.has_controller()


def test_a_folder_that_came_to_nothing_is_removed_and_a_run_is_not(
    tmp_path: Path, store: RunStore
) -> None:
    nothing = RunFolder(tmp_path / "runs" / "nothing")
    with acting(nothing):
        assert nothing.path.exists()
    assert not nothing.path.exists()
    with acting(store.folder):
        assert store.folder.exists()
    assert store.folder.exists()


def test_a_lock_on_a_file_that_was_deleted_is_none(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    (tmp_path / "lock").unlink()
    second = try_lock(tmp_path / "lock")
    assert first is not None
    assert second is not None
    assert try_lock(tmp_path / "lock") is None
    os.close(first)
    os.close(second)


@pytest.mark.parametrize("name", ["../x", "", "a/b", "A", "-a", ".", "a" * 64, "_kept", "a\n"])
def test_no_name_leads_out_of_the_folder_of_runs(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationFault):
        Runs(tmp_path).folder(name)
