"""Who may do what: the operator exactly what its code does, people what they should, nobody a Secret."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from support.helm_chart import NAMESPACE, Helm, of_kind, the
from support.source import CHECKOUT

Rights = dict[str, set[str]]

# Each line is a request that the code makes; what it is for stands beside the rule in the chart.
OPERATOR: Rights = {
    "lightcompute.dev/trainingruns": {"get", "list", "watch", "patch", "delete"},
    "lightcompute.dev/trainingruns/status": {"update"},
    "lightcompute.dev/trainingruns/finalizers": {"update"},
    "lightcompute.dev/trainingbudgets": {"get", "list", "watch"},
    "lightcompute.dev/trainingbudgets/status": {"update"},
    "batch/jobs": {"get", "list", "watch", "create", "patch", "delete"},
    "/pods": {"list", "watch", "patch", "delete"},
    "/pods/log": {"get"},
    "/configmaps": {"get", "create", "delete"},
    "/services": {"get", "list", "watch", "create", "delete"},
    "/persistentvolumeclaims": {"get"},
    "/events": {"list", "create", "patch"},
}


CLUSTERS: Rights = {
    "lightcompute.dev/trainingclusters": {"get", "list", "watch"},
    "lightcompute.dev/trainingclusters/status": {"update"},
    "/namespaces": {"get"},
    "/nodes": {"list", "watch"},
    "/pods": {"list", "watch"},
}


def rights(role: dict[str, Any]) -> Rights:
    """The verbs of a role by group/resource."""
    found: Rights = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault(f"{group}/{resource}", set()).update(rule["verbs"])
    return found


def operators_roles(made: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    return [
        each
        for each in made
        if each["kind"] in {"Role", "ClusterRole"}
        and "lightcompute.dev/operator" in each["metadata"]["labels"]
    ]


def test_the_operator_may_do_what_its_code_does_and_no_more(helm: Helm) -> None:
    (role,) = operators_roles(helm.render())

    assert rights(role) == OPERATOR
    assert role["kind"] == "ClusterRole"


def test_the_page_for_people_lists_the_same_rights() -> None:
    page = (CHECKOUT / "docs/operator.md").read_text(encoding="utf-8").partition("## Rights")[2]
    rows = re.findall(r"^\| ((?:`[a-z/]+`(?:, )?)+) \| ([a-z, ]+) \|", page, flags=re.MULTILINE)
    listed = {
        resource: set(verbs.split(", "))
        for resources, verbs in rows
        for resource in re.findall("`([a-z/]+)`", resources)
    }
    ours = {name.partition("/")[2]: verbs for name, verbs in OPERATOR.items()}

    assert listed == ours | {"leases": {"create", "get", "update"}}


def test_what_training_clusters_need_is_given_only_where_they_are_used(helm: Helm) -> None:
    def more(made: tuple[dict[str, Any], ...]) -> list[Rights]:
        return [
            rights(each)
            for each in made
            if each["metadata"]["name"].endswith((":clusters", "-kubeconfigs")) and "rules" in each
        ]

    assert more(helm.render()) == []
    assert more(helm.render({"trainingClusters": {"enabled": True}})) == [
        CLUSTERS,
        {"/secrets": {"get"}},
    ]


def test_the_manifest_for_other_clusters_gives_what_is_asked_for_there_and_no_more() -> None:
    text = (CHECKOUT / "docs/manifests/worker-cluster.yaml").read_text(encoding="utf-8")
    roles = [each for each in yaml.safe_load_all(text) if "rules" in each]
    within, over = (rights(each) for each in roles)

    beside = {name: verbs for name, verbs in OPERATOR.items() if "lightcompute.dev" not in name}
    listed = {"/configmaps": {"list"}}
    expected = {name: verbs | listed.get(name, set()) for name, verbs in beside.items()}
    assert within == expected | {"/events": {"list"}}
    assert over == {
        name: verbs for name, verbs in CLUSTERS.items() if "lightcompute.dev" not in name
    }


def test_with_namespaces_named_it_may_do_so_in_them_alone(helm: Helm) -> None:
    made = helm.render({"watchNamespaces": ["team-a", "team-b"]})

    roles = operators_roles(made)
    assert [role["metadata"]["namespace"] for role in roles] == ["team-a", "team-b"]
    assert [rights(role) for role in roles] == [OPERATOR, OPERATOR]
    assert of_kind(made, "ClusterRoleBinding") == ()
    # What is left over the cluster gives rights to people, by the cluster's own roles, and is bound to nobody.
    assert all(
        "rbac.authorization.k8s.io/aggregate-to-admin" in each["metadata"]["labels"]
        for each in of_kind(made, "ClusterRole")
    )


def test_nothing_over_the_cluster_is_needed_where_one_has_no_rights_over_it(helm: Helm) -> None:
    made = helm.render(
        {
            "watchNamespaces": ["team-a"],
            "crds": {"enabled": False},
            "rbac": {"userRoles": False},
        }
    )

    assert all("namespace" in each["metadata"] for each in made)


@pytest.mark.parametrize("namespaces", [[], ["team-a"]])
def test_no_role_reads_secrets_or_has_a_star(helm: Helm, namespaces: list[str]) -> None:
    made = helm.render({"watchNamespaces": namespaces})

    for role in (*of_kind(made, "Role"), *of_kind(made, "ClusterRole")):
        found = rights(role)
        assert "/secrets" not in found
        assert not any("*" in name for name in found)
        assert not any("*" in verbs for verbs in found.values())


def test_every_binding_binds_a_role_that_exists_to_an_account_that_exists(helm: Helm) -> None:
    made = helm.render({"watchNamespaces": ["team-a"]}) + helm.render()
    roles = {
        (each["kind"], each["metadata"]["name"])
        for each in made
        if each["kind"] in {"Role", "ClusterRole"}
    }
    accounts = {each["metadata"]["name"] for each in of_kind(made, "ServiceAccount")}

    for binding in (*of_kind(made, "RoleBinding"), *of_kind(made, "ClusterRoleBinding")):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in roles
        for subject in binding["subjects"]:
            assert subject["namespace"] == NAMESPACE
            assert subject["name"] in accounts


def test_the_lease_that_may_be_written_is_the_one_that_the_operator_is_told_of(helm: Helm) -> None:
    made = helm.render()
    role = the(made, "Role", "lightcompute-lease")
    args = the(made, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]

    (named,) = (rule for rule in role["rules"] if "resourceNames" in rule)
    assert role["metadata"]["namespace"] == NAMESPACE
    assert f"--lease-name={named['resourceNames'][0]}" in args
    assert f"--lease-namespace={NAMESPACE}" in args
    assert rights(role) == {"coordination.k8s.io/leases": {"create", "get", "update"}}


def test_who_may_view_sees_runs_who_may_edit_orders_them_and_administrators_say_what_they_may_cost(
    helm: Helm,
) -> None:
    made = helm.render()
    view = the(made, "ClusterRole", f"{NAMESPACE}:lightcompute:view")
    edit = the(made, "ClusterRole", f"{NAMESPACE}:lightcompute:edit")

    read = {"get", "list", "watch"}
    assert rights(view) == {
        "lightcompute.dev/trainingruns": read,
        "lightcompute.dev/trainingruns/status": read,
        "lightcompute.dev/trainingbudgets": read,
        "lightcompute.dev/trainingbudgets/status": read,
    }
    # The status is the ledger: nobody but the operator writes it.
    write = {"create", "update", "patch", "delete", "deletecollection"}
    assert rights(edit) == {"lightcompute.dev/trainingruns": write}
    admin = the(made, "ClusterRole", f"{NAMESPACE}:lightcompute:admin")
    assert rights(admin) == {"lightcompute.dev/trainingbudgets": write}
    assert _aggregates(view) == {"view", "edit", "admin"}
    assert _aggregates(edit) == {"edit", "admin"}
    assert _aggregates(admin) == {"admin"}


def test_who_may_see_training_clusters_is_said_over_the_cluster_or_not_at_all(helm: Helm) -> None:
    name = f"{NAMESPACE}:lightcompute:clusters-view"

    def made(**clusters: Any) -> tuple[dict[str, Any], ...]:
        found = helm.render({"trainingClusters": clusters})
        return tuple(each for each in found if each["metadata"]["name"] == name)

    assert made() == made(viewerGroups=["ml"]) == ()
    (role,) = made(enabled=True)
    read = {"get", "list", "watch"}
    assert rights(role) == {
        "lightcompute.dev/trainingclusters": read,
        "lightcompute.dev/trainingclusters/status": read,
    }
    assert _aggregates(role) == {"view", "edit", "admin"}
    _, binding = made(enabled=True, viewerGroups=["ml", "system:authenticated"])
    assert binding["roleRef"]["name"] == name
    assert [(each["kind"], each["name"]) for each in binding["subjects"]] == [
        ("Group", "ml"),
        ("Group", "system:authenticated"),
    ]


def test_without_roles_of_the_chart_there_are_none(helm: Helm) -> None:
    made = helm.render({"rbac": {"create": False}, "tests": {"enabled": False}})

    kinds = {each["kind"] for each in made}
    assert kinds & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"} == set()


def _aggregates(role: dict[str, Any]) -> set[str]:
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    return {
        key.removeprefix(prefix) for key in role["metadata"]["labels"] if key.startswith(prefix)
    }
