import pytest

from lightcompute.api import Phase, TrainingRunStatus
from support.realnode.claims import claim
from support.realnode.release import NAMESPACE, Release
from support.realnode.runs import Runs

pytestmark = [pytest.mark.e2e, pytest.mark.realnode, pytest.mark.timeout(400)]

LONG = 100_000
"""Steps that nobody waits for."""
EVERY = 50
"""Steps from one checkpoint to the next."""
SELDOM = {"everySteps": 500, "batchSize": 8}
KEPT = {
    "storage": {"persistentVolumeClaim": {"claimName": "runs"}},
    "checkpoints": {"everySteps": EVERY},
}


def begun(runs: Runs, name: str) -> TrainingRunStatus:
    """A long training with a claim, after its first checkpoint."""
    claim(runs.rig, runs.namespace)
    runs.order(name, KEPT, maxSteps=LONG, evaluation=SELDOM)
    return runs.trained(name, steps=EVERY)


def shorten(runs: Runs, name: str, *, by_steps: int = 100) -> int:
    """Has the next attempt end a little beyond what is reached; gives that step. The live one does not hear of it."""
    reached = runs.status(name).checkpoints[-1].step
    last = reached + 10 * EVERY + by_steps
    runs.edit(name, training={"maxSteps": last})
    return last


def test_the_operator_may_go_while_something_trains(runs: Runs, release: Release) -> None:
    runs.order("alone", {}, maxSteps=1000, evaluation=SELDOM)
    runs.until("alone", lambda status: status.phase is Phase.RUNNING)
    (trainer,) = runs.pods("alone")
    (operator,) = release.pods()
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{operator['metadata']['name']}"
    runs.rig.api.delete(path, gracePeriodSeconds=0)
    status = runs.succeeded("alone")
    assert status.restarts == 0
    (after,) = runs.pods("alone")
    assert after["metadata"]["uid"] == trainer["metadata"]["uid"]
    assert status.results is not None
    assert status.results.steps == 1000


def test_a_deleted_trainer_goes_on_from_its_claim(runs: Runs) -> None:
    begun(runs, "moved")
    last = shorten(runs, "moved")
    (pod,) = runs.pods("moved")
    runs.rig.api.delete(f"/api/v1/namespaces/{runs.namespace}/pods/{pod['metadata']['name']}")
    status = runs.succeeded("moved")

    first, second = status.attempts
    assert (first.reason, first.counts) == ("Preempted", False)
    # It had saved what it had done when it was asked to leave.
    assert first.last_step is not None
    assert second.first_step is not None
    assert second.first_step >= first.last_step >= EVERY
    assert status.restarts_count_towards_max == 0
    assert status.results is not None
    assert status.results.steps == last


def test_a_suspended_run_costs_nothing_and_goes_on_later(runs: Runs) -> None:
    begun(runs, "held")
    last = shorten(runs, "held")
    runs.edit("held", suspend=True)
    held = runs.until("held", lambda status: status.phase is Phase.SUSPENDED)
    assert not any(pod["status"]["phase"] == "Running" for pod in runs.pods("held"))
    spent = held.cost.spent_usd

    runs.edit("held", suspend=False)
    status = runs.succeeded("held")
    first, second = status.attempts
    assert first.exit_code == 13
    assert second.first_step is not None
    assert second.first_step >= EVERY
    assert status.cost.spent_usd > spent
    assert status.results is not None
    assert status.results.steps == last


def test_a_deleted_run_saves_leaves_and_keeps_its_checkpoints(runs: Runs) -> None:
    begun(runs, "away")
    (pod,) = runs.pods("away")
    runs.delete("away")
    runs.gone("away")
    runs.rig.api.gone(f"/api/v1/namespaces/{runs.namespace}/pods/{pod['metadata']['name']}")
    folder = runs.rig.folder / "claims" / runs.namespace / "runs"
    kept = sorted(path.parent.name for path in folder.glob("*/checkpoints/step-*/manifest.json"))
    assert kept
    assert kept[-1] > f"step-{EVERY:08d}"
