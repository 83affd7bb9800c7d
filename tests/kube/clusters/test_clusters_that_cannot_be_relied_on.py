"""Clusters that are cut off, cannot be used, come back, or are taken away: nothing runs twice, nothing is lost, no other suffers."""

from __future__ import annotations

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from lightcompute.api import labels
from support.fleets import TYPES, Fleet, candidates, place_of
from support.pod_costs import held_seconds
from support.run_audit import Kind
from support.testcluster.api import ApiFault
from support.testcluster.fleet import CLUSTERS, NAMESPACE, PRICES, Pool, secret, training_cluster

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

Document = dict[str, Any]
AWAY = "us-iad1"


def secrets(fleet: Fleet) -> str:
    return f"/api/v1/namespaces/{fleet.space.namespace}/secrets"


def test_a_short_loss_of_a_cluster_changes_nothing(fleet: Fleet) -> None:
    proxy = fleet.behind_a_proxy(AWAY)
    fleet.join(AWAY, "eu-fra1")
    fleet.reachable(AWAY, "eu-fra1")
    run = fleet.submit("here", {"RUN_SECONDS": 8})
    run.in_phase("Running")
    proxy.go_dark(refuse=True)
    time.sleep(3)
    proxy.come_back()
    end = run.in_phase("Succeeded", seconds=60)
    assert [each["place"]["cluster"] for each in end["attempts"]] == [AWAY]
    told = [
        (change.document.get("status") or {}).get("reason")
        for change in fleet.space.watch.changes
        if change.uid == run.uid
    ]
    assert "ClusterUnreachable" not in told
    assert fleet.space.errors == []


@pytest.mark.parametrize("refuse", [True, False], ids=["refusing", "silent"])
def test_a_long_loss_moves_nothing_and_is_told_and_is_gone_on_from(
    fleet: Fleet, refuse: bool
) -> None:
    proxy = fleet.behind_a_proxy(AWAY)
    fleet.join(AWAY, "eu-fra1")
    fleet.reachable(AWAY, "eu-fra1")
    run = fleet.submit("here", {"RUN_SECONDS": 3})
    run.in_phase("Running")
    proxy.go_dark(refuse=refuse)
    fleet.condition(AWAY, "Reachable", "False", "NoAnswer")
    told = run.until(lambda status: status["reason"] == "ClusterUnreachable")
    assert "charged on" in told["message"]
    # Others are placed elsewhere meanwhile, and told why not there.
    other = fleet.submit("there", {"RUN_SECONDS": 1}).in_phase("Succeeded")
    assert place_of(other) == "eu-fra1"
    assert candidates(other)[AWAY] == "ClusterUnreachable"
    proxy.come_back()
    end = run.in_phase("Succeeded", seconds=60)
    assert [(each["place"]["cluster"], each["reason"]) for each in end["attempts"]] == [
        (AWAY, "Completed")
    ]
    fleet.reachable(AWAY)
    assert fleet.space.errors == []


def test_a_lost_attempt_ends_when_its_deadline_has_passed_and_the_cap_holds(fleet: Fleet) -> None:
    proxy = fleet.behind_a_proxy(AWAY)
    fleet.join(AWAY, "eu-fra1")
    fleet.reachable(AWAY, "eu-fra1")
    # 1.79 dollars an hour: half a tenth of a cent a second.
    run = fleet.submit("capped", {"NEVER_ENDS": 1}, budget={"limitUSD": "0.012"})
    run.in_phase("Running")
    proxy.go_dark(refuse=True)
    end = run.in_phase("BudgetExhausted", seconds=90)
    [attempt] = end["attempts"]
    assert attempt["state"] == "Ended"
    assert float(end["cost"]["spentUSD"]) <= 0.012
    proxy.come_back()
    fleet.reachable(AWAY)


def test_a_deaf_program_in_a_cluster_that_is_cut_off_for_ever_is_gone_there_in_time(
    fleet: Fleet,
) -> None:
    """Its place alone is left to end it; the operator sees nothing of that, starts no other, and charges no more than the cap."""
    proxy = fleet.behind_a_proxy(AWAY)
    fleet.join(AWAY, "eu-fra1")
    fleet.reachable(AWAY, "eu-fra1")
    run = fleet.submit("deaf", {"NEVER_ENDS": 1, "DEAF": 1}, budget={"limitUSD": "0.012"})
    run.in_phase("Running")
    proxy.go_dark(refuse=True)
    there = fleet.watches[AWAY]

    def is_over() -> bool:
        pods = [pod for pod in there.all(Kind.POD) if pod["status"]["phase"] == "Running"]
        return not pods

    there.until(is_over, run.told_in_full, 90)
    rate = float(PRICES[TYPES[AWAY]]) / 3600
    cost = held_seconds(there.changes, run.uid) * rate
    # Of whole seconds, and of controllers and a node that take a moment.
    assert 0.012 - 6 * rate <= cost <= 0.012
    end = run.in_phase("BudgetExhausted", seconds=90)
    assert [each["place"]["cluster"] for each in end["attempts"]] == [AWAY]
    assert cost <= float(end["cost"]["spentUSD"]) <= 0.012


