"""What a person's kubeconfig says: that it can be read at all, and which namespace is meant where a command is told none."""

from __future__ import annotations

import os
from pathlib import Path

import yaml
from kubernetes.aio.config import (
    KUBE_CONFIG_DEFAULT_LOCATION,
    ConfigException,
    list_kube_config_contexts,
)

from runcontract.faults import ConfigurationFault, Fault

_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT = "default"


def check_readable(kubeconfig: Path | None) -> None:
    """Raises ConfigurationFault for a kubeconfig that does not exist or is no YAML: the client has no words for either."""
    given = kubeconfig or os.environ.get("KUBECONFIG")
    if given is None and _POD_NAMESPACE.exists():
        return
    listed = str(given or KUBE_CONFIG_DEFAULT_LOCATION).split(os.pathsep)
    files = [file for name in listed if name and (file := Path(name).expanduser()).is_file()]
    if not files:
        raise _unusable(os.pathsep.join(listed), "no such file")
    for file in files:
        try:
            yaml.safe_load(file.read_text("utf-8"))
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise _unusable(str(file), " ".join(str(error).split())[:200]) from error


def namespace_of(kubeconfig: Path | None, context: str | None) -> str:
    """The namespace of `context` (or of the current one); a file that does not say gives `default`."""
    given = kubeconfig or os.environ.get("KUBECONFIG")
    if given is None and context is None and _POD_NAMESPACE.exists():
        return _POD_NAMESPACE.read_text("utf-8").strip() or DEFAULT
    try:
        contexts, current = list_kube_config_contexts(None if given is None else str(given))
    except (ConfigException, OSError):
        return DEFAULT
    named = {each["name"]: each for each in contexts}
    chosen = named.get(context) if context is not None else current
    return str(((chosen or {}).get("context") or {}).get("namespace") or DEFAULT)


def _unusable(file: str, found: str) -> ConfigurationFault:
    return ConfigurationFault(
        Fault(
            where=f"kubeconfig {file}",
            found=found,
            expected="a file that says where the cluster is",
            action="Give --kubeconfig or set KUBECONFIG; without a cluster, `lightcompute run` trains on this machine.",
        )
    )
