"""Kueue's own Helm chart as a cluster needs it whose Kueue is a process beside it: the same CRDs, rights and webhooks, and no pod."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from support.helm_chart import Helm
from support.testcluster.api import Api, Document
from support.testcluster.binaries import HELM, KUEUE, binary, module_folder
from support.testcluster.flags import HOST

NAMESPACE = "kueue-system"
_RELEASE = "kueue"
WEBHOOK_SERVICE = f"{_RELEASE}-webhook-service"
WEBHOOK_SECRET = f"{_RELEASE}-webhook-server-cert"
ACCOUNT = f"{_RELEASE}-controller-manager"
# A Deployment would run in name only, and an APIService would be looked for where nothing answers.
_LEFT_OUT = {"Deployment", "APIService", "ConfigMap"}
_IN_A_NAMESPACE = {"ServiceAccount", "Secret", "Role", "RoleBinding", "Service"}
WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
# A megabyte of CRDs takes seconds without it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def chart_objects(
    configuration: Mapping[str, Any], *, webhook_port: int, home: Path
) -> tuple[Document, ...]:
    """What to put into a cluster; its webhooks are called on `webhook_port` of the loopback address."""
    chart = module_folder(KUEUE, "sigs.k8s.io/kueue") / "charts/kueue"
    text = Helm(program=binary(HELM), home=home).run(
        "template", _RELEASE, str(chart), "--namespace", NAMESPACE,
        values={"managerConfig": {"controllerManagerConfigYaml": json.dumps(configuration)}},
    )  # fmt: skip
    rendered = (each for each in yaml.load_all(text, _LOADER) if each is not None)
    return tuple(
        _on_loopback(each, webhook_port) for each in rendered if each["kind"] not in _LEFT_OUT
    )


def apply(api: Api, document: Document) -> None:
    """Creates or changes an object."""
    api.patch(path_of(document), document, kind="apply", fieldManager="tests", force="true")


def path_of(document: Document) -> str:
    """Where the API server keeps an object, of the kinds that the chart has."""
    version, kind, metadata = document["apiVersion"], document["kind"], document["metadata"]
    group = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    place = f"/namespaces/{metadata['namespace']}" if kind in _IN_A_NAMESPACE else ""
    return f"{group}{place}/{kind.lower()}s/{metadata['name']}"


def _on_loopback(document: Document, webhook_port: int) -> Document:
    """There is no Service network, but an ExternalName is dialled as it stands, and the certificate is still that of the Service."""
    kind, metadata = document["kind"], document["metadata"]
    if kind not in _IN_A_NAMESPACE:
        metadata.pop("namespace", None)
    if kind == "Service" and metadata["name"] == WEBHOOK_SERVICE:
        document["spec"] = {"type": "ExternalName", "externalName": HOST}
    for client in _webhook_clients(document):
        client["service"]["port"] = webhook_port
    return document


def _webhook_clients(document: Document) -> list[Document]:
    if document["kind"] in WEBHOOKS:
        return [each["clientConfig"] for each in document["webhooks"]]
    conversion = document.get("spec", {}).get("conversion") or {}
    return [conversion["webhook"]["clientConfig"]] if "webhook" in conversion else []
