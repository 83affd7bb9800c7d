"""How a TrainingCluster is reached: the kubeconfig in its Secret, read with care, and what keeps it from being used, in one word.

Whoever may write that Secret must not get more than a connection to a server of their choice: paths to files of the operator's
own are refused, and so are programs unless somebody switched them on.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException, load_kube_config_from_dict

from lightcompute.api.reasons import Reason
from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.exec_plugin import ProgramFault, credential_from, program_of
from lightcompute.kube.faults import Forbidden, Unauthorized
from lightcompute.kube.kubeconfig import (
    CERTIFICATES,
    Part,
    Unusable,
    invalid,
    parts_of,
)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A server, and who we are there."""

    configuration: Configuration
    has_program: bool = False
    """Whether the credentials are a program's, which gives others when it is run again."""
    expires_time: datetime | None = None
    """Until when they hold, as the program says."""


async def connection_of(
    kubeconfig: bytes, *, context: str | None, folder: Path, allow_programs: bool, now: datetime
) -> Connection:
    """The server and the credentials that `context` of `kubeconfig` names, or its current one; certificates are put into `folder`.

    Other contexts in it are not looked at. Raises Unusable.
    """
    cluster, user = parts_of(kubeconfig, context, allow_programs=allow_programs)
    expires = None
    if has_program := bool(user.get("exec")):
        user, expires = await _by_program(user, cluster, now)
    _put_into_files(cluster, folder)
    _put_into_files(user, folder)
    configuration = await _loaded(cluster, user)
    _check_certificates(configuration)
    return Connection(configuration=configuration, has_program=has_program, expires_time=expires)


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


async def _by_program(user: Part, cluster: Part, now: datetime) -> tuple[Part, datetime | None]:
    """`user` with what its program gives, and until when that holds."""
    try:
        given = await credential_from(program_of(user["exec"]), cluster, now)
    except ProgramFault as fault:
        raise Unusable(Reason.EXEC_FAILED, str(fault)[:600]) from fault
    found: Part = {}
    if given.token:
        found["token"] = given.token
    if given.certificate and given.key:
        found["client-certificate-data"] = base64.b64encode(given.certificate.encode()).decode()
        found["client-key-data"] = base64.b64encode(given.key.encode()).decode()
    return found, given.expires_time


def _put_into_files(part: Part, folder: Path) -> None:
    for key, name in CERTIFICATES.items():
        if key not in part:
            continue
        try:
            contents = base64.b64decode(str(part.pop(key) or ""), validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid(f"{key} in the kubeconfig is no base64") from error
        if contents:
            file = folder / name
            file.touch(mode=0o600)
            file.write_bytes(contents)
            part[name] = str(file)


async def _loaded(cluster: Part, user: Part) -> Configuration:
    configuration = Configuration()
    document = {
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    try:
        await load_kube_config_from_dict(document, client_configuration=configuration)
    except (ConfigException, OSError, KeyError, TypeError, ValueError) as error:
        told = " ".join(str(error).split())[:300]
        raise invalid(f"the kubeconfig cannot be used: {told}") from error
    return configuration


def _check_certificates(configuration: Configuration) -> None:
    """Reads them once: what the client cannot read would be a fault of the process."""
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(
                configuration.cert_file, keyfile=configuration.key_file, password=""
            )
    except (ssl.SSLError, OSError, ValueError) as error:
        told = " ".join(str(error).split())[:200]
        raise invalid(f"a certificate or key in the kubeconfig cannot be read: {told}") from error