def test_the_namespace_of_a_cluster_cannot_change_under_its_runs(fleet: Fleet) -> None:
    fleet.join(AWAY, "us-ord1")
    fleet.reachable(AWAY, "us-ord1")
    run = fleet.submit("here", {"RUN_SECONDS": 3})
    run.in_phase("Running")
    for name, spec in (
        (AWAY, {"namespace": "others"}),
        (AWAY, {"namespace": None, "connection": {"inCluster": True, "kubeconfigSecret": None}}),
        (
            "us-ord1",
            {
                "namespace": "others",
                "connection": {"inCluster": None, "kubeconfigSecret": {"name": "x"}},
            },
        ),
    ):
        with pytest.raises(ApiFault, match="cannot change once the cluster was reached"):
            fleet.api.patch(f"{CLUSTERS}/{name}", {"spec": spec})
    assert len(run.in_phase("Succeeded", seconds=60)["attempts"]) == 1


def test_a_run_that_is_deleted_while_its_cluster_is_away_is_let_go_and_removed_later(
    fleet: Fleet,
) -> None:
    proxy = fleet.behind_a_proxy(AWAY)
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    run = fleet.submit("deleted", {"NEVER_ENDS": 1})
    run.in_phase("Running")
    proxy.go_dark(refuse=True)
    run.until(lambda status: status["reason"] == "ClusterUnreachable")
    run.delete()
    run.space.watch.until(lambda: run.document is None, run.told_in_full, 60)
    path = f"{CLUSTERS}/{AWAY}"
    owed = fleet.api.eventually(path, lambda found: found["status"].get("owed"))["status"]["owed"]
    assert [(each["runUid"], each["attempt"]) for each in owed] == [(run.uid, 1)]
    assert fleet.space.operator.metric("lightcompute_cluster_owed") == 1
    assert len(fleet.jobs(AWAY)) == 1, "nobody could remove it"
    proxy.come_back()
    fleet.api.eventually(path, lambda found: not found["status"].get("owed"), seconds=60)
    assert fleet.jobs(AWAY) == []
    assert fleet.space.errors == []


def test_what_no_run_owns_is_removed_and_what_is_not_ours_never(fleet: Fleet) -> None:
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    origin = fleet.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    ours = {
        labels.MANAGED_BY: "lightcompute",
        labels.RUN_UID: "11111111-2222-4333-8444-555555555555",
        labels.ATTEMPT: "1",
        labels.RUN_NAME: "gone",
        labels.RUN_NAMESPACE: fleet.space.namespace,
        labels.ORIGIN: origin,
    }
    marked = {
        "orphan": ours,
        "another-origin": ours | {labels.ORIGIN: "another-cluster"},
        "no-run": {labels.MANAGED_BY: "lightcompute", labels.ORIGIN: origin},
        "not-ours": {"app": "something-else"},
    }
    path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    there = fleet.plane(AWAY).api
    for name, marks in marked.items():
        there.post(path, {"metadata": {"name": name, "labels": marks}})
        fleet.space.stack.callback(there.find, f"{path}/{name}")
    there.gone(f"{path}/orphan")
    time.sleep(4)
    left = {each["metadata"]["name"] for each in there.get(path)["items"]}
    assert left >= {"another-origin", "no-run", "not-ours"}
    for name in ("another-origin", "no-run", "not-ours"):
        there.delete(f"{path}/{name}")


def test_an_operator_that_dies_between_reservation_and_creation_starts_one_attempt(
    fleet: Fleet,
) -> None:
    proxy = fleet.behind_a_proxy(AWAY)
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    proxy.answer(503, method="POST", path="/jobs", times=None)
    run = fleet.submit("once", {"RUN_SECONDS": 1})
    run.until(lambda status: status.get("attempts"))
    time.sleep(1)
    fleet.space.operator.kill()
    fleet.space.bury(fleet.space.operator)
    assert fleet.jobs(AWAY) == []
    proxy.clear()
    fleet.space.start_operator().wait_ready()
    end = run.in_phase("Succeeded", seconds=60)
    assert [(each["place"]["cluster"], each["reason"]) for each in end["attempts"]] == [
        (AWAY, "Completed")
    ]
    assert fleet.most_at_once(AWAY) == 1


def test_a_cluster_that_is_removed_and_applied_again_is_gone_on_with(fleet: Fleet) -> None:
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    run = fleet.submit("here", {"RUN_SECONDS": 4})
    run.in_phase("Running")
    fleet.api.delete(f"{CLUSTERS}/{AWAY}")
    run.until(lambda status: status["reason"] == "ClusterUnknown")
    document = training_cluster(AWAY, (Pool(gpu_type=TYPES[AWAY], gpus_per_node=2),))
    fleet.api.post(CLUSTERS, document)
    end = run.in_phase("Succeeded", seconds=60)
    assert [each["place"]["cluster"] for each in end["attempts"]] == [AWAY]
    assert fleet.space.errors == []


