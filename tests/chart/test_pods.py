"""The pods that the chart makes: as whom they run, from which image, and what the operator in them is told."""

from __future__ import annotations

from typing import Any

import click
import pytest

from lightcompute.cli.operate import operator
from lightcompute.cli.operator_options import settings_from
from lightcompute.kube.process import LAST_LOOKS_SECONDS
from lightcompute.kube.settings import OperatorSettings
from support.helm_chart import NAMESPACE, Helm, default_values, of_kind, the
from support.pod_security import violations

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


def deployment(helm: Helm, values: dict[str, Any] | None = None) -> dict[str, Any]:
    return the(helm.render(values), "Deployment")


def container(helm: Helm, values: dict[str, Any] | None = None) -> dict[str, Any]:
    (only,) = deployment(helm, values)["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def settings(helm: Helm, values: dict[str, Any] | None = None) -> OperatorSettings:
    """The settings that the operator makes of its container's arguments."""
    verb, *words = container(helm, values)["args"]
    assert verb == "operator"
    with operator.make_context("operator", list(words)) as context:
        given = dict(context.params)
    for name in ("kubeconfig", "context", "log_format", "log_level"):
        del given[name]
    return settings_from(given)


def test_the_operators_pod_is_restricted(helm: Helm) -> None:
    template = deployment(helm)["spec"]["template"]

    assert violations(template) == ()
    assert container(helm)["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_pod_of_helm_test_is_restricted(helm: Helm) -> None:
    pod = the(helm.render(), "Pod")

    assert violations(pod) == ()
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_one_operator_runs_and_ends_before_the_next_begins(helm: Helm) -> None:
    spec = deployment(helm)["spec"]

    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > LAST_LOOKS_SECONDS + 5


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ({}, "lightcompute-operator:0.1.0"),
        ({"tag": "main"}, "lightcompute-operator:main"),
        ({"digest": DIGEST}, f"lightcompute-operator@{DIGEST}"),
        ({"tag": "main", "digest": DIGEST}, f"lightcompute-operator@{DIGEST}"),
        ({"repository": "registry.example:5000/a/b"}, "registry.example:5000/a/b:0.1.0"),
    ],
)
def test_an_image_is_named_by_digest_before_tag_before_version(
    helm: Helm, image: dict[str, Any], expected: str
) -> None:
    assert container(helm, {"image": image})["image"] == expected
    assert the(helm.render({"image": image}), "Pod")["spec"]["containers"][0]["image"] == expected


def test_the_operator_is_told_all_of_the_pool_and_itself(helm: Helm) -> None:
    values = {
        "watchNamespaces": ["team-a", "team-b"],
        "trainerImage": {"repository": "r/t", "digest": DIGEST, "pullPolicy": "Never"},
        "pool": {
            "clusterName": "us-ord1",
            "region": "US-ORD1",
            "name": "a100",
            "gpuType": "A100-40GB",
            "nodeSelector": {"cloud/pool": "a100", "kubernetes.io/os": "linux"},
            "tolerations": ["nvidia.com/gpu", "spot"],
            "pricePerGPUHourUSD": "1.80",
            "gpuResource": "",
        },
        "trainingClusters": {
            "enabled": True,
            "extraGPUTypes": ["TPU-v9"],
            "allowExecPlugins": True,
        },
        "operator": {
            "graceSeconds": 60,
            "clockSkewSeconds": 0,
            "requestsPerSecond": 0.5,
            "logReadsPerSecond": 3,
            "workers": 8,
            "leaseSeconds": 30,
        },
        "metrics": {"port": 9090},
    }

    told = settings(helm, values)

    assert told.document() == {
        "pool": {
            "cluster": "us-ord1",
            "region": "US-ORD1",
            "name": "a100",
            "gpuType": "A100-40GB",
            "nodeSelector": {"cloud/pool": "a100", "kubernetes.io/os": "linux"},
            "tolerations": [{"key": "nvidia.com/gpu"}, {"key": "spot"}],
            "pricePerGPUHourUSD": "1.80",
            "gpuResource": "",
        },
        "trainerImage": f"r/t@{DIGEST}",
        "imagePullPolicy": "Never",
        "namespaces": ["team-a", "team-b"],
        "graceSeconds": 60,
        "clockSkewSeconds": 0,
        "requestsPerSecond": 0.5,
        "logReadsPerSecond": 3.0,
        "trainingClusters": True,
        "extraGPUTypes": ["TPU-v9"],
        "allowExecPlugins": True,
        "workers": 8,
        "leaseNamespace": NAMESPACE,
        "leaseName": "lightcompute",
        "leaseSeconds": 30,
        "httpPort": 9090,
        "httpHost": "0.0.0.0",  # noqa: S104 - a pod's own address
    }


