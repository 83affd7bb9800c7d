"""What somebody asked of the API server, as its own log says, and what they may ask by their roles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from support.testcluster.api import Api, Document

_DECISION = "authorization.k8s.io/decision"
"""What the roles said. A namespace that is going away refuses too, whatever they say."""


class Right(NamedTuple):
    """One verb on one kind of object; the subresource is part of the resource, as in roles."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


def used(log: Path, account: str) -> frozenset[Right]:
    """Every right that the account made use of, with the requests that were refused."""
    return frozenset(
        right
        for line in log.read_text(encoding="utf-8").splitlines()
        if account in line and (right := _right(json.loads(line), account)) is not None
    )


def refused(log: Path, account: str) -> frozenset[Right]:
    """What the account asked for and was not allowed."""
    return frozenset(
        right
        for line in log.read_text(encoding="utf-8").splitlines()
        if account in line
        and (entry := json.loads(line)).get("annotations", {}).get(_DECISION) == "forbid"
        and (right := _right(entry, account)) is not None
    )


def granted(api: Api, *, namespace: str, account: str) -> frozenset[Right]:
    """Every right that roles give to the account itself; what everybody may is not counted."""
    rights: set[Right] = set()
    base = "/apis/rbac.authorization.k8s.io/v1"
    for bindings in ("clusterrolebindings", "rolebindings"):
        for binding in api.get(f"{base}/{bindings}")["items"]:
            subjects = binding.get("subjects", ())
            if any(_is(subject, namespace, account) for subject in subjects):
                rights.update(_rules(api.get(f"{base}/{_role(binding)}")))
    return frozenset(rights)


def _right(entry: Document, account: str) -> Right | None:
    about = entry.get("objectRef")
    if about is None or entry["user"]["username"] != account:
        return None
    subresource = about.get("subresource")
    resource = f"{about['resource']}/{subresource}" if subresource else about["resource"]
    return Right(about.get("apiGroup", ""), resource, entry["verb"])


def _is(subject: Document, namespace: str, account: str) -> bool:
    return (subject["kind"], subject.get("namespace"), subject["name"]) == (
        "ServiceAccount",
        namespace,
        account,
    )


def _role(binding: Document) -> str:
    reference = binding["roleRef"]
    if reference["kind"] == "ClusterRole":
        return f"clusterroles/{reference['name']}"
    return f"namespaces/{binding['metadata']['namespace']}/roles/{reference['name']}"


def _rules(role: Document) -> frozenset[Right]:
    return frozenset(
        Right(group, resource, verb)
        for rule in role["rules"]
        for group in rule.get("apiGroups", ())
        for resource in rule.get("resources", ())
        for verb in rule["verbs"]
    )
