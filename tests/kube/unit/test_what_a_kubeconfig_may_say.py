"""Each form that a kubeconfig may have is used, or refused with one message: nothing in it is passed over, and no file of ours is read."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio.client import Configuration

from lightcompute.api.reasons import Reason
from lightcompute.kube.connection import connection_of
from lightcompute.kube.kubeconfig import Unusable

Document = dict[str, Any]
NOW = datetime(2030, 1, 1, tzinfo=UTC)
TOKEN: Document = {"token": "secret"}
EXEC: Document = {"command": "true", "apiVersion": "client.authentication.k8s.io/v1"}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def a_kubeconfig(cluster: Document | None = None, user: Document | None = None) -> Document:
    server = {"server": "https://127.0.0.1:1"}
    return {
        "clusters": [{"name": "it", "cluster": server | (cluster or {})}],
        "users": [{"name": "it", "user": TOKEN if user is None else user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }


def read(
    document: Document, folder: Path, *, context: str | None = None, programs: bool = False
) -> Configuration:
    found = connection_of(
        yaml.safe_dump(document).encode(),
        context=context,
        folder=folder,
        allow_programs=programs,
        now=NOW,
    )
    return asyncio.run(found).configuration


CLUSTERS_REFUSED = {
    "names the file certificate-authority": {"certificate-authority": "/etc/ssl/ca.pem"},
    "certificate-authority-data in the kubeconfig is no base64": {
        "certificate-authority-data": "%"
    },
    "a certificate or key in the kubeconfig cannot be read": {
        "certificate-authority-data": encoded("no certificate")
    },
    "insecure-skip-tls-verify in the kubeconfig is neither": {"insecure-skip-tls-verify": "false"},
    "one of them has to go": {
        "insecure-skip-tls-verify": True,
        "certificate-authority-data": encoded("x"),
    },
    "proxy-url in the kubeconfig has to begin with": {"proxy-url": "socks5://127.0.0.1:1080"},
    "proxy-url in the kubeconfig is no text": {"proxy-url": 3128},
    "the server 127.0.0.1 is no address": {"server": "127.0.0.1"},
    "server in the kubeconfig is no text": {"server": 5},
    "tls-server-name in the kubeconfig is no text": {"tls-server-name": ["a"]},
}
USERS_REFUSED: dict[str, Document] = {
    "names the file tokenFile": {"tokenFile": "/var/run/secrets/token"},
    "names the file client-certificate": {"client-certificate": "/x.pem", "client-key": "/x.key"},
    "names the file client-key": {"client-certificate-data": encoded("x"), "client-key": "/x.key"},
    "client-certificate-data without client-key-data": {"client-certificate-data": encoded("x")},
    "client-key-data without client-certificate-data": {"client-key-data": encoded("x")},
    "username without password": {"username": "admin"},
    "password without username": {"password": "secret"},
    "has an auth-provider": {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/sh"}}},
    "acts for another account (as)": {**TOKEN, "as": "somebody"},
    "acts for another account (as-groups)": {**TOKEN, "as-groups": ["system:masters"]},
    "the token in the kubeconfig has a line break": {"token": "secret\n"},
    "token in the kubeconfig is no text": {"token": 12345},
    "exec.command: Field required": {"exec": {"apiVersion": EXEC["apiVersion"]}},
    "exec.apiVersion: Input should be": {"exec": {**EXEC, "apiVersion": "v1"}},
    "exec.interactiveMode: Input should be": {"exec": {**EXEC, "interactiveMode": "Always"}},
    "is a path beside a file": {"exec": {**EXEC, "command": "./login"}},
}


@pytest.mark.parametrize(("told", "cluster"), CLUSTERS_REFUSED.items(), ids=str)
def test_what_is_said_of_a_cluster_is_refused_with_one_message(
    told: str, cluster: Document, tmp_path: Path
) -> None:
    with pytest.raises(Unusable) as refused:
        read(a_kubeconfig(cluster), tmp_path)
    assert (refused.value.reason, told in str(refused.value)) == (Reason.KUBECONFIG_INVALID, True)


@pytest.mark.parametrize(("told", "user"), USERS_REFUSED.items(), ids=str)
def test_what_is_said_of_a_user_is_refused_with_one_message(
    told: str, user: Document, tmp_path: Path
) -> None:
    with pytest.raises(Unusable) as refused:
        read(a_kubeconfig(user=user), tmp_path, programs=True)
    assert (refused.value.reason, told in str(refused.value)) == (Reason.KUBECONFIG_INVALID, True)


@pytest.mark.parametrize("user", [{"exec": EXEC}, {"exec": {"command": "./x"}}, {**TOKEN, "exec": EXEC}])  # fmt: skip
def test_a_program_is_refused_unless_it_is_switched_on(user: Document, tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="unless --allow-exec-plugins is given") as refused:
        read(a_kubeconfig(user=user), tmp_path)
    assert refused.value.reason is Reason.EXEC_REFUSED


@pytest.mark.parametrize(
    ("cluster", "user", "expected"),
    [
        ({}, TOKEN, {"api_key": {"BearerToken": "Bearer secret"}, "verify_ssl": True}),
        (
            {},
            {"username": "it", "password": "pass"},
            {"api_key": {"BearerToken": f"Basic {encoded('it:pass')}"}},
        ),
        ({}, {}, {"api_key": {}}),
        ({"insecure-skip-tls-verify": True}, TOKEN, {"verify_ssl": False}),
        ({"insecure-skip-tls-verify": False}, TOKEN, {"verify_ssl": True}),
        ({"tls-server-name": "kubernetes"}, TOKEN, {"tls_server_name": "kubernetes"}),
        ({"proxy-url": "http://a:b@proxy:3128"}, TOKEN, {"proxy": "http://a:b@proxy:3128"}),
        ({"disable-compression": True}, TOKEN, {}),
    ],
)
def test_what_is_known_is_used(
    cluster: Document, user: Document, expected: Document, tmp_path: Path
) -> None:
    found = read(a_kubeconfig(cluster, user), tmp_path)
    assert {key: getattr(found, key) for key in expected} == expected


def test_contexts_that_are_not_used_are_not_looked_at(tmp_path: Path) -> None:
    document = a_kubeconfig()
    document["users"].append({"name": "other", "user": {"exec": EXEC, "tokenFile": "/x"}})
    document["contexts"].append({"name": "other", "context": {"cluster": "it", "user": "other"}})
    assert read(document, tmp_path).api_key == {"BearerToken": "Bearer secret"}
    with pytest.raises(Unusable, match="names the file tokenFile"):
        read(document, tmp_path, context="other")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"current-context": "none"}, "has no context none; it has it"),
        ({"current-context": ""}, "has no current-context"),
        ({"users": [{"name": "other", "user": TOKEN}]}, "has no user it; it has other"),
        ({"clusters": [{"name": "it", "cluster": "here"}]}, "is nothing with keys"),
        ({"clusters": [{"name": "it", "cluster": None}]}, "the server None is no address"),
        ({"users": [{"name": "it"}, {"name": "it"}]}, "has more than one user it"),
        ({"contexts": []}, "the kubeconfig has no contexts"),
    ],
)
def test_what_leads_nowhere_is_told(change: Document, told: str, tmp_path: Path) -> None:
    with pytest.raises(Unusable) as refused:
        read(a_kubeconfig() | change, tmp_path)
    assert (refused.value.reason, told in str(refused.value)) == (Reason.KUBECONFIG_INVALID, True)
