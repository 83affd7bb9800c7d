"""The pod security standard "restricted" of Kubernetes, with all of "baseline" in it, written from its published rules.

Strict where the standard leaves a choice to a pod or its containers: what neither says is a violation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]

VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
SELINUX_TYPES = frozenset(
    {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
)
CONFINED = frozenset({"RuntimeDefault", "Localhost"})
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe")


def violations(template: Document) -> tuple[str, ...]:
    """What "restricted" has against a pod of this template; nothing where it takes it."""
    spec = template["spec"]
    found = [*_of_pod(spec), *_of_annotations(template.get("metadata") or {})]
    pod = spec.get("securityContext") or {}
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(key) or ():
            found += [f"{container['name']}: {text}" for text in _of_container(container, pod)]
    return tuple(found)


def _of_pod(spec: Document) -> Iterator[str]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(key):
            yield f"{key} is set"
    for volume in spec.get("volumes") or ():
        kinds = volume.keys() - {"name"}
        if len(kinds) != 1 or not kinds <= VOLUMES:
            yield f"volume {volume['name']} is of kind {sorted(kinds)}"
    context = spec.get("securityContext") or {}
    yield from _of_context(context)
    for sysctl in context.get("sysctls") or ():
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']} is set"


def _of_annotations(metadata: Document) -> Iterator[str]:
    for key, value in (metadata.get("annotations") or {}).items():
        allowed = value in {"", "runtime/default"} or value.startswith("localhost/")
        if key.startswith(_APPARMOR) and not allowed:
            yield f"annotation {key} is {value}"


def _of_context(context: Document) -> Iterator[str]:
    """What a pod and a container may both say."""
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "windowsOptions.hostProcess is set"
    linux = context.get("seLinuxOptions") or {}
    if linux.get("type", "") not in SELINUX_TYPES or linux.get("user") or linux.get("role"):
        yield f"seLinuxOptions are {linux}"
    if (context.get("seccompProfile") or {"type": "RuntimeDefault"})["type"] not in CONFINED:
        yield "seccompProfile is not confined"
    armor = (context.get("appArmorProfile") or {"type": "RuntimeDefault"})["type"]
    if armor not in CONFINED:
        yield f"appArmorProfile is {armor}"
    if context.get("runAsUser") == 0:
        yield "runAsUser is 0"


def _of_container(container: Document, pod: Document) -> Iterator[str]:
    context = container.get("securityContext") or {}
    yield from _of_context(context)
    if context.get("privileged"):
        yield "privileged is set"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    if not (context.get("seccompProfile") or pod.get("seccompProfile")):
        yield "there is no seccompProfile"
    if context.get("procMount", "Default") != "Default":
        yield f"procMount is {context['procMount']}"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "capabilities.drop has no ALL"
    if set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
        yield f"capabilities.add is {capabilities['add']}"
    if any(port.get("hostPort") for port in container.get("ports") or ()):
        yield "a hostPort is set"
    if any(_names_a_host(handler) for handler in _handlers(container)):
        yield "a probe or hook names a host"


def _handlers(container: Document) -> Iterator[Document]:
    yield from (container.get(key) or {} for key in _HANDLERS)
    yield from (container.get("lifecycle") or {}).values()


def _names_a_host(handler: Document) -> bool:
    return any((handler.get(kind) or {}).get("host") for kind in ("httpGet", "tcpSocket"))
