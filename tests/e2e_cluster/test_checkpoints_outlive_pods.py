"""Checkpoints of real pods: in a bucket of a real S3 server, on a claim, verified and deleted by upkeep pods."""

import base64
import hashlib
import json
import zlib
from functools import partial
from pathlib import Path

import pytest

from lightcompute.api import Phase, TrainingRunStatus, labels
from lightcompute.api.status import Upkeep
from lightgpt.checkpoint.report import Verdict
from lightgpt.checkpoint.verify import verify_checkpoint
from runcontract.manifest import STATE_FILE
from support.local_runs import FOREIGN
from support.realnode.bucket import (
    all_valid,
    committed,
    has_saved,
    hashes,
    server,
    with_key,
)
from support.realnode.claims import claim
from support.realnode.commands import lightcompute
from support.realnode.release import NAMESPACE, Release
from support.realnode.runs import Runs
from support.s3_server import S3Server

__all__ = ["server"]

pytestmark = [pytest.mark.e2e, pytest.mark.realnode, pytest.mark.timeout(400)]

LONG = 100_000
EVERY = 50
SELDOM = {"everySteps": 500, "batchSize": 8}
ON_A_CLAIM = {"storage": {"persistentVolumeClaim": {"claimName": "runs"}}}


def is_copied(runs: Runs, name: str, folder: Path, status: TrainingRunStatus) -> None:
    """Has a person bring the newest checkpoint to this machine, and looks at it here."""
    said = lightcompute(
        runs.rig, "checkpoint", "copy", name, str(folder / "copies"), "-n", runs.namespace
    )
    newest = folder / "copies" / status.checkpoints[-1].name
    assert f"{newest}: " in said
    assert verify_checkpoint(newest).verdict is Verdict.VALID
    pods = runs.rig.api.get(
        f"/api/v1/namespaces/{runs.namespace}/pods",
        labelSelector="app.kubernetes.io/component=checkpoint",
    )["items"]
    # It goes with the command that asked for it.
    assert all(pod["metadata"].get("deletionTimestamp") for pod in pods)


def test_a_deleted_trainer_goes_on_from_the_bucket_and_all_of_it_goes_with_the_run(
    runs: Runs, server: S3Server, tmp_path: Path
) -> None:
    spec = with_key(runs, server) | {"checkpoints": {"everySteps": EVERY, "whenDeleted": "Delete"}}
    runs.order("moved", spec, maxSteps=LONG, evaluation=SELDOM)
    reached = runs.trained("moved", steps=EVERY).checkpoints[-1].step
    last = reached + 11 * EVERY
    runs.edit("moved", training={"maxSteps": last})
    (pod,) = runs.pods("moved")
    runs.rig.api.delete(f"/api/v1/namespaces/{runs.namespace}/pods/{pod['metadata']['name']}")
    status = runs.succeeded("moved")
    first, second = status.attempts
    assert first.reason == "Preempted"
    # The disk of the first pod went with it: what the second went on from was in the bucket.
    assert first.last_step is not None
    assert second.first_step is not None
    assert second.first_step >= first.last_step >= EVERY
    assert [each.name for each in status.checkpoints] == committed(server, runs)
    assert all_valid(status)
    is_copied(runs, "moved", tmp_path, status)
    runs.delete("moved")
    runs.gone("moved")
    assert committed(server, runs) == []
    left = [path for path in server.file(runs.namespace).rglob("*") if path.is_file()]
    assert left == []


def test_a_run_that_is_disturbed_again_and_again_ends_with_the_very_weights_of_one_that_is_not(
    runs: Runs, release: Release, server: S3Server
) -> None:
    spec = with_key(runs, server) | {"checkpoints": {"everySteps": EVERY}}
    # So many that none of the first three attempts comes to the end while an operator is away.
    steps = 160 * EVERY
    runs.order("undisturbed", spec, maxSteps=steps, evaluation=SELDOM)
    undisturbed = runs.succeeded("undisturbed")
    runs.order("disturbed", spec, maxSteps=steps, evaluation=SELDOM)
    for number in (1, 2, 3):
        runs.until("disturbed", partial(has_saved, number=number))
        pod = runs.pods("disturbed")[-1]
        if number == 2:
            (operator,) = release.pods()
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{operator['metadata']['name']}"
            runs.rig.api.delete(path, gracePeriodSeconds=0)
        runs.rig.api.delete(f"/api/v1/namespaces/{runs.namespace}/pods/{pod['metadata']['name']}")
    disturbed = runs.succeeded("disturbed")
    assert len(disturbed.attempts) == 4
    assert not any(each.counts for each in disturbed.attempts)
    # Each was asked to leave and saved: nothing was done twice.
    assert not any(each.lost_steps for each in disturbed.attempts)
    assert hashes(server, runs, "disturbed", steps) == hashes(server, runs, "undisturbed", steps)
    assert disturbed.results is not None
    assert undisturbed.results is not None
    assert disturbed.results.best_validation == undisturbed.results.best_validation
    # Three and the best, all of them whole.
    assert 3 <= len(disturbed.checkpoints) <= 4
    assert all_valid(disturbed)


