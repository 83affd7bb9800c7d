"""What one machine published another takes up: the newest that is whole, the documents beside it, and nothing that is broken."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lightgpt.checkpoint.verify import verify_checkpoint
from lightgpt.serving import checkpoint_at_hand
from lightgpt.vault.objects import Objects
from runcontract.environment import S3_CREDENTIALS
from runcontract.faults import CheckpointFault, StorageFault
from support.checkpoints import IDENTITY, is_state_of, save, store_at
from support.corruption import emptied, flipped, longer, missing, truncated, zeroed
from support.s3_server import Place


def test_another_machine_goes_on_from_the_newest_checkpoint(place: Place) -> None:
    with store_at(place.machine(), objects=place.objects()) as store:
        assert store.load_newest() is None
        save(store, 10, validation=2.0)
        saved = save(store, 20, validation=3.0)
    assert saved.kept == ("step-00000010", "step-00000020")
    folder = place.machine()
    with store_at(folder, attempt=2, objects=place.objects()) as store:
        loaded = store.load_newest()
        assert loaded is not None
        assert is_state_of(loaded, 20)
        assert loaded.digest == saved.digest
        assert [each.step for each in store.inventory()] == [10, 20]
        assert all(each.verified for each in store.inventory())
        assert store.take_warnings() == []
        # Only what it goes on from was brought; the best comes when it is asked for.
        assert not (folder / "step-00000010").exists()
        assert (store.folder_of(10) / "manifest.json").exists()


def test_the_bucket_keeps_what_the_rule_keeps(place: Place) -> None:
    with store_at(place.machine(), keep_latest=2, objects=place.objects()) as store:
        for step, validation in ((10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0)):
            save(store, step, validation=validation)
        kept = save(store, 50, validation=5.0).kept
        assert kept == ("step-00000010", "step-00000040", "step-00000050")
        because = {each.step: each.kept_because for each in store.inventory()}
    assert because == {10: ("Best",), 40: ("Latest",), 50: ("LastVerified", "Latest")}
    assert place.committed() == [10, 40, 50]
    assert not [name for name in place.names() if "step-00000020" in name]


def test_what_an_earlier_machine_pinned_or_scored_best_stays(place: Place) -> None:
    with store_at(place.machine(), keep_latest=1, objects=place.objects()) as store:
        save(store, 10, validation=1.0)
        save(store, 20, validation=2.0)
        place.objects().put("checkpoints/step-00000020.pinned", b"")
    with store_at(place.machine(), attempt=2, keep_latest=1, objects=place.objects()) as store:
        assert store.load_newest() is not None
        save(store, 30, validation=3.0)
        save(store, 40, validation=4.0)
    assert place.committed() == [10, 20, 40]


@pytest.mark.parametrize("damage", [truncated, flipped, zeroed, longer, missing, emptied])
@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_file_is_never_loaded_and_the_checkpoint_before_it_is(
    place: Place, damage: Callable[[Path, random.Random], None], seed: int
) -> None:
    with store_at(place.machine(), objects=place.objects()) as store:
        save(store, 10, validation=2.0)
        save(store, 20, validation=1.0)
    damage(place.file("checkpoints/step-00000020/attempt-1"), random.Random(seed))
    with store_at(place.machine(), attempt=2, objects=place.objects()) as store:
        loaded = store.load_newest()
        assert loaded is not None
        assert is_state_of(loaded, 10)
        [warning] = store.take_warnings()
        assert warning.reason == "CheckpointQuarantined"
        assert "step-00000020" in warning.message
        # Set aside, not deleted: a person may want to look at it.
        assert "checkpoints/step-00000020/manifest.json.broken-1" in place.names()
        save(store, 20, validation=1.0)
        assert [each.step for each in store.inventory()] == [10, 20]
    with store_at(place.machine(), attempt=3, objects=place.objects()) as store:
        loaded = store.load_newest()
        assert loaded is not None
        assert is_state_of(loaded, 20)


@pytest.mark.parametrize("damage", [truncated, flipped, zeroed, longer, emptied])
def test_a_damaged_manifest_is_set_aside(
    place: Place, damage: Callable[[Path, random.Random], None]
) -> None:
    with store_at(place.machine(), objects=place.objects()) as store:
        save(store, 10)
        save(store, 20)
    folder = place.file("checkpoints/step-00000020")
    place.objects().remove(("checkpoints/step-00000020/verified.json",))
    for path in (folder / "attempt-1").iterdir():
        path.rename(folder.parent / f"kept-{path.name}")
    (folder / "attempt-1").rmdir()
    damage(folder, random.Random(7))
    with store_at(place.machine(), attempt=2, objects=place.objects()) as store:
        loaded = store.load_newest()
        assert loaded is not None
        assert is_state_of(loaded, 10)
        assert [each.step for each in store.inventory()] == [10]


def test_only_broken_checkpoints_are_no_reason_to_begin_anew(place: Place) -> None:
    with store_at(place.machine(), objects=place.objects()) as store:
        save(store, 10)
    place.file("checkpoints/step-00000010/attempt-1/state.json").write_bytes(b"{}")
    with (
        store_at(place.machine(), attempt=2, objects=place.objects()) as store,
        pytest.raises(CheckpointFault, match="only broken checkpoints: step-00000010"),
    ):
        store.load_newest()


def test_files_swapped_between_two_checkpoints_are_noticed(place: Place) -> None:
    with store_at(place.machine(), objects=place.objects()) as store:
        save(store, 10)
        save(store, 20)
    name = "checkpoints/step-000000{}/attempt-1/model.safetensors"
    first, second = place.file(name.format(10)), place.file(name.format(20))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with (
        store_at(place.machine(), attempt=2, objects=place.objects()) as store,
        pytest.raises(CheckpointFault, match="only broken"),
    ):
        store.load_newest()


def test_a_checkpoint_of_another_configuration_is_refused_before_it_is_fetched(
    place: Place,
) -> None:
    with store_at(place.machine(), objects=place.objects()) as store:
        save(store, 10)
    other = replace(
        IDENTITY, configuration_hash="d" * 64, training={"seed": 7, "model": {"layers": 1}}
    )
    folder = place.machine()
    with (
        store_at(folder, attempt=2, objects=place.objects(), identity=other) as store,
        pytest.raises(CheckpointFault, match=r"training\.seed.*1337 in the checkpoint"),
    ):
        store.load_newest()
    assert not (folder / "step-00000010").exists()
    assert place.committed() == [10]


def test_the_documents_of_a_run_go_with_its_checkpoints(place: Place) -> None:
    first = place.machine()
    with store_at(first, objects=place.objects()) as store:
        (first.parent / "metrics.csv").write_text("step\n10\n", "utf-8")
        (first.parent / "tensorboard").mkdir()
        (first.parent / "tensorboard" / "events.1").write_bytes(b"curve")
        (first.parent / ".partial.tmp").write_bytes(b"half")
        save(store, 10)
        (first.parent / "results.json").write_text("{}", "utf-8")
        store.send_documents()
    second = place.machine()
    with store_at(second, attempt=2, objects=place.objects()):
        assert (second.parent / "metrics.csv").read_text("utf-8") == "step\n10\n"
        assert (second.parent / "tensorboard" / "events.1").read_bytes() == b"curve"
        assert (second.parent / "results.json").exists()
        assert not (second.parent / ".partial.tmp").exists()


def test_whoever_looks_at_a_run_is_brought_its_documents_and_no_checkpoint(place: Place) -> None:
    writing = place.machine()
    curves = writing.parent / "tensorboard" / "events"
    curves.parent.mkdir(parents=True)
    curves.write_text("curves", "utf-8")
    with store_at(writing, objects=place.objects()) as store:
        save(store, 10)
    looking = place.machine().parent
    command = (sys.executable, "-m", "lightgpt", "documents", str(looking))
    for key, code, told in (
        (None, 0, "The documents below"),
        ("wrong", 16, "SignatureDoesNotMatch"),
    ):
        if key is not None:
            place.server.key_files(place.credentials, key=key)
        done = subprocess.run(
            [*command, "--s3", json.dumps(place.bucket.document())],
            env={S3_CREDENTIALS: str(place.credentials)}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert told in done.stdout + done.stderr
    assert (looking / "tensorboard" / "events").read_text("utf-8") == "curves"
    assert not (looking / "checkpoints").exists() or not list((looking / "checkpoints").iterdir())


def test_one_checkpoint_is_brought_to_whoever_hands_it_out(place: Place) -> None:
    with store_at(place.machine(), objects=place.objects()) as store:
        save(store, 10)
        save(store, 20)
    run = place.machine().parent
    found = checkpoint_at_hand(run, 10, place.objects())
    assert found == run / "checkpoints" / "step-00000010"
    assert verify_checkpoint(found).hashes == "Matched"
    assert not (run / "checkpoints" / "step-00000020").exists()
    assert checkpoint_at_hand(run, 10, place.objects()) == found
    with pytest.raises(CheckpointFault, match="no checkpoint"):
        checkpoint_at_hand(run, 30, place.objects())
    flipped(place.file("checkpoints/step-00000020/attempt-1"), random.Random(1))
    with pytest.raises(CheckpointFault, match="step-00000020"):
        checkpoint_at_hand(run, 20, place.objects())
    assert place.committed() == [10, 20]


def test_a_name_that_leads_out_of_the_folder_is_not_written(place: Place) -> None:
    place.objects().put("good.txt", b"good")
    place.objects().put("..hidden", b"not ours")
    folder = place.machine()
    with store_at(folder, objects=place.objects()):
        assert {each.name for each in folder.parent.iterdir()} == {"checkpoints", "good.txt"}


def test_a_large_file_goes_in_parts_and_comes_back_whole(place: Place, tmp_path: Path) -> None:
    content = bytes(range(256)) * (20 << 12) + b"and a rest"
    path = tmp_path / "large"
    path.write_bytes(content)
    objects = place.objects()
    objects.put_file("large", path)
    pieces = list(objects.pieces("large", len(content)))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) == 8 << 20
    assert list(objects.pieces("large", 0)) == []


def test_a_refused_key_is_told_and_a_new_one_is_taken_up_by_itself(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightgpt.vault.objects._CREDENTIALS_SECONDS", 0)
    with store_at(place.machine(), objects=place.objects()) as store:
        save(store, 10)
        place.server.key_files(place.credentials, key="of-yesterday")
        with pytest.raises(StorageFault, match="SignatureDoesNotMatch") as fault:
            save(store, 20)
        assert "reads it again within a minute" in str(fault.value)
        assert "of-yesterday" not in str(fault.value)
        place.server.key_files(place.credentials)
        # What could not be published then is not needed any more; the newest is there.
        save(store, 30)
    assert place.committed() == [10, 30]


def test_a_bucket_that_is_not_there_is_told_before_the_first_step(place: Place) -> None:
    nowhere = Objects(place.server.bucket("x", bucket="missing"), credentials=place.credentials)
    with pytest.raises(StorageFault, match=r"NoSuchBucket.*Create the bucket"):
        store_at(place.machine(), objects=nowhere)
