"""What a person sees of runs with kubectl and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from runcontract.base import API_VERSION
from support.run_documents import SMALL, Document
from support.run_server import RunServer
from support.testcluster.cluster import Cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]
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


def kubectl(cluster: Cluster, *arguments: str, succeeds: bool = True) -> str:
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode == 0) == succeeds, done.stderr
    return done.stdout if succeeds else done.stderr


def table(text: str) -> list[dict[str, str]]:
    """The rows of kubectl's table, each by the words of its head."""
    head, *rows = text.splitlines()
    starts = [index for index in range(len(head)) if head[index] != " " and (index == 0 or head[index - 1] == " ")]  # fmt: skip
    ends = [*starts[1:], None]
    return [
        {head[start:end].strip(): row[start:end].strip() for start, end in zip(starts, ends, strict=True)}
        for row in rows
    ]  # fmt: skip


def test_a_list_tells_where_every_run_is_and_what_it_costs(
    served: Cluster, runs: RunServer
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


def test_a_run_that_nobody_has_looked_at_is_listed_too(served: Cluster, runs: RunServer) -> None:
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
    # A server describes a new resource some time after it serves it.
    served.api.eventually(
        f"/openapi/v3/apis/{API_VERSION}", lambda found: "TrainingRun" in str(found)
    )
    text = " ".join(kubectl(served, "explain", path).split())
    assert says in text


def test_a_slip_is_told_before_anything_starts(
    served: Cluster, runs: RunServer, tmp_path: Path
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
    served: Cluster, runs: RunServer, checkout: Path
) -> None:
    arguments = ("apply", "-n", runs.namespace, "-f", str(checkout / "examples"))
    first = kubectl(served, *arguments).splitlines()
    again = kubectl(served, *arguments).splitlines()
    assert len(first) == len(list((checkout / "examples").glob("*.yaml")))
    assert all(line.endswith("created") for line in first)
    assert all(line.endswith("unchanged") for line in again)
