"""A checkpoint that was damaged is never loaded, whatever was done to it; the one before it is."""

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from runcontract.faults import CheckpointFault, StorageFault
from support import corruption
from support.checkpoints import is_state_of, save, store_at

CORRUPTIONS = 200


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints 10, 20 and 30."""
    folder = tmp_path_factory.mktemp("run")
    with store_at(folder) as store:
        for step in (10, 20, 30):
            save(store, step, validation=step)
    return folder


@pytest.mark.slow
def test_two_hundred_random_corruptions_are_all_found_and_the_one_before_is_loaded(
    run: Path, tmp_path: Path
) -> None:
    done: Counter[str] = Counter()
    for seed in range(CORRUPTIONS):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        shutil.copytree(run, folder)
        corrupt = rng.choice(corruption.ALL)
        corrupt(folder / "step-00000030", rng)
        second = rng.random() < 0.25
        if second:
            rng.choice(corruption.ALONE)(folder / "step-00000020", rng)

        with store_at(folder) as store:
            loaded = store.load_newest()
            warnings = store.take_warnings()

        assert loaded is not None, f"seed {seed}"
        assert is_state_of(loaded, 10 if second else 20), f"seed {seed}, {corrupt.__name__}"
        assert len(warnings) == (2 if second else 1), f"seed {seed}"
        assert "step-00000030.broken-1" in warnings[0].message
        assert (folder / "step-00000030.broken-1").is_dir(), "set aside, not deleted"
        done[corrupt.__name__] += 1
        shutil.rmtree(folder)
    print(f"{done.total()} corruptions found: {dict(done)}")


def test_two_checkpoints_that_swapped_names_are_both_refused(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "step-00000030").rename(folder / "moved")
    (folder / "step-00000020").rename(folder / "step-00000030")
    (folder / "moved").rename(folder / "step-00000020")

    with store_at(folder) as store:
        loaded = store.load_newest()

    assert loaded is not None
    assert is_state_of(loaded, 10)


def test_when_all_are_broken_the_run_does_not_begin_again_behind_its_owners_back(
    run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    for path in folder.glob("step-*"):
        (path / "model.safetensors").write_bytes(b"")

    for _ in range(2):  # the second attempt finds only what the first set aside
        with (
            store_at(folder) as store,
            pytest.raises(CheckpointFault, match=r"only broken checkpoints.*Restore one") as caught,
        ):
            store.load_newest()
        assert caught.value.exit_code == 14


def test_a_step_that_was_set_aside_twice_keeps_both(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    for number in (1, 2):
        (folder / "step-00000030" / "state.json").unlink()
        with store_at(folder) as store:
            store.load_newest()
            save(store, 30)
        assert (folder / f"step-00000030.broken-{number}").is_dir()


def test_a_broken_checkpoint_in_the_way_of_a_save_is_set_aside(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    with store_at(folder) as store:
        (folder / "step-00000030" / "state.json").write_text("{}")
        save(store, 30)
        loaded = store.load_newest()

    assert loaded is not None
    assert is_state_of(loaded, 30)
    assert (folder / "step-00000030.broken-1").is_dir()


def test_a_checkpoint_that_may_not_be_read_is_no_reason_to_set_it_aside(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with store_at(folder) as store:
        monkeypatch.setattr("lightgpt.checkpoint.store.load_checkpoint", refuse)
        with pytest.raises(StorageFault, match="Permission denied"):
            store.load_newest()
    assert (folder / "step-00000030").is_dir()


def test_a_best_one_that_broke_meanwhile_does_not_push_the_second_best_out(
    run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "step-00000010" / "model.safetensors").write_bytes(b"")
    with store_at(folder, keep_latest=1) as store:
        assert store.load_newest() is not None
        kept = save(store, 40, validation=40).kept
    assert kept == ("step-00000020", "step-00000040")
    assert (folder / "step-00000010.broken-1").is_dir()


def test_one_that_breaks_after_it_was_saved_is_noticed_before_anything_is_deleted(
    tmp_path: Path,
) -> None:
    with store_at(tmp_path, keep_latest=1) as store:
        save(store, 10, validation=2.0)
        save(store, 20, validation=3.0)
        (tmp_path / "step-00000010" / "state.json").write_text("{}")
        kept = save(store, 30, validation=4.0).kept
    assert kept == ("step-00000020", "step-00000030")
