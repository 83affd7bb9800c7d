"""Reading and writing kubeconfig files: how a cluster is reached, and by whom."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, kw_only=True)
class Access:
    """How to reach one API server: what a kubeconfig's current context says."""

    server: str
    token: str = ""
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


def write_kubeconfig(path: Path, access: Access, *, name: str) -> Path:
    """A kubeconfig with one cluster, one user and one context, all called `name`; readable by its owner only."""
    cluster: dict[str, Any] = {"server": access.server}
    if access.ca_file is not None:
        cluster["certificate-authority-data"] = _encoded(access.ca_file)
    user: dict[str, Any] = {"token": access.token} if access.token else {}
    if access.client_certificate is not None and access.client_key is not None:
        user["client-certificate-data"] = _encoded(access.client_certificate)
        user["client-key-data"] = _encoded(access.client_key)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def read_kubeconfig(path: Path, *, folder: Path) -> Access:
    """What the current context of a kubeconfig says; certificates that stand in it are written to `folder`.

    Only tokens and client certificates are read: whoever logs in by a command of their cloud makes a token first.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    context = _named(document, "contexts", document.get("current-context", ""))["context"]
    cluster = _named(document, "clusters", context["cluster"])["cluster"]
    user = _named(document, "users", context["user"])["user"]
    access = Access(
        server=cluster["server"],
        token=user.get("token", ""),
        ca_file=_file(cluster, "certificate-authority", folder),
        client_certificate=_file(user, "client-certificate", folder),
        client_key=_file(user, "client-key", folder),
    )
    if not access.token and access.client_certificate is None:
        raise ValueError(
            f"{path}: the user {context['user']!r} has neither a token nor a client certificate, expected one of them"
        )
    return access


def _named(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in document.get(kind) or ():
        if entry["name"] == name:
            return dict(entry)
    raise ValueError(f"the kubeconfig has no entry {name!r} in {kind}")


def _file(entry: dict[str, Any], key: str, folder: Path) -> Path | None:
    if data := entry.get(f"{key}-data"):
        path = folder / f"{key}.pem"
        path.touch(mode=0o600)
        path.write_bytes(base64.b64decode(data))
        return path
    return Path(entry[key]) if entry.get(key) else None


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
