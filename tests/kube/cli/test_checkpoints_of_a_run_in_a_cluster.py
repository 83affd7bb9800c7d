"""`lightcompute checkpoint` on runs of a real API server: what the status lists, and the annotations by which people ask."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightcompute.api import Phase, labels
from lightcompute.api.status import TrainingRunStatus, Upkeep
from lightcompute.cli.main import main
from lightcompute.core.revise import revised
from lightcompute.testing.builders import NOON
from runcontract.losses import Loss
from runcontract.results import KeptCheckpoint
from runcontract.upkeep import UpkeepTask
from support.cluster_cli import ClusterCommands, parsed, resting, running
from support.testcluster.api import Document

pytestmark = pytest.mark.e2e


def kept(step: int, *why: str, loss: float | None = None) -> KeptCheckpoint:
    scored = (
        None if loss is None else Loss(nats_per_token=loss, nats_per_character=1, bits_per_byte=1)
    )
    return KeptCheckpoint(
        name=f"step-{step:08d}",
        step=step,
        size_bytes=2_500_000,
        digest=f"{step:064d}",
        verified=True,
        validation=scored,
        kept_because=why,
    )


CHECKPOINTS = (kept(100, "Best", loss=1.25), kept(200), kept(300, "Latest", "LastVerified"))


@pytest.fixture
def made(commands: ClusterCommands) -> ClusterCommands:
    """A run that trains and has three checkpoints."""
    commands.make(status=running(checkpoints=CHECKPOINTS))
    return commands


def note(commands: ClusterCommands, key: str) -> str | None:
    value = (commands.get()["metadata"].get("annotations") or {}).get(key)
    return None if value is None else str(value)


def test_the_status_lists_what_there_is_and_why(made: ClusterCommands) -> None:
    made.call("checkpoint", "pin", "baseline", 200)
    said = made.call("checkpoint", "list", "baseline", "-o", "json")
    assert said.code == 0, said
    rows = {row["step"]: row for row in parsed(said.out)}
    assert rows[100]["keptBecause"] == ["Best"]
    assert rows[100]["validation"]["natsPerToken"] == 1.25
    assert [row["pinned"] for row in rows.values()] == [False, True, False]
    assert "epoch" not in rows[100]
    told = made.call("checkpoint", "list", "baseline").out
    assert "1.2500 nats/token" in told
    assert "2.5 MB" in told
    assert "Latest, LastVerified" in told


def test_pins_are_added_and_taken_one_by_one(made: ClusterCommands) -> None:
    for verb, step, left in (
        ("pin", 200, "200"),
        ("pin", 100, "100,200"),
        ("pin", 100, "100,200"),
        ("unpin", 200, "100"),
        ("unpin", 300, "100"),
        ("unpin", 100, None),
    ):
        said = made.call("checkpoint", verb, "baseline", step)
        assert said.code == 0, said
        assert note(made, labels.PINNED_CHECKPOINTS) == left
    assert made.get()["metadata"]["generation"] == 1


def test_a_step_that_is_not_there_is_not_pinned(made: ClusterCommands) -> None:
    said = made.call("checkpoint", "pin", "baseline", 150)
    assert said.code == 10
    assert "no checkpoint at step 150; expected one of: 100, 200, 300" in said.err
    assert note(made, labels.PINNED_CHECKPOINTS) is None


def test_a_note_that_is_no_list_of_steps_is_left_to_whoever_wrote_it(made: ClusterCommands) -> None:
    broken = {"metadata": {"annotations": {labels.PINNED_CHECKPOINTS: "100,best"}}}
    made.api.patch(f"{made.runs}/baseline", broken, kind="merge")
    for verb in ("pin", "unpin"):
        said = made.call("checkpoint", verb, "baseline", 200)
        assert said.code == 10
        assert "with 'best'" in said.err
    assert note(made, labels.PINNED_CHECKPOINTS) == "100,best"


def test_pins_of_two_people_at_once_are_both_kept(made: ClusterCommands) -> None:
    options = ("-n", made.namespace, "--kubeconfig", str(made.kubeconfig))
    codes: list[object] = []

    def pin(step: int) -> None:
        try:
            main(["checkpoint", "pin", "baseline", str(step), *options])
        except SystemExit as leaving:
            codes.append(leaving.code)

    threads = [threading.Thread(target=pin, args=(step,)) for step in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0, 0]
    assert note(made, labels.PINNED_CHECKPOINTS) == "100,200,300"


def test_each_call_asks_for_another_checkpoint(made: ClusterCommands) -> None:
    asked = set()
    for _ in range(2):
        said = made.call("checkpoint", "now", "baseline")
        assert said.code == 0, said
        request = note(made, labels.CHECKPOINT_NOW)
        assert request is not None
        assert request in said.out
        asked.add(request)
    assert len(asked) == 2


def test_a_run_that_does_not_run_is_asked_for_no_checkpoint(commands: ClusterCommands) -> None:
    commands.make(status=resting(Phase.SUSPENDED))
    said = commands.call("checkpoint", "now", "baseline")
    assert said.code == 10
    assert "found Suspended: no attempt that runs" in said.err
    assert note(commands, labels.CHECKPOINT_NOW) is None
    assert (
        commands.call("checkpoint", "list", "baseline").out == "baseline has no checkpoint yet.\n"
    )


def test_what_cannot_be_copied_is_said_before_a_pod_is_made(
    made: ClusterCommands, tmp_path: Path
) -> None:
    words = ("checkpoint", "copy", "baseline", tmp_path / "copies")
    said = made.call(*words, "--step", "150")
    assert said.code == 10
    assert "no whole checkpoint at step 150; expected one of: 100, " in said.err
    said = made.call(*words)
    assert said.code == 10
    assert "whose Job of attempt 1 is gone" in said.err
    assert not (tmp_path / "copies").exists()


AT_REST = revised(resting(Phase.SUCCEEDED), checkpoints=CHECKPOINTS)


def served(**parts: Any) -> Callable[[Document], TrainingRunStatus | None]:
    """Stands for the operator: takes a request to verify up, and says what came of it."""
    seen = tuple(
        revised(each, verdict="Invalid" if each.step == 200 else "Valid") for each in CHECKPOINTS
    )

    def answer(run: Document) -> TrainingRunStatus | None:
        request = (run["metadata"].get("annotations") or {}).get(labels.VERIFY_CHECKPOINTS)
        if request is None or (run["status"].get("upkeep") or {}).get("request") == request:
            return None
        upkeep = Upkeep(
            number=1, task=UpkeepTask.VERIFY, request=request, state="Done", requested_time=NOON,
            message="3 checkpoints; 2 valid; not valid: 200",
        )  # fmt: skip
        return revised(AT_REST, checkpoints=seen, upkeep=revised(upkeep, **parts))

    return answer


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        (("--all",), 14, "step-00000200  Invalid"),
        ((), 0, "step-00000300  Valid"),
        (("--step", "200"), 14, "not valid: 200"),
        (("--step", "7"), 10, "no checkpoint at step 7"),
    ],
)
def test_a_run_at_rest_is_verified_by_a_pod_that_the_operator_is_asked_for(
    commands: ClusterCommands, options: tuple[str, ...], code: int, expected: str
) -> None:
    commands.make(status=AT_REST)
    with commands.operator(served()):
        said = commands.call("checkpoint", "verify", "baseline", *options)
    assert said.code == code, said
    assert expected in said.out + said.err


def test_a_verification_that_could_not_be_done_says_why(commands: ClusterCommands) -> None:
    commands.make(status=AT_REST)
    with commands.operator(served(state="Failed", message="its pod failed: no such Secret")):
        said = commands.call("checkpoint", "verify", "baseline")
    assert said.code == 10
    assert "no such Secret" in said.err


def test_a_run_that_trains_is_not_verified_beside_its_trainer(made: ClusterCommands) -> None:
    said = made.call("checkpoint", "verify", "baseline")
    assert said.code == 10
    assert "its trainer verifies each checkpoint as it saves it" in said.err
    assert note(made, labels.VERIFY_CHECKPOINTS) is None


def test_what_the_rule_gives_up_is_told_and_left_to_the_operator(
    commands: ClusterCommands,
) -> None:
    commands.make(status=AT_REST, checkpoints={"keepLatest": 1})
    said = commands.call("checkpoint", "prune", "baseline", "--dry-run")
    assert said.code == 0, said
    assert "step-00000200  to be deleted" in said.out
    assert "1 of 3 checkpoints are to be deleted" in said.out
    assert "by itself" in commands.call("checkpoint", "prune", "baseline").out
