"""What is asked of a run while it trains, and what its namespace may spend: told to real pods, and told by the objects themselves."""

import pytest

from lightcompute.api.training_budget import TrainingBudgetStatus
from support.realnode.commands import lightcompute
from support.realnode.runs import Runs

pytestmark = [pytest.mark.e2e, pytest.mark.realnode, pytest.mark.timeout(300)]

NEVER = 1_000_000
BUDGET = "/apis/lightcompute.dev/v1alpha1/namespaces/{}/trainingbudgets"


def test_a_live_trainer_saves_when_it_is_asked_to(runs: Runs) -> None:
    spec = {"checkpoints": {"everySteps": NEVER}}
    runs.order("asked", spec, maxSteps=NEVER, evaluation={"everySteps": NEVER})
    # The request counts from when the trainer has begun.
    runs.until("asked", lambda status: status.trainer_status is not None)
    said = lightcompute(runs.rig, "checkpoint", "now", "asked", "-n", runs.namespace)
    assert "asked is asked for a checkpoint" in said
    status = runs.until("asked", lambda status: status.checkpoints)
    assert status.checkpoints[-1].step > 0
    assert status.attempts[-1].number == 1
    runs.delete("asked")
    runs.gone("asked")


def test_what_a_run_costs_is_told_by_the_budget_of_its_namespace(runs: Runs) -> None:
    budgets = BUDGET.format(runs.namespace)
    document = {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingBudget",
        "metadata": {"name": "team"},
        "spec": {"limitUSD": "5.00", "reservationUSD": "1.00"},
    }
    runs.rig.api.post(budgets, document)
    runs.order("paid", {})
    cost = runs.succeeded("paid").cost
    told = runs.rig.api.eventually(
        f"{budgets}/team",
        lambda found: budget_of(found).spent_usd == cost.spent_usd > 0,
        seconds=60,
    )
    assert budget_of(told).reserved_usd == 0


def budget_of(document: dict[str, object]) -> TrainingBudgetStatus:
    return TrainingBudgetStatus.model_validate(document.get("status", {}))
