"""What a kubeconfig in a Secret may say: the cluster and the user of one context, checked before anything of it is used.

What is not known to be obeyed is refused, not passed over: a person who wrote it meant something by it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import urlsplit

import yaml

from lightcompute.api.reasons import Reason
from lightcompute.kube.client import Document
from lightcompute.kube.exec_plugin import holds_line_break, program_of

CERTIFICATES = {
    "certificate-authority-data": "certificate-authority",
    "client-certificate-data": "client-certificate",
    "client-key-data": "client-key",
}
"""Keys with certificates and keys as base64, and those with paths that stand for the same."""
_PATHS = (*CERTIFICATES.values(), "tokenFile")
_TEXTS = ("server", "tls-server-name", "proxy-url", "token", "username", "password", *CERTIFICATES, *_PATHS)  # fmt: skip
_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")
_PAIRS = (("username", "password"), ("client-certificate-data", "client-key-data"))
LARGEST_BYTES = 1 << 20
Part = dict[str, Any]


class Unusable(Exception):
    """The connection cannot be used, and `reason` says why; it is looked at again later."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def kubeconfig_in(secret: Document, key: str) -> bytes:
    """The kubeconfig under `key` of a Secret. Raises Unusable."""
    name = secret["metadata"]["name"]
    data = secret.get("data") or {}
    if key not in data:
        keys = ", ".join(sorted(data)[:5]) or "none"
        raise Unusable(Reason.SECRET_MISSING, f"the Secret {name} has no key {key}; it has {keys}")
    try:
        return base64.b64decode(data[key], validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid(f"{key} in the Secret {name} is no base64") from error


def parts_of(kubeconfig: bytes, context: str | None, *, allow_programs: bool) -> tuple[Part, Part]:
    """The cluster and the user that `context` of `kubeconfig` names, or its current one. Raises Unusable.

    Other contexts in it are not looked at.
    """
    cluster, user = _chosen(_document(kubeconfig), context)
    _check(cluster, user, allow_programs=allow_programs)
    return cluster, user


def invalid(told: str) -> Unusable:
    """What is wrong with a kubeconfig, to be raised."""
    return Unusable(Reason.KUBECONFIG_INVALID, told[:600])


def _document(kubeconfig: bytes) -> Part:
    if len(kubeconfig) > LARGEST_BYTES:
        raise invalid("the kubeconfig is larger than 1 MiB")
    try:
        document = yaml.safe_load(kubeconfig.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())[:200]
        raise invalid(f"the kubeconfig is no YAML: {told}") from error
    if not isinstance(document, dict):
        raise invalid("the kubeconfig is no document with keys")
    for plural in ("clusters", "users", "contexts"):
        if not _items(document, plural):
            raise invalid(f"the kubeconfig has no {plural}")
    return document


def _items(document: Part, plural: str) -> list[Part]:
    found = document.get(plural)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _chosen(document: Part, context: str | None) -> tuple[Part, Part]:
    """The cluster and the user of the context."""
    name = context or document.get("current-context")
    if not name:
        raise invalid("the kubeconfig has no current-context: set it, or connection.context")
    chosen = _named(document, "context", name)
    cluster = _named(document, "cluster", chosen.get("cluster"))
    user = _named(document, "user", chosen["user"]) if chosen.get("user") else {}
    return dict(cluster), dict(user)


def _named(document: Part, kind: str, name: object) -> Part:
    items = _items(document, f"{kind}s")
    found = [each.get(kind) for each in items if each.get("name") == name]
    if len(found) != 1:
        names = ", ".join(str(each.get("name")) for each in items[:5])
        many = "more than one" if found else "no"
        raise invalid(f"the kubeconfig has {many} {kind} {name}; it has {names}")
    if found[0] is not None and not isinstance(found[0], dict):
        raise invalid(f"the {kind} {name} of the kubeconfig is nothing with keys")
    return found[0] or {}


def _check(cluster: Part, user: Part, *, allow_programs: bool) -> None:
    both = {**cluster, **user}
    for key in _PATHS:
        if both.get(key):
            raise invalid(
                f"the kubeconfig names the file {key}: {both[key]}, which is not in the Secret; give its contents (kubectl config view --flatten --minify)"
            )
    for key in _TEXTS:
        if both.get(key) is not None and not isinstance(both[key], str):
            raise invalid(f"{key} in the kubeconfig is no text; put it into quotes")
    _check_server(cluster)
    _check_user(user, allow_programs=allow_programs)


def _check_server(cluster: Part) -> None:
    server = cluster.get("server")
    if urlsplit(server or "").scheme not in {"https", "http"}:
        raise invalid(f"the server {server} is no address")
    skips = cluster.get("insecure-skip-tls-verify", False)
    if not isinstance(skips, bool):
        raise invalid("insecure-skip-tls-verify in the kubeconfig is neither true nor false")
    if skips and cluster.get("certificate-authority-data"):
        raise invalid(
            "the kubeconfig has insecure-skip-tls-verify and certificate-authority-data: one of them has to go"
        )
    proxy = cluster.get("proxy-url")
    if proxy and urlsplit(proxy).scheme not in {"https", "http"}:
        raise invalid("proxy-url in the kubeconfig has to begin with http:// or https://")


def _check_user(user: Part, *, allow_programs: bool) -> None:
    if user.get("auth-provider"):
        raise invalid(
            "the kubeconfig has an auth-provider, which Kubernetes has removed: use a token, a certificate or exec"
        )
    impersonated = next((key for key in _IMPERSONATION if user.get(key)), None)
    if impersonated is not None:
        raise invalid(
            f"the kubeconfig acts for another account ({impersonated}), which is not done: give the credentials of the account itself"
        )
    for one, other in (*_PAIRS, *(pair[::-1] for pair in _PAIRS)):
        if user.get(one) and not user.get(other):
            raise invalid(f"the kubeconfig has {one} without {other}")
    if holds_line_break(user.get("token")):
        raise invalid("the token in the kubeconfig has a line break in it, or another such sign")
    if not user.get("exec"):
        return
    if not allow_programs:
        raise Unusable(
            Reason.EXEC_REFUSED,
            "the kubeconfig wants exec for its credentials, which the operator does not run unless --allow-exec-plugins is given",
        )
    try:
        program_of(user["exec"])
    except ValueError as error:
        raise invalid(f"the kubeconfig cannot be used: {error}") from error
