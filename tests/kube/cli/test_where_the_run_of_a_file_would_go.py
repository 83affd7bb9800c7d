"""`lightcompute explain -f` in a cluster: from TrainingClusters and runs alone, with the API server's own verdict, and nothing made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lightcompute.api import Phase, TrainingRunStatus
from lightcompute.testing.builders import a_place, an_ended_attempt
from support.cluster_cli import ClusterCommands, Said, resting, running
from support.testcluster.cluster import Cluster
from support.testcluster.fleet import CLUSTERS, Pool, training_cluster
from support.testcluster.kubeconfig import Access, write_kubeconfig

pytestmark = pytest.mark.e2e

Document = dict[str, Any]
Tell = Callable[..., None]
NOON = "2030-01-01T12:00:00Z"
WAITS = TrainingRunStatus(phase=Phase.PENDING, reason="WaitingForPlace")


@pytest.fixture
def told(served: Cluster, namespace: str) -> Iterator[Tell]:
    """Makes TrainingClusters of one pool and tells of them what an operator would: free GPUs by node, of 8 each.

    Runs that other tests left behind in their namespaces do not line up for them.
    """

    def tell(name: str, gpu_type: str, *free: int, reachable: bool = True) -> None:
        document = training_cluster(
            name, (Pool(gpu_type=gpu_type),), own=True, allowedNamespaces=[namespace]
        )
        served.api.post(CLUSTERS, document, fieldValidation="Strict")
        status = {
            "conditions": [
                condition("Accepted", True, "ClusterAccepted"),
                condition("Reachable", reachable, "ClusterAnswers" if reachable else "NoAnswer"),
            ],
            "nodePools": [
                {
                    "name": gpu_type.lower(),
                    "nodes": len(free),
                    "capacityGPUs": 8 * len(free),
                    "freeGPUs": sum(free),
                    "freeNodes": [
                        {"gpus": gpus, "nodes": free.count(gpus)} for gpus in sorted(set(free))
                    ],
                    "allNodes": [{"gpus": 8, "nodes": len(free)}],
                }
            ],
        }
        served.api.patch(f"{CLUSTERS}/{name}/status", {"status": status}, kind="merge")

    yield tell
    served.api.delete(CLUSTERS)


def condition(type_: str, holds: bool, reason: str) -> Document:
    return {
        "type": type_,
        "status": str(holds),
        "reason": reason,
        "message": "so it is",
        "lastTransitionTime": NOON,
    }


def rows(said: Said) -> list[list[str]]:
    """Place, price and reason of each line of the table."""
    _, _, table = said.out.partition("PLACE ")
    lines = (line.split() for line in table.splitlines()[1:] if "/" in line.split(" ")[0])
    return [
        [words[0].partition("/")[0], words[1], next(word for word in words[2:] if _is_reason(word))]
        for words in lines
    ]


def _is_reason(word: str) -> bool:
    return word[0].isupper() and word.isalpha()


def test_free_gpus_count_by_node_and_nothing_is_made(commands: ClusterCommands, told: Tell) -> None:
    told("us-ord1", "A100-40GB", 3, 3, 3)
    told("eu-fra1", "L40S", 4, 0)
    told("us-iad1", "A100-80GB", 8, reachable=False)
    trainer = {"numProcPerNode": 4}
    file = commands.file(trainer=trainer, budget={"limitUSD": "20.00"})
    said = commands.call("explain", "-f", file)
    assert said.code == 0, said
    for words in (
        f"baseline: a new run in namespace {commands.namespace}; it would go to eu-fra1/EU-FRA1/l40s/L40S now",
        "before it  0 of 0 runs that wait, of all namespaces",
        "on eu-fra1/EU-FRA1/l40s/L40S",
        "by a rough model",
        "at most $20.00; pays for 5 h",
        "which is enough, by the rough model",
        "server     takes it (dry run: nothing was written)",
        "9 GPUs are free; 4 on one node are needed",
        "NoAnswer: so it is",
        "known to the operator alone",
    ):
        assert words in said.out
    assert rows(said) == [
        ["eu-fra1", "$3.96", "Chosen"],
        ["us-ord1", "$5.16", "NoCapacity"],
        ["us-iad1", "$7.16", "ClusterUnreachable"],
    ]
    assert "No runs in namespace" in commands.call("list").out


def test_who_stands_before_it_is_counted_and_takes_what_there_is(
    commands: ClusterCommands, told: Tell
) -> None:
    told("us-ord1", "A100-40GB", 2)
    for number in range(4):  # in this very second, as the one that is asked about
        commands.make(f"waits-{number}", status=WAITS, trainer={"numProcPerNode": 2})
    commands.make("alive", status=running())
    commands.make("over", status=resting(Phase.SUCCEEDED))
    commands.make("held", suspend=True)
    said = commands.call("explain", "-f", commands.file())
    assert said.code == 0, said
    assert "it would not start now" in said.out
    assert "before it  4 of 4 runs that wait" in said.out
    assert rows(said) == [["us-ord1", "$1.29", "QueuedBehind"]]
    assert f"{commands.namespace}/waits-" in said.out
    first = commands.call("explain", "-f", commands.file(placement={"priority": 5}))
    assert "before it  0 of 4 runs that wait" in first.out
    assert rows(first) == [["us-ord1", "$1.29", "Chosen"]]


def test_a_run_that_waits_already_is_not_counted_before_itself(
    commands: ClusterCommands, told: Tell
) -> None:
    told("us-ord1", "A100-40GB", 0)
    commands.call("submit", commands.file())
    commands.tell("baseline", WAITS)
    said = commands.call("explain", "-f", commands.file(placement={"gpuTypes": ["A100-40GB"]}))
    assert said.code == 0, said
    assert "a run that is there (Pending)" in said.out
    assert "before it  0 of 0 runs that wait" in said.out
    assert "changed  spec.placement.gpuTypes" in said.out
    assert "WaitingForPlace: 1 places looked at: 1 NoCapacity" in said.out
    assert commands.get()["spec"].get("placement", {}).get("gpuTypes", []) == []


def test_a_speed_that_was_measured_there_wins_over_the_model(
    commands: ClusterCommands, told: Tell
) -> None:
    told("us-ord1", "A100-40GB", 2)
    told("eu-fra1", "L40S", 2)
    file = commands.file(training={"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100_000})
    commands.call("submit", file, "--name", "before", "--set", "training.maxSteps=5")
    attempt = an_ended_attempt(place=a_place("L40S"), tokens_per_second=50_000.0)
    over = resting(Phase.SUCCEEDED).model_copy(update={"attempts": (attempt,)})
    commands.tell("before", over)
    said = commands.call("explain", "-f", file, "--set", 'placement.gpuTypes=["A100-40GB","L40S"]')
    assert said.code == 0, said
    table = said.out.partition("PLACE ")[2].splitlines()
    assert ["(rough)" in table[1], "(measured)" in table[2]] == [True, True], said.out


def test_a_run_that_is_alive_or_over_goes_nowhere(commands: ClusterCommands, told: Tell) -> None:
    told("us-ord1", "A100-40GB", 2)
    commands.call("submit", commands.file("alive"), commands.file("over"))
    commands.tell("alive", running())
    commands.tell("over", resting(Phase.STOPPED))
    alive = commands.call("explain", "-f", commands.file("alive"))
    assert (alive.code, "attempt 1 is on local/CPU" in alive.out) == (0, True), alive
    assert "PLACE" not in alive.out
    over = commands.call("explain", "-f", commands.file("over"))
    assert (over.code, "is over (Stopped)" in over.out) == (0, True), over


def test_without_training_clusters_it_is_said_that_nothing_is_known_of_the_place(
    commands: ClusterCommands,
) -> None:
    said = commands.call("explain", "-f", commands.file(placement={"gpuTypes": ["L40S"]}))
    assert said.code == 0, said
    assert "No TrainingCluster: runs go where the operator's own options say" in said.out
    assert "takes it (dry run: nothing was written)" in said.out
    assert "on L40S for 100 steps, by a rough model" in said.out
    assert "No runs in namespace" in commands.call("list").out


@pytest.mark.parametrize(
    "change",
    ["budget.limitUSD=20", "metadata.namespace=elsewhere", "training.seeds=7"],
)
def test_what_submit_refuses_is_refused_in_the_same_words(
    commands: ClusterCommands, told: Tell, change: str
) -> None:
    told("us-ord1", "A100-40GB", 2)
    file = commands.file()
    refused = commands.call("submit", file, "--set", change)
    assert refused.code == 10
    said = commands.call("explain", "-f", file, "--set", change)
    # `submit` takes several files, so it names the one.
    assert (said.code, said.out) == (10, "")
    assert said.err == refused.err


def test_what_the_server_refuses_is_refused(commands: ClusterCommands) -> None:
    nowhere = ("-n", "nowhere", "--kubeconfig", commands.kubeconfig)
    said = commands.plain("explain", "-f", commands.file(), *nowhere)
    assert said.code == 10
    assert "kubectl create namespace nowhere" in said.err


def test_who_may_only_read_is_told_all_but_the_servers_verdict(
    commands: ClusterCommands, told: Tell, served: Cluster
) -> None:
    told("us-ord1", "A100-40GB", 2)
    reader = a_reader(served, commands)
    said = commands.plain("explain", "-f", commands.file(), "-n", commands.namespace, "--kubeconfig", reader)  # fmt: skip
    assert said.code == 0, said
    assert "does not let you submit it: " in said.out
    assert f"of namespace {commands.namespace}, as those of others may not be read" in said.out
    assert "whether a TrainingBudget has room is not known" in said.out
    assert rows(said) == [["us-ord1", "$1.29", "Chosen"]]


def a_reader(served: Cluster, commands: ClusterCommands) -> Path:
    """A kubeconfig of somebody who may read runs of the namespace, and TrainingClusters."""
    space, api = commands.namespace, served.api
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    who = [{"kind": "ServiceAccount", "name": "default", "namespace": space}]
    for kind, path, resource in (
        ("Role", f"namespaces/{space}/", "trainingruns"),
        ("ClusterRole", "", "trainingclusters"),
    ):
        rule = {"apiGroups": ["lightcompute.dev"], "resources": [resource], "verbs": ["get", "list"]}  # fmt: skip
        meta = {"name": f"reader-{space}"}
        ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, **meta}
        api.post(f"{rbac}/{path}{kind.lower()}s", {"metadata": meta, "rules": [rule]})
        body = {"metadata": meta, "roleRef": ref, "subjects": who}
        api.post(f"{rbac}/{path}{kind.lower()}bindings", body)
    account = f"/api/v1/namespaces/{space}/serviceaccounts/default"
    api.eventually(account, bool)
    token = api.post(f"{account}/token", {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    own = served.access
    access = Access(server=own.server, token=token, ca_file=own.ca_file)
    return write_kubeconfig(commands.folder / "reader", access, name="reader")


def test_a_budget_of_the_namespace_that_has_no_room_is_told(
    commands: ClusterCommands, told: Tell, served: Cluster
) -> None:
    told("us-ord1", "A100-40GB", 8)
    served.api.post(
        f"/apis/lightcompute.dev/v1alpha1/namespaces/{commands.namespace}/trainingbudgets",
        {
            "apiVersion": "lightcompute.dev/v1alpha1",
            "kind": "TrainingBudget",
            "metadata": {"name": "team"},
            "spec": {"limitUSD": "20.00"},
        },
    )
    spent = an_ended_attempt(seconds=3600, price="1.29", place=a_place("A100-40GB", "US-ORD1"))
    over = resting(Phase.SUCCEEDED).model_copy(update={"attempts": (spent,)})
    commands.make("over", status=over)
    fits = commands.call("explain", "-f", commands.file(budget={"limitUSD": "18.71"}))
    assert "it would go to us-ord1" in fits.out, fits
    said = commands.call("explain", "-f", commands.file(budget={"limitUSD": "18.72"}))
    assert said.code == 0, said
    assert "it would not start now" in said.out
    assert "WaitingForBudget: TrainingBudget team has $18.71 of $20.00 left" in said.out
    assert rows(said) == [["us-ord1", "$1.29", "WaitingForBudget"]]
    listed = commands.call("budgets")
    assert "not looked at yet" in listed.out
    (document,) = json.loads(commands.call("budgets", "list", "--json").out)
    assert document["spec"]["limitUSD"] == "20.00"
    refused = commands.call("budgets", "set", commands.file())
    assert refused.code == 10
    assert f"kubectl apply -n {commands.namespace} -f " in refused.err
