"""Who may reach whom. A chart can speak of namespaces that are known when it is installed, and of no single run."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.api import labels
from lightcompute.kube.manifests.pod import TENSORBOARD_PORT
from support.helm_chart import NAMESPACE, Helm, of_kind, the

TRAINERS = "lightcompute-trainers"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [NAMESPACE]),
        ({"watchNamespaces": ["a", "b"]}, ["a", "b"]),
        ({"networkPolicy": {"trainers": {"namespaces": ["c"]}}}, ["c"]),
        (
            {"watchNamespaces": ["a"], "networkPolicy": {"trainers": {"namespaces": ["a", "c"]}}},
            ["a", "c"],
        ),
        ({"networkPolicy": {"trainers": {"enabled": False}}}, []),
    ],
)
def test_trainers_are_closed_in_the_namespaces_that_are_known(
    helm: Helm, values: dict[str, Any], expected: list[str]
) -> None:
    found = of_kind(helm.render(values), "NetworkPolicy")

    assert [each["metadata"]["namespace"] for each in found] == expected


def test_trainers_are_reached_by_trainers_and_on_the_port_of_tensorboard(helm: Helm) -> None:
    spec = the(helm.render(), "NetworkPolicy", TRAINERS)["spec"]
    trainers = {labels.MANAGED_BY: "lightcompute", labels.PURPOSE: "trainer"}

    assert spec["podSelector"] == {
        "matchLabels": {labels.MANAGED_BY: "lightcompute"},
        "matchExpressions": [
            {"key": labels.PURPOSE, "operator": "In", "values": ["trainer", "upkeep"]}
        ],
    }
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": trainers}}]},
        {
            "from": [{"podSelector": {}}],
            "ports": [{"protocol": "TCP", "port": TENSORBOARD_PORT}],
        },
    ]


def test_trainers_reach_everything_but_the_metadata_service_of_the_cloud(helm: Helm) -> None:
    names, pods, addresses = the(helm.render(), "NetworkPolicy", TRAINERS)["spec"]["egress"]

    assert {port["port"] for port in names["ports"]} == {53}
    assert pods == {"to": [{"namespaceSelector": {}}]}
    assert addresses["to"] == [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fe80::/10", "fd00:ec2::254/128"]}},
    ]


def test_the_operator_reaches_the_api_server_and_names_and_is_asked_on_its_port(
    helm: Helm,
) -> None:
    made = helm.render(
        {
            "networkPolicy": {
                "operator": {
                    "enabled": True,
                    "apiServerPorts": [6443],
                    "apiServerCIDRs": ["10.0.0.1/32"],
                    "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
                }
            }
        }
    )
    spec = the(made, "NetworkPolicy", "lightcompute")["spec"]

    assert spec["podSelector"] == the(made, "Deployment")["spec"]["selector"]
    assert spec["ingress"] == [
        {
            "ports": [{"protocol": "TCP", "port": 8080}],
            "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        }
    ]
    server, names = spec["egress"]
    assert server == {
        "ports": [{"protocol": "TCP", "port": 6443}],
        "to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}],
    }
    assert {port["port"] for port in names["ports"]} == {53}
