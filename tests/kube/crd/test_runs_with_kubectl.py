"""What a person sees of runs with kubectl and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.cases import Document
from support.kubectl import explained, kubectl, needs_kubectl, table
from support.resource_server import ResourceServer
from support.run_documents import SMALL
from support.testcluster.cluster import Cluster

pytestmark = [pytest.mark.slow, needs_kubectl]
RUNNING: Document = {
    "phase": "Running",
    "reason": "AttemptRunning",
    "startTime": "2030-01-01T12:00:00Z",
    "restarts": 1,
    "placement": {"place": {"cluster": "ord", "gpuType": "L40S"}},
    "trainerStatus": {
        "progressPercentage": 42,
        "metrics": [
            {"name": "step", "value": "420"},
            {"name": "validationLossNatsPerCharacter", "value": "1.5432"},
        ],
    },
    "cost": {"spentUSD": "1.25"},
    "conditions": [
        {
            "type": "TargetMet",
            "status": "Unknown",
            "reason": "TargetNotJudged",
            "lastTransitionTime": "2030-01-01T12:00:00Z",
        }
    ],
}


def test_a_list_tells_where_every_run_is_and_what_it_costs(
    served: Cluster, runs: ResourceServer
) -> None:
    runs.write_status(runs.create(SMALL), RUNNING)
    [row] = table(kubectl(served, "get", "trun", "-n", runs.namespace))
    assert row.pop("AGE")
    assert row == {
        "NAME": "baseline",
        "PHASE": "Running",
        "CLUSTER": "ord",
        "GPU": "L40S",
        "PROGRESS": "42",
        "LOSS": "1.5432",
        "COST": "1.25",
        "BUDGET": "20.00",
    }
    [row] = table(kubectl(served, "get", "training", "-o", "wide", "-n", runs.namespace))
    assert [row[key] for key in ("TARGET", "RESTARTS", "REASON")] == [
        "Unknown",
        "1",
        "AttemptRunning",
    ]


def test_a_run_that_nobody_has_looked_at_is_listed_too(
    served: Cluster, runs: ResourceServer
) -> None:
    runs.create(SMALL)
    [row] = table(kubectl(served, "get", "trainingruns", "-n", runs.namespace))
    assert (row["NAME"], row["PHASE"], row["BUDGET"]) == ("baseline", "", "20.00")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("trun", "A model to train, within a budget"),
        ("trun.spec.training.model", "A `preset` fills"),
        ("trun.spec.training.model.mlp", "as in LLaMA"),
        ("trun.spec.budget", "It is never passed"),
        ("trun.spec.trainer.volumes", "Does nothing on a laptop"),
        ("trun.status.cost", "Computed from the ledger"),
    ],
)
def test_explain_teaches(served: Cluster, path: str, says: str) -> None:
    assert says in explained(served, "TrainingRun", path)


def test_a_slip_is_told_before_anything_starts(
    served: Cluster, runs: ResourceServer, tmp_path: Path
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "apiVersion: lightcompute.dev/v1alpha1\n"
        "kind: TrainingRun\n"
        "metadata: {name: slip}\n"
        "spec:\n"
        "  training: {data: {dataset: tinyshakespeare}, model: {heads: 5}, maxSteps: 10}\n"
    )
    told = kubectl(served, "apply", "-n", runs.namespace, "-f", str(file), succeeds=False)
    assert "spec.training.model.heads" in told
    assert "heads divides embeddingSize" in told


def test_every_example_is_applied_as_it_is_and_again_without_a_change(
    served: Cluster, runs: ResourceServer, checkout: Path
) -> None:
    arguments = ("apply", "-n", runs.namespace, "-f", str(checkout / "examples"))
    first = kubectl(served, *arguments).splitlines()
    again = kubectl(served, *arguments).splitlines()
    assert len(first) == len(list((checkout / "examples").glob("*.yaml")))
    assert all(line.endswith("created") for line in first)
    assert all(line.endswith("unchanged") for line in again)
