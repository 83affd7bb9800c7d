"""What is saved comes back, bit for bit, and nothing else does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lightgpt.checkpoint.snapshot import Snapshot
from runcontract.faults import CheckpointFault
from runcontract.manifest import MANIFEST
from support.checkpoints import IDENTITY, is_state_of, loss, save, snapshot_of, store_at, tensors_of


def test_the_newest_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        save(store, 10)
        save(store, 20)

        loaded = store.load_newest()

    assert loaded is not None
    assert is_state_of(loaded, 20)


def test_a_run_that_never_saved_has_nothing_to_load(tmp_path: Path) -> None:
    with store_at(tmp_path / "not" / "yet") as store:
        assert store.load_newest() is None


def test_the_safetensors_library_reads_the_same_tensors(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        save(store, 7)

    for stem, named in tensors_of(7).items():
        found = load_file(tmp_path / "step-00000007" / f"{stem}.safetensors")
        assert found.keys() == named.keys()
        for name, tensor in named.items():
            assert found[name].dtype == tensor.dtype
            assert torch.equal(found[name], tensor)


def test_a_save_holds_the_state_of_its_call_and_not_what_training_makes_of_it_later(
    tmp_path: Path,
) -> None:
    tensors = tensors_of(1)
    state = {"step": 1, "history": [0.1, 1 / 3]}
    with store_at(tmp_path) as store:
        store.save(Snapshot(tensors=tensors, state=state), step=1, epoch=0, tokens=0)
        tensors["model"]["weight"].zero_()
        state["history"] = []

        store.wait()
        loaded = store.load_newest()

    assert loaded is not None
    assert is_state_of(loaded, 1)


def test_a_loaded_tensor_is_not_tied_to_the_file_it_came_from(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        save(store, 1)
        loaded = store.load_newest()
        assert loaded is not None
        file = tmp_path / "step-00000001" / "model.safetensors"
        file.write_bytes(b"\0" * file.stat().st_size)

    assert is_state_of(loaded, 1)


def test_tensors_that_are_not_contiguous_are_saved_by_their_values(tmp_path: Path) -> None:
    turned = torch.arange(6.0).reshape(2, 3).T
    with store_at(tmp_path) as store:
        store.save(Snapshot(tensors={"model": {"turned": turned}}), step=1, epoch=0, tokens=0)
        store.wait()
        loaded = store.load_newest()

    assert loaded is not None
    assert torch.equal(loaded.tensors["model"]["turned"], turned)


def test_the_manifest_says_what_the_checkpoint_is(tmp_path: Path) -> None:
    with store_at(tmp_path, attempt=2) as store:
        store.save(
            snapshot_of(5),
            step=5,
            epoch=0.5,
            tokens=40,
            validation=loss(3),
            best_validation=loss(2),
        )
        [saved] = store.wait()

    manifest = saved.manifest
    assert (manifest.step, manifest.epoch, manifest.tokens, manifest.attempt) == (5, 0.5, 40, 2)
    assert (manifest.validation, manifest.best_validation) == (loss(3), loss(2))
    assert {file.name for file in manifest.files} == {
        "model.safetensors", "optimizer.safetensors", "state.json"
    }  # fmt: skip
    assert saved.kept == (saved.name,) == ("step-00000005",)


def test_a_resumed_attempt_names_the_checkpoint_it_came_from(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        save(store, 5)
    with store_at(tmp_path, attempt=2) as store:
        store.load_newest()
        assert save(store, 6).manifest.parent_step == 5


def test_a_second_save_waits_for_the_first_and_both_are_whole(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        for step in (1, 2):
            store.save(snapshot_of(step), step=step, epoch=0, tokens=0)
        assert [saved.manifest.step for saved in store.wait()] == [1, 2]
        loaded = store.load_newest()

    assert loaded is not None
    assert is_state_of(loaded, 2)


def test_the_same_memory_serves_every_snapshot(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        store.prepare(tensors_of(0))
        before = store._buffers._files["model"].bytes
        save(store, 1)
        save(store, 2)
        assert store._buffers._files["model"].bytes is before


def test_a_whole_checkpoint_of_the_same_step_is_kept_as_it_is(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        first = save(store, 3, validation=2.0)
        inode = (tmp_path / first.name / MANIFEST).stat().st_ino
        again = save(store, 3)

    assert again.digest == first.digest
    assert (tmp_path / first.name / MANIFEST).stat().st_ino == inode


def test_a_state_with_infinity_is_refused_at_once(tmp_path: Path) -> None:
    with store_at(tmp_path) as store, pytest.raises(ValueError, match="JSON"):
        store.save(Snapshot(tensors={}, state={"best": float("inf")}), step=1, epoch=0, tokens=0)


def test_a_changed_setting_is_named_with_both_values(tmp_path: Path) -> None:
    with store_at(tmp_path) as store:
        save(store, 5)
    changed = {"seed": 7, "model": {"layers": 1}, "maxSteps": 900}
    other = replace(IDENTITY, configuration_hash="d" * 64, training=changed)
    with (
        store_at(tmp_path, attempt=2, identity=other) as store,
        pytest.raises(CheckpointFault) as caught,
    ):
        store.load_newest()

    [fault] = caught.value.faults
    assert fault.where.endswith("step-00000005: training.seed")
    assert "1337" in fault.found
    assert "7" in fault.expected
    assert (tmp_path / "step-00000005").is_dir()


@pytest.mark.parametrize("part", ["tokenizer", "data"])
def test_another_tokenizer_or_text_is_refused_by_name(tmp_path: Path, part: str) -> None:
    with store_at(tmp_path) as store:
        save(store, 5)
    hashes: dict[str, Any] = {f"{part}_sha256": "e" * 64}
    with (
        store_at(tmp_path, attempt=2, identity=replace(IDENTITY, **hashes)) as store,
        pytest.raises(CheckpointFault, match=f"another {part} in the checkpoint"),
    ):
        store.load_newest()