def test_each_connection_that_cannot_be_used_says_why_and_harms_no_other(
    fleet: Fleet, pool_of_threads: ThreadPoolExecutor
) -> None:
    good = yaml.safe_load(fleet.plane(AWAY).kubeconfig.read_text(encoding="utf-8"))

    def changed(part: str, **changes: Any) -> bytes:
        document = yaml.safe_load(yaml.safe_dump(good))
        entry = document[part][0][part[:-1]]
        entry.update(changes)
        return yaml.safe_dump(document).encode()

    other_ca = base64.b64encode(fleet.plane("eu-fra1").access.ca_file.read_bytes()).decode()  # type: ignore[union-attr]
    kubeconfigs = {
        "no-yaml": (b"{{", "KubeconfigInvalid"),
        "no-context": (b"apiVersion: v1\nclusters: []\n", "KubeconfigInvalid"),
        "old-token": (changed("users", token="expired"), "CredentialsRefused"),
        "wrong-ca": (
            changed("clusters", **{"certificate-authority-data": other_ca}),
            "CertificateInvalid",
        ),
        "nobody-there": (changed("clusters", server="https://127.0.0.1:1"), "NoAnswer"),
        "token-file": (changed("users", tokenFile="/etc/passwd"), "KubeconfigInvalid"),
        "a-program": (
            changed(
                "users", exec={"command": "false", "apiVersion": "client.authentication.k8s.io/v1"}
            ),
            "ExecRefused",
        ),
        "few-rights": (fleet.plane(AWAY).layout.kubeconfig("nobody-much").read_bytes(), "RightsMissing"),
    }  # fmt: skip
    pool = (Pool(gpu_type="L40S"),)
    for name, (kubeconfig, _) in kubeconfigs.items():
        fleet.api.post(secrets(fleet), secret(name, kubeconfig))
        fleet.api.post(CLUSTERS, training_cluster(name, pool))
    fleet.api.post(CLUSTERS, training_cluster("no-secret", pool))
    fleet.join("eu-fra1")
    expected = {name: reason for name, (_, reason) in kubeconfigs.items()}
    expected["no-secret"] = "SecretMissing"
    told = pool_of_threads.map(
        lambda each: fleet.condition(each[0], "Reachable", "False", each[1]), expected.items()
    )
    assert all(condition["message"] for condition in told)
    end = fleet.submit("unharmed", {"RUN_SECONDS": 1}).in_phase("Succeeded")
    assert place_of(end) == "eu-fra1"
    assert set(candidates(end).values()) >= {"Chosen", "ClusterUnreachable"}
    # A renewed Secret takes effect by itself.
    fleet.api.patch(
        f"{secrets(fleet)}/old-token", secret("old-token", fleet.plane(AWAY).kubeconfig)
    )
    fleet.reachable("old-token")
    assert fleet.space.errors == []


def test_faults_of_a_spec_that_only_the_operator_sees_are_told(fleet: Fleet) -> None:
    selector = {"nodeSelector": {"lightcompute.dev/gpu-type": "L40S"}}
    twice = tuple(Pool(gpu_type=gpu_type, more=selector) for gpu_type in ("L40S", "L40"))
    nowhere = (Pool(gpu_type="L40S", more={"nodeSelector": {"no": "such"}}),)
    documents = {
        "unknown-type": training_cluster("unknown-type", (Pool(gpu_type="A100-40G"),), own=True),
        "eu-fra1": training_cluster("eu-fra1", twice),
        "empty": training_cluster("empty", nowhere, own=True),
    }
    kubeconfig = fleet.plane("eu-fra1").kubeconfig
    fleet.api.post(secrets(fleet), secret("eu-fra1", kubeconfig))
    for document in documents.values():
        fleet.api.post(CLUSTERS, document)
    told = fleet.condition("unknown-type", "Accepted", "False", "UnknownGPUType")
    assert "Did you mean A100-40GB" in told["message"]
    assert "1 nodes" in fleet.condition("eu-fra1", "PoolsMatch", "False", "PoolsOverlap")["message"]
    fleet.condition("empty", "PoolsMatch", "False", "PoolEmpty")
    end = fleet.submit("placed", {"RUN_SECONDS": 1}).in_phase("Succeeded")
    assert place_of(end) == "eu-fra1", "counted for the first of the two"
    assert candidates(end)["unknown-type"] == "GPUTypeNotAllowed"


def test_a_kubeconfig_that_leads_to_another_cluster_is_not_used(fleet: Fleet) -> None:
    fleet.join(AWAY)
    fleet.reachable(AWAY)
    run = fleet.submit("here", {"RUN_SECONDS": 5})
    run.in_phase("Running")
    another = secret(AWAY, fleet.plane("eu-fra1").kubeconfig)
    fleet.api.patch(f"{secrets(fleet)}/{AWAY}", another)
    fleet.condition(AWAY, "Reachable", "False", "ClusterReplaced")
    assert [each["reason"] for each in run.status["attempts"] if each.get("reason")] == []
    fleet.api.patch(f"{secrets(fleet)}/{AWAY}", secret(AWAY, fleet.plane(AWAY).kubeconfig))
    end = run.in_phase("Succeeded", seconds=60)
    assert len(end["attempts"]) == 1
