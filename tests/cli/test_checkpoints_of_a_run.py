"""`lightcompute checkpoint` on runs of this machine: each command from a process of its own, as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightcompute.api import Phase
from runcontract.requests import CHECKPOINT_NOW
from support.local_runs import LocalRun, eventually
from support.training import order_document, small_text

Make = Callable[..., LocalRun]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def checkpoint(run: LocalRun, verb: str, *words: object) -> tuple[int, str]:
    return run.call(run.name, *map(str, words), verb="checkpoint", subject=verb)


def listed(run: LocalRun) -> dict[int, dict[str, Any]]:
    code, said = checkpoint(run, "list", "-o", "json")
    assert code == 0, said
    return {row["step"]: row for row in json.loads(said)}


def steps_in(run: LocalRun) -> list[int]:
    folder = run.folder.path / "checkpoints"
    return sorted(int(path.name[5:]) for path in folder.glob("step-*") if path.is_dir())


@pytest.fixture
def holding(local_run: Make) -> LocalRun:
    """A run that has saved at 5, 10 and 15, keeps one of them and holds at step 17."""
    run = local_run(
        spec={"checkpoints": {"keepLatest": 1, "keepBest": False}},
        steps=40,
        step_seconds=0.01,
        save_every=5,
        hold_at_step=17,
    )
    run.start()
    eventually(lambda: run.steps_reported() >= 17)
    return run


def test_a_checkpoint_that_is_asked_for_is_saved_and_told_by_its_step(holding: LocalRun) -> None:
    assert steps_in(holding) == [15]
    code, said = checkpoint(holding, "now")
    assert (code, said) == (0, "foreign: the checkpoint of step 17 is saved.\n")
    # The foreign trainer has no step between the two, so nothing newer is to be had.
    code, said = checkpoint(holding, "now", "--timeout", "1")
    assert code == 1
    assert "has not saved yet, and is still asked to" in said
    assert "Its newest checkpoint is of step 17." in said
    assert (holding.folder.requests / CHECKPOINT_NOW).read_text("utf-8").strip()


def test_a_pin_holds_while_the_run_goes_on_and_until_it_is_taken_away(holding: LocalRun) -> None:
    code, said = checkpoint(holding, "pin", 5)
    assert code == 10
    assert "no checkpoint at step 5; expected one of: 15" in said
    assert checkpoint(holding, "pin", 15)[0] == 0
    assert checkpoint(holding, "now")[0] == 0
    rows = listed(holding)
    assert {step: row["keptBecause"] for step, row in rows.items()} == {
        15: ["Pinned"],
        17: ["LastVerified", "Latest"],
    }
    assert rows[15]["pinned"]
    assert rows[15]["epoch"] == 1.5
    assert rows[15]["validation"]["natsPerToken"] == pytest.approx(5 / 16)
    assert rows[15]["createdTime"]
    code, said = checkpoint(holding, "list")
    assert said.splitlines()[0].split()[:2] == ["STEP", "EPOCH"]
    assert "Pinned" in said
    code, said = checkpoint(holding, "prune")
    assert code == 10
    assert "an attempt that is alive, whose trainer prunes by itself" in said
    assert holding.ask("stop")[0] == 0
    assert steps_in(holding) == [15, 17]
    assert checkpoint(holding, "now")[0] == 10
    assert "was not pinned" in checkpoint(holding, "unpin", 17)[1]
    assert "not pinned any more" in checkpoint(holding, "unpin", 15)[1]
    code, said = checkpoint(holding, "prune", "--dry-run", "--json")
    assert code == 0, said
    assert [each["deleted"] for each in json.loads(said)["checkpoints"]] == [True, False]
    assert steps_in(holding) == [15, 17]
    code, said = checkpoint(holding, "prune")
    assert code == 0, said
    assert "1 of 2 checkpoints deleted" in said
    assert steps_in(holding) == [17]
    status = holding.status()
    assert status.phase is Phase.SUSPENDED
    assert [each.step for each in status.checkpoints] == [17]
    assert holding.ask("resume")[0] == 0
    assert holding.status().attempts[-1].first_step == 17


def test_pins_in_the_folder_of_requests_hold_for_a_prune_by_hand_too(holding: LocalRun) -> None:
    (holding.folder.requests / "pins").write_text("15", "utf-8")
    code, said = holding.ask("stop")
    assert code == 0, said
    code, said = checkpoint(holding, "prune")
    assert code == 0, said
    assert steps_in(holding) == [15, 17]
    assert listed(holding)[15]["pinned"]


def test_a_trainer_without_manifests_is_pruned_by_the_names_of_its_checkpoints(
    local_run: Make,
) -> None:
    script = 'for n in 1 2 3 4; do mkdir "$LIGHTCOMPUTE_OUTPUT/ckpt-$n"; done'
    run = local_run(
        spec={
            "trainer": {"command": ["sh", "-c", script]},
            "checkpoints": {"pattern": "ckpt-*", "keepLatest": 2},
        }
    )
    run.document["spec"].pop("training")
    run.write()
    assert run.call()[0] == 0
    assert checkpoint(run, "pin", 1)[0] == 0
    code, said = checkpoint(run, "prune")
    assert code == 0, said
    assert "1 of 4 checkpoints deleted by their names" in said
    left = {path.name for path in run.folder.path.glob("ckpt-*")}
    assert left == {"ckpt-1", "ckpt-3", "ckpt-4"}


def test_a_run_that_is_over_is_asked_for_no_checkpoint(local_run: Make) -> None:
    run = local_run(steps=3, step_seconds=0.01)
    assert run.call()[0] == 0
    code, said = checkpoint(run, "now")
    assert code == 10
    assert "run foreign: found Succeeded: nothing of it is alive" in said


def test_a_run_that_ends_meanwhile_is_told_as_such(local_run: Make) -> None:
    run = local_run(spec={"trainer": {"command": ["sleep", "8"]}})
    run.document["spec"].pop("training")
    run.write()
    run.start()
    eventually(run.has_trainer)
    code, said = checkpoint(run, "now")
    assert code == 1
    assert "It ended before it saved another checkpoint." in said
    assert checkpoint(run, "list") == (0, "foreign has no checkpoint yet.\n")
    code, said = checkpoint(run, "prune")
    assert code == 0, said
    assert "0 of 0 checkpoints" in said


@pytest.mark.e2e
def test_checkpoints_of_our_trainer_are_saved_judged_pruned_and_copied(
    local_run: Make, tmp_path: Path
) -> None:
    training = order_document(maxSteps=1_000_000, evaluation={"everySteps": 1_000_000})["training"]
    settings = {"everySteps": 1_000_000, "keepLatest": 3}
    run = local_run(spec={"training": training, "trainer": {}, "checkpoints": settings})
    (tmp_path / "text.txt").write_text(small_text(), "utf-8")
    run.start()
    eventually(lambda: run.steps_reported() > 0, seconds=120)
    for number in (1, 2):
        code, said = checkpoint(run, "now")
        assert code == 0, said
        assert len(steps_in(run)) == number
    asked = steps_in(run)
    code, said = checkpoint(run, "verify", "--step", asked[0], "--json")
    assert code == 0, said
    report = json.loads(said)
    assert report["hashes"] == "Matched"
    assert report["origin"]["step"] == asked[0]
    code, said = run.ask("stop")
    assert code == 0, said
    steps = steps_in(run)
    assert len(steps) == 3
    damaged = run.folder.path / "checkpoints" / f"step-{asked[1]:08d}" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert checkpoint(run, "verify", "--all")[0] == 14
    code, said = checkpoint(run, "copy", tmp_path / "copies", "--step", asked[1])
    assert code == 14
    assert not (tmp_path / "copies").exists()
    code, said = checkpoint(run, "copy", tmp_path / "copies", "--cluster-kubeconfig", "there")
    assert code == 10
    assert "kubeconfig" in said
    code, said = checkpoint(run, "copy", tmp_path / "copies")
    assert code == 0, said
    assert [path.name for path in (tmp_path / "copies").iterdir()] == [f"step-{steps[-1]:08d}"]
    code, said = checkpoint(run, "prune")
    assert code == 0, said
    assert steps_in(run) == [asked[0], steps[-1]]
