"""What may be said in values, and that whatever is said has an effect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.helm_chart import CHART, Helm, Refused, default_values, merged, nested, paths

DIGEST = f"sha256:{'0123456789abcdef' * 4}"

# A value besides the default, and what must be on for it to have an effect.
CHANGES: dict[str, tuple[object, dict[str, Any]]] = {
    "nameOverride": ("other", {}),
    "fullnameOverride": ("other", {}),
    "commonLabels": ({"team": "a"}, {}),
    "crds.enabled": (False, {}),
    "crds.keep": (False, {}),
    "watchNamespaces": (["a", "b"], {}),
    "image.repository": ("registry.example/op", {}),
    "image.tag": ("9", {}),
    "image.digest": (DIGEST, {}),
    "image.pullPolicy": ("Never", {}),
    "trainerImage.repository": ("registry.example/trainer", {}),
    "trainerImage.tag": ("9", {}),
    "trainerImage.digest": (DIGEST, {}),
    "trainerImage.pullPolicy": ("Always", {}),
    "imagePullSecrets": ([{"name": "registry"}], {}),
    "pool.clusterName": ("us-ord1", {}),
    "pool.region": ("US-ORD1", {}),
    "pool.name": ("a100", {}),
    "pool.gpuType": ("A100-40GB", {}),
    "pool.nodeSelector": ({"pool": "a100"}, {}),
    "pool.tolerations": (["nvidia.com/gpu"], {}),
    "pool.pricePerGPUHourUSD": ("1.80", {}),
    "pool.gpuResource": ("", {}),
    "trainingClusters.enabled": (True, {}),
    "trainingClusters.extraGPUTypes": (["TPU-v9"], {"trainingClusters": {"enabled": True}}),
    "trainingClusters.allowExecPlugins": (True, {"trainingClusters": {"enabled": True}}),
    "trainingClusters.viewerGroups": (["ml"], {"trainingClusters": {"enabled": True}}),
    "operator.graceSeconds": (60, {}),
    "operator.clockSkewSeconds": (3, {}),
    "operator.requestsPerSecond": (0.5, {}),
    "operator.logReadsPerSecond": (20, {}),
    "operator.workers": (8, {}),
    "operator.leaseSeconds": (30, {}),
    "operator.logFormat": ("text", {}),
    "operator.logLevel": ("DEBUG", {}),
    "operator.extraEnv": ([{"name": "A", "value": "b"}], {}),
    "replicas": (0, {}),
    "resources": ({"limits": {"memory": "1Gi"}}, {}),
    "terminationGracePeriodSeconds": (60, {}),
    "priorityClassName": ("system-cluster-critical", {}),
    "nodeSelector": ({"kubernetes.io/os": "linux"}, {}),
    "tolerations": ([{"key": "a", "operator": "Exists"}], {}),
    "affinity": ({"nodeAffinity": {}}, {}),
    "topologySpreadConstraints": (
        [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
        {},
    ),
    "podAnnotations": ({"a": "b"}, {}),
    "podLabels": ({"a": "b"}, {}),
    "podDisruptionBudget.enabled": (True, {}),
    "podDisruptionBudget.maxUnavailable": ("50%", nested("podDisruptionBudget.enabled", True)),
    "serviceAccount.create": (False, {}),
    "serviceAccount.name": ("somebody", {}),
    "serviceAccount.annotations": ({"a": "b"}, {}),
    "rbac.create": (False, {}),
    "rbac.userRoles": (False, {}),
    "metrics.port": (9090, {}),
    "metrics.serviceMonitor.enabled": (True, {}),
    "metrics.serviceMonitor.interval": ("1m", nested("metrics.serviceMonitor.enabled", True)),
    "metrics.serviceMonitor.labels": ({"a": "b"}, nested("metrics.serviceMonitor.enabled", True)),
    "metrics.alerts.enabled": (True, {}),
    "metrics.alerts.labels": ({"a": "b"}, nested("metrics.alerts.enabled", True)),
    "metrics.alerts.namespaceSpentUSD": (100, nested("metrics.alerts.enabled", True)),
    "metrics.dashboard.enabled": (True, {}),
    "metrics.dashboard.labels": ({"a": "b"}, nested("metrics.dashboard.enabled", True)),
    "networkPolicy.operator.enabled": (True, {}),
    "networkPolicy.operator.apiServerPorts": ([8443], nested("networkPolicy.operator.enabled", True)),
    "networkPolicy.operator.apiServerCIDRs": (
        ["10.0.0.0/24"],
        nested("networkPolicy.operator.enabled", True),
    ),
    "networkPolicy.operator.metricsFrom": (
        [{"namespaceSelector": {}}],
        nested("networkPolicy.operator.enabled", True),
    ),
    "networkPolicy.trainers.enabled": (False, {}),
    "networkPolicy.trainers.namespaces": (["a"], {}),
    "networkPolicy.trainers.deniedCIDRs": ([], {}),
    "networkPolicy.trainers.deniedIPv6CIDRs": ([], {}),
    "tests.enabled": (False, {}),
}  # fmt: skip
ASKS_A_CLUSTER = {"allowSecondOperator"}


def test_each_value_has_a_case_in_this_table() -> None:
    assert CHANGES.keys() | ASKS_A_CLUSTER == set(paths())


@pytest.mark.parametrize("path", CHANGES)
def test_a_changed_value_changes_what_is_installed(helm: Helm, path: str) -> None:
    value, needed = CHANGES[path]

    assert helm.render(merged(needed, nested(path, value))) != helm.render(needed)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("imagee", {}),
        ("image.tagg", "1"),
        ("image.tag", 1),
        ("image.tag", "no spaces"),
        ("image.digest", "sha256:short"),
        ("image.repository", ""),
        ("image.repository", "Has Spaces"),
        ("image.pullPolicy", "Sometimes"),
        ("crds.enabled", "yes"),
        ("watchNamespaces", "all"),
        ("watchNamespaces", ["Not_A_Name"]),
        ("watchNamespaces", ["a", "a"]),
        ("commonLabels", {"a": 1}),
        ("imagePullSecrets", ["registry"]),
        ("pool.pricePerGPUHourUSD", 1.8),
        ("pool.pricePerGPUHourUSD", "1.80 USD"),
        ("pool.tolerations", [{"key": "a"}]),
        ("pool.nodeSelector", ["a=b"]),
        ("pool.gpus", 8),
        ("operator.workers", 0),
        ("operator.graceSeconds", 1.5),
        ("operator.requestsPerSecond", 0),
        ("operator.logFormat", "xml"),
        ("operator.logLevel", "info"),
        ("operator.extraEnv", [{"value": "nameless"}]),
        ("replicas", 4),
        ("replicas", "1"),
        ("resources", {"limits": {"memory": "much"}}),
        ("resources", {"memory": "1Gi"}),
        ("terminationGracePeriodSeconds", 5),
        ("podDisruptionBudget.maxUnavailable", "half"),
        ("metrics.port", 80),
        ("metrics.serviceMonitor.interval", "often"),
        ("metrics.alerts.namespaceSpentUSD", -1),
        ("networkPolicy.operator.apiServerPorts", []),
        ("networkPolicy.trainers.deniedCIDRs", ["everything"]),
        ("tests.enabled", "on"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_work_is_refused_with_its_path(
    helm: Helm, path: str, value: object
) -> None:
    with pytest.raises(Refused) as refusal:
        helm.render(nested(path, value))

    said = str(refusal.value)
    assert "don't meet the specifications of the schema" in said
    assert any(key in said for key in path.split("."))


def test_every_object_of_the_schema_is_closed_unless_its_keys_are_free() -> None:
    def open_objects(schema: dict[str, Any], at: str) -> list[str]:
        found: list[str] = []
        if "properties" in schema and schema.get("additionalProperties") is not False:
            found.append(at)
        for key, below in schema.get("properties", {}).items():
            found += open_objects(below, f"{at}.{key}")
        if isinstance(schema.get("items"), dict):
            found += open_objects(schema["items"], f"{at}[]")
        return found

    assert open_objects(_schema(), "") == []


def test_schema_and_values_have_the_same_keys() -> None:
    def keys(schema: dict[str, Any], value: Any, at: str) -> list[str]:
        wrong: list[str] = []
        if "properties" not in schema:
            return wrong
        known = set(schema["properties"]) - {"global"}
        if isinstance(value, dict) and at != ".resources":
            wrong += [f"{at}.{key}" for key in known ^ value.keys()]
            for key in known & value.keys():
                wrong += keys(schema["properties"][key], value[key], f"{at}.{key}")
        return wrong

    assert keys(_schema(), default_values(), "") == []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"watchNamespaces": ["team-a", "team-b"], "crds": {"enabled": False}},
        {"rbac": {"create": False}, "serviceAccount": {"create": False}, "tests": {"enabled": False}},
        {
            "metrics": {
                "serviceMonitor": {"enabled": True},
                "alerts": {"enabled": True, "namespaceSpentUSD": 5},
                "dashboard": {"enabled": True},
            },
            "networkPolicy": {"operator": {"enabled": True}, "trainers": {"enabled": False}},
            "podDisruptionBudget": {"enabled": True},
            "replicas": 2,
            "commonLabels": {"team": "a"},
        },
    ],
    ids=["defaults", "namespaces", "bring-your-own", "everything"],
)  # fmt: skip
def test_helm_lint_finds_nothing(helm: Helm, values: dict[str, Any]) -> None:
    said = helm.run("lint", "--strict", str(CHART), values=values)

    assert "0 chart(s) failed" in said
    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


def _schema() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return read
