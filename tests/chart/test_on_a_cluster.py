"""The chart on a real API server: what it accepts, and what install, upgrade, uninstall and a second install do."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.chart_cluster import ChartCluster, collection_of, path_of
from support.helm_chart import NAMESPACE, Document, Refused, of_kind, the
from support.run_documents import SMALL

pytestmark = pytest.mark.slow

RUNS = "/apis/lightcompute.dev/v1alpha1/namespaces/{}/trainingruns"
ROLES = "/apis/rbac.authorization.k8s.io/v1"


def order_a_run(chart: ChartCluster, name: str = "kept", namespace: str = "default") -> Document:
    return chart.api.post(RUNS.format(namespace), SMALL | {"metadata": {"name": name}})


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"watchNamespaces": ["chart-a", "chart-b"], "crds": {"enabled": False}},
        {
            "metrics": {"dashboard": {"enabled": True}},
            "networkPolicy": {"operator": {"enabled": True, "apiServerCIDRs": ["10.0.0.0/8"]}},
            "podDisruptionBudget": {"enabled": True, "maxUnavailable": "50%"},
            "imagePullSecrets": [{"name": "registry"}],
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "ScheduleAnyway"}],
            "tolerations": [{"key": "a", "operator": "Exists"}],
            "operator": {"extraEnv": [{"name": "A", "value": "b"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
            "priorityClassName": "system-cluster-critical",
        },
    ],
    ids=["defaults", "namespaces", "everything"],
)  # fmt: skip
def test_the_api_server_accepts_each_object_and_knows_each_field(
    chart: ChartCluster, values: dict[str, Any]
) -> None:
    chart.make_namespaces(NAMESPACE, "chart-a", "chart-b")

    made = chart.helm.render(values)

    # A pod is refused where its account does not exist, even in a dry run.
    accounts = of_kind(made, "ServiceAccount")
    for document in accounts:
        chart.api.post(collection_of(document), document, fieldValidation="Strict")
    for document in made:
        if document not in accounts:
            chart.api.post(
                collection_of(document), document, dryRun="All", fieldValidation="Strict"
            )
    for document in accounts:
        chart.api.delete(path_of(document))


def test_runs_outlive_upgrade_and_uninstall_and_are_found_again(chart: ChartCluster) -> None:
    said = chart.install()
    run = order_a_run(chart)
    path = f"{RUNS.format('default')}/kept"
    assert "looks after the TrainingRuns of all namespaces" in said
    assert "Prices are not set" in said

    chart.upgrade({"pool": {"pricePerGPUHourUSD": "1.80"}, "commonLabels": {"team": "a"}})
    deployment = chart.api.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/lightcompute")
    args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--price-per-gpu-hour-usd=1.80" in args
    assert chart.api.get(path)["metadata"]["uid"] == run["metadata"]["uid"]

    chart.uninstall()
    assert chart.api.find(f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/lightcompute") is None
    assert "trainingruns.lightcompute.dev" in chart.definitions()
    assert chart.api.get(path)["metadata"]["uid"] == run["metadata"]["uid"]

    chart.install()
    assert chart.api.get(path)["metadata"]["uid"] == run["metadata"]["uid"]


def test_definitions_go_with_the_release_where_that_is_wanted(chart: ChartCluster) -> None:
    chart.install({"crds": {"keep": False}})
    assert chart.definitions() != ()

    chart.uninstall()

    assert chart.definitions() == ()


def test_a_second_operator_of_the_same_runs_is_refused_before_anything_exists(
    chart: ChartCluster,
) -> None:
    chart.install()

    with pytest.raises(Refused) as refusal:
        chart.install({"crds": {"enabled": False}}, release="another", namespace="lightcompute-two")

    said = str(refusal.value)
    assert (
        f"The release {NAMESPACE}/lightcompute looks after the TrainingRuns of all namespaces"
        in said
    )
    assert "watchNamespaces" in said
    assert chart.api.find("/apis/apps/v1/namespaces/lightcompute-two/deployments/another-lightcompute") is None  # fmt: skip


def test_definitions_of_another_release_are_not_taken_over_in_silence(chart: ChartCluster) -> None:
    chart.install()

    with pytest.raises(Refused) as refusal:
        chart.install(release="another", namespace="lightcompute-two")

    said = str(refusal.value)
    assert f"exists already and belongs to {NAMESPACE}/lightcompute" in said
    assert "--set crds.enabled=false" in said
    assert "kubectl annotate crd trainingbudgets.lightcompute.dev" in said


def test_operators_of_different_namespaces_live_side_by_side(chart: ChartCluster) -> None:
    chart.make_namespaces("chart-a", "chart-b", "chart-c")
    chart.install({"watchNamespaces": ["chart-a"]})

    chart.install(
        {"watchNamespaces": ["chart-b"], "crds": {"enabled": False}},
        release="another",
        namespace="lightcompute-two",
    )

    with pytest.raises(Refused) as refusal:
        chart.install(
            {"watchNamespaces": ["chart-b", "chart-c"], "crds": {"enabled": False}},
            release="third",
            namespace="lightcompute-three",
        )
    assert "release lightcompute-two/another looks after the TrainingRuns of chart-b" in str(
        refusal.value
    )
    with pytest.raises(Refused) as refusal:
        chart.install({"crds": {"enabled": False}}, release="all", namespace="lightcompute-three")
    assert "looks after the TrainingRuns of chart-" in str(refusal.value)


def test_who_knows_better_may_have_a_second_operator(chart: ChartCluster) -> None:
    chart.install()

    chart.install(
        {"crds": {"enabled": False}, "allowSecondOperator": True},
        release="another",
        namespace="lightcompute-two",
    )


def test_who_may_view_a_namespace_sees_its_runs_and_who_may_edit_it_orders_them(
    chart: ChartCluster,
) -> None:
    chart.make_namespaces("chart-a")
    chart.install()

    for role, verb in (("view", "list"), ("edit", "create"), ("admin", "delete")):
        path = f"{ROLES}/clusterroles/{role}"
        chart.api.eventually(path, partial(_may, verb=verb))
    view = _allowed(chart.api.get(f"{ROLES}/clusterroles/view"))
    edit = _allowed(chart.api.get(f"{ROLES}/clusterroles/edit"))
    assert ("trainingruns", "create") not in view
    assert not {("trainingruns/status", verb) for verb in ("update", "patch")} & edit


def test_the_pod_of_helm_test_gets_its_dry_run_and_leaves_nothing(
    chart: ChartCluster, tmp_path: Path
) -> None:
    chart.install()
    hooks = [
        each
        for each in yaml.safe_load_all(chart.helm.run("get", "hooks", "lightcompute", "-n", NAMESPACE))
        if each is not None
    ]  # fmt: skip
    pod, config = the(hooks, "Pod"), the(hooks, "ConfigMap")
    (container,) = pod["spec"]["containers"]
    (tmp_path / "run.yaml").write_text(config["data"]["run.yaml"], encoding="utf-8")
    for hook in hooks:
        if hook["kind"] in {"ServiceAccount", "Role", "RoleBinding"}:
            chart.api.post(collection_of(hook), hook)
    kubeconfig = chart.as_account(pod["spec"]["serviceAccountName"], tmp_path)
    words = [word.replace("/etc/lightcompute", str(tmp_path)) for word in container["args"]]

    def test() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "lightcompute", *words, "--kubeconfig", str(kubeconfig)],
            capture_output=True,
            text=True,
            check=False,
        )

    done = test()
    assert done.returncode == 0, done.stderr
    assert "helm-test: a new run in namespace lightcompute-system (dry run" in done.stdout
    assert chart.api.get(RUNS.format(NAMESPACE))["items"] == []

    # The right that the test needs is the one that it has.
    for binding in of_kind(hooks, "RoleBinding"):
        chart.api.delete(path_of(binding))
    assert test().returncode != 0
    for hook in hooks:
        if hook["kind"] in {"ServiceAccount", "Role"}:
            chart.api.delete(path_of(hook))


def _may(role: Document, *, verb: str) -> bool:
    return ("trainingruns", verb) in _allowed(role)


def _allowed(role: Document) -> set[tuple[str, str]]:
    return {
        (resource, verb)
        for rule in role.get("rules") or ()
        for resource in rule.get("resources", ())
        for verb in rule["verbs"]
    }