def test_the_defaults_of_the_chart_are_those_of_the_operator(helm: Helm) -> None:
    ours = {"trainer_image", "lease_namespace", "lease_name"}

    told = settings(helm).model_dump(exclude=ours)

    assert told == OperatorSettings().model_dump(exclude=ours)


def test_every_option_of_the_operator_is_given_or_left_on_purpose(helm: Helm) -> None:
    everything = {
        "watchNamespaces": ["a"],
        "trainerImage": {"pullPolicy": "Never"},
        "pool": {"region": "r", "gpuType": "g", "nodeSelector": {"a": "b"}, "tolerations": ["t"]},
        "trainingClusters": {"enabled": True, "extraGPUTypes": ["g"], "allowExecPlugins": True},
    }
    given = {word.partition("=")[0] for word in container(helm, everything)["args"][1:]}
    known = {
        name for each in operator.params if isinstance(each, click.Option) for name in each.opts
    }

    # A pod finds the API server by its account, and listens on its own address.
    assert known - given == {"--kubeconfig", "--context", "--http-host"}
    assert given <= known


def test_the_probes_ask_the_port_that_the_operator_answers_on(helm: Helm) -> None:
    made = container(helm, {"metrics": {"port": 9090}})

    assert made["ports"] == [{"name": "http", "containerPort": 9090}]
    assert made["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert made["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_a_run_named_like_the_release_is_not_taken_for_the_operator(helm: Helm) -> None:
    selector = deployment(helm)["spec"]["selector"]["matchLabels"]
    # What the operator puts on the pods of a run of that name in that namespace.
    trainer = {
        "app.kubernetes.io/name": "lightcompute",
        "app.kubernetes.io/instance": "lightcompute",
        "app.kubernetes.io/component": "trainer",
    }

    assert not selector.items() <= trainer.items()


def test_common_labels_are_on_every_object_and_in_no_selector(helm: Helm) -> None:
    made = helm.render(
        {
            "commonLabels": {"team": "a"},
            "podDisruptionBudget": {"enabled": True},
            "metrics": {
                "serviceMonitor": {"enabled": True},
                "alerts": {"enabled": True},
                "dashboard": {"enabled": True},
            },
            "networkPolicy": {"operator": {"enabled": True}},
        }
    )

    without = [
        f"{each['kind']} {each['metadata']['name']}"
        for each in made
        if each["metadata"]["labels"].get("team") != "a"
    ]
    assert without == []
    assert "team" not in the(made, "Deployment")["spec"]["selector"]["matchLabels"]


def test_names_of_any_release_fit(helm: Helm) -> None:
    made = helm.render(release="a" * 53, namespace="n" * 63)

    too_long = [
        each["metadata"]["name"]
        for each in made
        if len(each["metadata"]["name"]) > 63
        and each["apiVersion"] != "rbac.authorization.k8s.io/v1"
    ]
    assert too_long == []


def test_nothing_of_the_chart_is_in_a_namespace_that_nobody_named(helm: Helm) -> None:
    values = default_values() | {"watchNamespaces": ["team-a"]}

    spaces = {
        each["metadata"].get("namespace") for each in helm.render(values) if not _is_global(each)
    }

    assert spaces == {NAMESPACE, "team-a"}


def test_the_disruption_budget_counts_operators_only(helm: Helm) -> None:
    made = helm.render({"podDisruptionBudget": {"enabled": True}})

    budget = the(made, "PodDisruptionBudget")["spec"]
    assert budget["selector"] == the(made, "Deployment")["spec"]["selector"]
    assert of_kind(helm.render(), "PodDisruptionBudget") == ()


def _is_global(document: dict[str, Any]) -> bool:
    return document["kind"] in {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
