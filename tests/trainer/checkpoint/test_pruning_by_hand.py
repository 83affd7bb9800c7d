"""`lightgpt checkpoint prune`: the retention rule on a folder that nothing trains into, after every hash was compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lightgpt.checkpoint.listing import pin
from lightgpt.checkpoint.pruning import Pruning, prune
from lightgpt.checkpoint.snapshot import Snapshot
from runcontract.exit_codes import ExitCode
from runcontract.faults import CheckpointFault
from runcontract.manifest import checkpoint_name
from runcontract.order import Checkpoints
from support.checkpoints import loss, save, store_at, tensors_of
from support.faulty_disks import CountingDisk, HookedDisk, Killed, KillingDisk
from support.lightgpt_cli import call
from support.training import order_document

ONE = Checkpoints(keep_latest=1)


def made(folder: Path, losses: dict[int, float | None]) -> Path:
    """A folder of checkpoints with these steps and losses, which its training has left."""
    with store_at(folder, keep_latest=100) as store:
        for step, value in losses.items():
            save(store, step, validation=value)
    return folder


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.name[5:]) for path in folder.glob("step-*") if path.name[5:].isdigit())


def damage(folder: Path, step: int) -> None:
    file = folder / checkpoint_name(step) / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def fates(pruning: Pruning) -> dict[int, tuple[str, ...] | str]:
    return {
        each.step: "deleted" if each.deleted else each.kept_because for each in pruning.checkpoints
    }


def test_what_the_rule_gives_up_is_deleted_and_the_rest_is_told_with_its_reasons(
    tmp_path: Path,
) -> None:
    made(tmp_path, {10: 3.0, 20: 1.0, 30: 2.0, 40: None, 50: 2.5})
    pin(tmp_path, 10)
    pruning = prune(tmp_path, ONE, pins=frozenset({40}))
    assert fates(pruning) == {
        10: ("Pinned",),
        20: ("Best",),
        30: "deleted",
        40: ("Pinned",),
        50: ("LastVerified", "Latest"),
    }
    assert steps_in(tmp_path) == [10, 20, 40, 50]
    assert pruning.freed_bytes > 0
    assert prune(tmp_path, Checkpoints(keep_latest=1, keep_best=False)).checkpoints[1].deleted


def test_a_dry_run_says_the_same_and_changes_nothing(tmp_path: Path) -> None:
    made(tmp_path, {10: 3.0, 20: 1.0, 30: 2.0})
    (tmp_path / "step-00000005.tmp-1").mkdir()
    before = sorted(path.name for path in tmp_path.rglob("*"))
    dry = prune(tmp_path, ONE, dry_run=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert dry.dry_run
    wet = prune(tmp_path, ONE)
    assert wet.checkpoints == dry.checkpoints
    assert wet.leftovers == dry.leftovers == ("step-00000005.tmp-1",)
    assert steps_in(tmp_path) == [20, 30]
    assert not (tmp_path / "step-00000005.tmp-1").exists()


def test_a_folder_that_a_training_holds_is_left_alone(tmp_path: Path) -> None:
    made(tmp_path, {10: 3.0, 20: 1.0, 30: 2.0})
    with (
        store_at(tmp_path, attempt=7, keep_latest=100),
        pytest.raises(CheckpointFault, match="another process that writes checkpoints here"),
    ):
        prune(tmp_path, ONE)
    assert steps_in(tmp_path) == [10, 20, 30]


def test_a_broken_checkpoint_counts_for_nothing_and_pushes_nothing_out(tmp_path: Path) -> None:
    made(tmp_path, {10: 0.5, 20: 3.0, 30: 2.0, 40: 1.0, 50: 0.1})
    for step in (10, 40, 50):
        damage(tmp_path, step)
    pruning = prune(tmp_path, ONE)
    # The broken ones that are newer than the last whole one may hold all that was trained since.
    assert fates(pruning) == {
        10: "deleted",
        20: "deleted",
        30: ("Best", "LastVerified", "Latest"),
        40: ("NewerThanVerified",),
        50: ("NewerThanVerified",),
    }
    assert "does not match its hash" in pruning.checkpoints[-1].problem
    assert steps_in(tmp_path) == [30, 40, 50]


def test_without_a_whole_checkpoint_nothing_is_deleted(tmp_path: Path) -> None:
    made(tmp_path, {10: 3.0, 20: 1.0})
    for step in (10, 20):
        damage(tmp_path, step)
    prune(tmp_path, ONE)
    assert steps_in(tmp_path) == [10, 20]


def test_a_folder_without_checkpoints_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    pruning = prune(tmp_path, ONE)
    assert (pruning.checkpoints, pruning.leftovers) == ((), ())
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_broken_one_that_is_pinned_stays_for_whoever_pinned_it(tmp_path: Path) -> None:
    made(tmp_path, {10: 3.0, 20: 1.0})
    damage(tmp_path, 10)
    pin(tmp_path, 10)
    prune(tmp_path, ONE)
    assert steps_in(tmp_path) == [10, 20]


def test_the_best_is_known_even_where_only_a_later_checkpoint_tells_its_loss(
    tmp_path: Path,
) -> None:
    with store_at(tmp_path, keep_latest=100) as store:
        for step in (10, 20, 30):
            history = [{"step": 10, "validation": loss(0.5).document()}] if step > 10 else []
            store.save(
                Snapshot(tensors=tensors_of(step), state={"history": history}),
                step=step,
                epoch=0.0,
                tokens=0,
                validation=None if step == 10 else loss(float(step)),
            )
            store.wait()
    assert fates(prune(tmp_path, ONE)) == {
        10: ("Best",),
        20: "deleted",
        30: ("LastVerified", "Latest"),
    }


def test_what_is_kept_and_changes_meanwhile_ends_the_deleting(tmp_path: Path) -> None:
    made(tmp_path, {step: float(100 - step) for step in (10, 20, 30, 40)})
    disk = HookedDisk("rename", lambda: damage(tmp_path, 40))
    with pytest.raises(CheckpointFault, match="changed after their hashes were compared"):
        prune(tmp_path, ONE, files=disk)
    assert steps_in(tmp_path) == [20, 30, 40]


@pytest.mark.slow
def test_a_prune_that_is_killed_anywhere_has_lost_nothing_that_is_kept(tmp_path: Path) -> None:
    counting = CountingDisk()
    prune(made(tmp_path / "count", {10: 3.0, 20: 1.0, 30: 2.0, 40: 2.0}), ONE, files=counting)
    for at in range(1, len(counting.operations) + 1):
        folder = made(tmp_path / str(at), {10: 3.0, 20: 1.0, 30: 2.0, 40: 2.0})
        with pytest.raises(Killed):
            prune(folder, ONE, files=KillingDisk(at))
        assert {20, 40} <= set(steps_in(folder))
        prune(folder, ONE)
        assert steps_in(folder) == [20, 40]
        assert list(folder.glob("*.deleted-*")) == []


def test_the_command_takes_the_settings_of_the_order_beside_the_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "checkpoints", {10: 3.0, 20: 1.0, 30: 2.0, 40: 2.0})
    settings = {"checkpoints": {"keepLatest": 2, "keepBest": False}}
    (tmp_path / "order.yaml").write_text(json.dumps(order_document() | settings), "utf-8")
    dry = call(capsys, "checkpoint", "prune", tmp_path, "--dry-run", "--json")
    assert dry.code == 0
    told = json.loads(dry.out)["checkpoints"]
    assert [each["deleted"] for each in told] == [True, True, False, False]
    said = call(capsys, "checkpoint", "prune", tmp_path, "--keep-best", "--keep-latest", 1)
    assert said.code == 0, said.err
    assert "2 of 4 checkpoints deleted" in said.out
    assert steps_in(tmp_path / "checkpoints") == [20, 40]
    wrong = call(capsys, "checkpoint", "prune", tmp_path, "--pins", "newest")
    assert wrong.code == ExitCode.CONFIGURATION_FAULT
    assert "--pins: found 'newest'" in wrong.err
    assert call(capsys, "checkpoint", "prune", tmp_path / "nowhere").code == 14
