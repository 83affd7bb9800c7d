"""How a TrainingCluster is reached: the kubeconfig in its Secret, read with care, and what keeps it from being used, in one word.

Whoever may write that Secret must not get more than a connection to a server of their choice: paths to files of the operator's
own are refused, and so are programs unless somebody switched them on.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config_from_dict

from lightcompute.api.reasons import Reason
from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.client import Document
from lightcompute.kube.faults import Forbidden, Unauthorized

_DATA = {
    "certificate-authority-data": "certificate-authority",
    "client-certificate-data": "client-certificate",
    "client-key-data": "client-key",
}
_PATHS = (*_DATA.values(), "tokenFile")
_PROGRAMS = ("exec", "auth-provider")
LARGEST_BYTES = 1 << 20


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
        raise Unusable(
            Reason.KUBECONFIG_INVALID, f"{key} in the Secret {name} is no base64"
        ) from error


async def configuration_of(
    kubeconfig: bytes, *, context: str | None, folder: Path, allow_programs: bool
) -> Configuration:
    """The server and the credentials that `kubeconfig` names; certificates are put into `folder`. Raises Unusable."""
    document = _document(kubeconfig)
    if context is None and not document.get("current-context"):
        raise Unusable(
            Reason.KUBECONFIG_INVALID,
            "the kubeconfig has no current-context: set it, or connection.context",
        )
    parts = [
        part.get(kind)
        for plural, kind in (("clusters", "cluster"), ("users", "user"))
        for part in _items(document, plural)
    ]
    for number, part in enumerate(each for each in parts if isinstance(each, dict)):
        _check(part, allow_programs=allow_programs)
        _put_into_files(part, folder, number)
    configuration = Configuration()
    try:
        await load_kube_config_from_dict(
            document, context=context, client_configuration=configuration
        )
    except (ConfigException, OSError, KeyError, TypeError, ValueError) as error:
        told = " ".join(str(error).split())[:300]
        raise Unusable(
            Reason.KUBECONFIG_INVALID, f"the kubeconfig cannot be used: {told}"
        ) from error
    if not str(configuration.host).startswith(("https://", "http://")):
        raise Unusable(Reason.KUBECONFIG_INVALID, f"the server {configuration.host} is no address")
    return configuration


def why_unusable(fault: TemporaryFault | PermanentFault) -> Unusable:
    """What a failed request says about the connection."""
    told = str(fault)[:600]
    cause = fault.__cause__
    if isinstance(fault, Unauthorized):
        return Unusable(Reason.CREDENTIALS_REFUSED, told)
    if isinstance(fault, Forbidden):
        return Unusable(Reason.RIGHTS_MISSING, told)
    if isinstance(cause, aiohttp.ClientSSLError):
        return Unusable(Reason.CERTIFICATE_INVALID, told)
    return Unusable(Reason.NO_ANSWER, told)


def _document(kubeconfig: bytes) -> dict[str, Any]:
    if len(kubeconfig) > LARGEST_BYTES:
        raise Unusable(Reason.KUBECONFIG_INVALID, "the kubeconfig is larger than 1 MiB")
    try:
        document = yaml.safe_load(kubeconfig.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())[:200]
        raise Unusable(Reason.KUBECONFIG_INVALID, f"the kubeconfig is no YAML: {told}") from error
    if not isinstance(document, dict):
        raise Unusable(Reason.KUBECONFIG_INVALID, "the kubeconfig is no document with keys")
    for plural in ("clusters", "users", "contexts"):
        if not _items(document, plural):
            raise Unusable(Reason.KUBECONFIG_INVALID, f"the kubeconfig has no {plural}")
    return document


def _items(document: dict[str, Any], plural: str) -> list[dict[str, Any]]:
    found = document.get(plural)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _check(part: dict[str, Any], *, allow_programs: bool) -> None:
    for key in _PATHS:
        if part.get(key):
            raise Unusable(
                Reason.KUBECONFIG_INVALID,
                f"the kubeconfig names the file {key}: {part[key]}, which is not in the Secret; give its contents (kubectl config view --flatten --minify)",
            )
    for key in _PROGRAMS:
        if part.get(key) and not allow_programs:
            raise Unusable(
                Reason.EXEC_REFUSED,
                f"the kubeconfig wants {key} for its credentials, which the operator does not run unless --allow-exec-plugins is given",
            )


def _put_into_files(part: dict[str, Any], folder: Path, number: int) -> None:
    for key, name in _DATA.items():
        if key not in part:
            continue
        try:
            contents = base64.b64decode(str(part.pop(key)), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Unusable(
                Reason.KUBECONFIG_INVALID, f"{key} in the kubeconfig is no base64"
            ) from error
        file = folder / f"{number}-{name}"
        file.touch(mode=0o600)
        file.write_bytes(contents)
        part[name] = str(file)