def test_a_trainer_that_knows_nothing_of_buckets_goes_on_from_one(
    runs: Runs, server: S3Server
) -> None:
    steps = 60
    knobs = {"FOREIGN_STEPS": steps, "FOREIGN_STEP_SECONDS": 0.5, "FOREIGN_SAVE_EVERY": 5}
    trainer = {
        # In the image of our own trainer, which has what carries its checkpoints.
        "command": ["python", "-c", UNPACKED, *packed(FOREIGN.read_bytes())],
        "env": [{"name": name, "value": str(value)} for name, value in knobs.items()],
    }
    runs.order("foreign", with_key(runs, server) | {"trainer": trainer})
    runs.until("foreign", partial(has_saved, number=1))
    (pod,) = runs.pods("foreign")
    runs.rig.api.delete(f"/api/v1/namespaces/{runs.namespace}/pods/{pod['metadata']['name']}")
    status = runs.succeeded("foreign")
    first, second = status.attempts
    assert (first.reason, second.reason) == ("Preempted", "Completed")
    assert second.first_step == first.last_step
    assert [each.name for each in status.checkpoints] == committed(server, runs)
    assert all_valid(status)
    [state] = server.file(runs.namespace).glob(
        f"foreign-*/checkpoints/step-{steps:08d}/attempt-2/{STATE_FILE}"
    )
    assert json.loads(state.read_bytes())["weights"] == foreign_weights(steps)


UNPACKED = (
    "import base64, sys, zlib; exec(zlib.decompress(base64.b64decode(''.join(sys.argv[1:]))))"
)


def packed(program: bytes) -> list[str]:
    """A program as words for `UNPACKED`: a word of a command has 4096 bytes at most."""
    text = base64.b64encode(zlib.compress(program, 9)).decode()
    return [text[begin : begin + 4000] for begin in range(0, len(text), 4000)]


def foreign_weights(steps: int) -> str:
    """What that trainer has trained after `steps` steps, each of which needs the one before."""
    weights = ""
    for step in range(1, steps + 1):
        weights = hashlib.sha256(f"{weights}/{step}".encode()).hexdigest()
    return weights


def test_a_wrong_key_is_told_by_the_run(runs: Runs, server: S3Server) -> None:
    spec = with_key(runs, server, key="wrong") | {"failurePolicy": {"maxRestarts": 0}}
    runs.order("refused", spec)
    status = runs.until(
        "refused", lambda status: status.phase is Phase.FAILED, although=frozenset({Phase.FAILED})
    )
    assert "SignatureDoesNotMatch" in status.message
    assert status.attempts[-1].exit_code == 16


def test_checkpoints_on_a_claim_are_verified_and_go_with_their_run(
    runs: Runs, tmp_path: Path
) -> None:
    folder = claim(runs.rig, runs.namespace)
    runs.order(
        "kept",
        ON_A_CLAIM | {"checkpoints": {"everySteps": 5, "keepLatest": 4, "whenDeleted": "Delete"}},
    )
    succeeded = runs.succeeded("kept")
    assert [each.step for each in succeeded.checkpoints] == [5, 10, 15, 20]
    assert all_valid(succeeded)
    is_copied(runs, "kept", tmp_path, succeeded)

    patch = {"metadata": {"annotations": {labels.VERIFY_CHECKPOINTS: "now"}}}
    runs.rig.api.patch(runs.path("kept"), patch)
    over = frozenset({Phase.SUCCEEDED})
    status = runs.until(
        "kept",
        lambda status: status.upkeep is not None and was_served(status.upkeep, "now"),
        although=over,
    )
    assert status.upkeep is not None
    assert (status.upkeep.state, status.upkeep.message) == ("Done", "4 checkpoints; 4 valid")
    assert {each.verdict for each in status.checkpoints} <= {"Valid", "ValidWithWarnings"}

    # The rule is changed when nothing trains any more: it holds all the same.
    runs.edit("kept", checkpoints={"keepLatest": 1, "keepBest": False})
    runs.until("kept", lambda status: len(status.checkpoints) == 1, although=over)
    assert names(folder) == ["step-00000020"]

    runs.delete("kept")
    runs.gone("kept")
    assert list(folder.iterdir()) == []


def was_served(upkeep: Upkeep, request: str) -> bool:
    return upkeep.request == request and upkeep.state != "Requested"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*/checkpoints/step-*"))
