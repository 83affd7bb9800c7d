"""One real node: a kubelet that runs pods with containerd, their network, and the name server they ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from support.realnode.programs import COREDNS
from support.realnode.space import Space
from support.realnode.store import NETWORKS, SOCKET
from support.testcluster.binaries import CONTROL_PLANE, binary
from support.testcluster.processes import Component, Endpoint

NAME = "real-1"
DOMAIN = "cluster.local"
USER = f"system:node:{NAME}"
GROUP = "system:nodes"
PODS = "10.244.0.0/16"
SERVICE = "10.96.0.1"
"""Address of the Service `kubernetes`: the first of the API server's range."""
_KUBELET_PORT = 10250
_HEALTH_PORT = 10248
_NAMES_READY_PORT = 8181


def network(space: Space, *, api_port: int) -> None:
    """A bridge for pods, and the one Service that they need: the API server's, since there is no kube-proxy."""
    conflist = {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "pods",
                "isGateway": True,
                "ipMasq": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    folder = space.outside(NETWORKS)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pods.conflist").write_text(json.dumps(conflist), encoding="utf-8")
    for chain in ("PREROUTING", "OUTPUT"):
        space.run(
            "iptables", "-t", "nat", "-A", chain, "-d", SERVICE, "-p", "tcp", "--dport", "443",
            "-j", "DNAT", "--to-destination", f"{space.host}:{api_port}",
        )  # fmt: skip


def name_server(space: Space, *, kubeconfig: Path) -> Component:
    """CoreDNS, with nothing but the names of the cluster."""
    corefile = space.folder / "Corefile"
    corefile.write_text(
        f"""\
{DOMAIN}:53 10.in-addr.arpa:53 {{
    errors
    ready {space.host}:{_NAMES_READY_PORT}
    kubernetes {DOMAIN} 10.in-addr.arpa {{
        kubeconfig {kubeconfig}
    }}
}}
""",
        encoding="utf-8",
    )
    return Component(
        "coredns",
        (*space.network, str(binary(COREDNS)), "-conf", str(corefile)),
        log=space.folder / "coredns.log",
        ready=Endpoint(host=space.host, port=_NAMES_READY_PORT, path="/ready", secure=False),
    )


def kubelet(space: Space, *, kubeconfig: Path, cgroup: str, labels: dict[str, str]) -> Component:
    """The kubelet, as of a machine of its own."""
    config = space.folder / "kubelet.yaml"
    # Names of the machine that the rig runs on are nothing to a pod.
    resolver = space.folder / "resolv.conf"
    resolver.write_text("", encoding="ascii")
    document = _config(space.host, cgroup=cgroup, resolver=resolver)
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    command = (
        str(binary(CONTROL_PLANE)),
        "kubelet",
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={NAME}",
        f"--node-ip={space.host}",
        f"--node-labels={','.join(f'{key}={value}' for key, value in labels.items())}",
    )
    return Component(
        "kubelet",
        (*space.inside, *command),
        log=space.folder / "kubelet.log",
        ready=Endpoint(host=space.host, port=_HEALTH_PORT, path="/healthz", secure=False),
    )


def _config(host: str, *, cgroup: str, resolver: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": host,
        "port": _KUBELET_PORT,
        "healthzBindAddress": host,
        "healthzPort": _HEALTH_PORT,
        # Nobody but the rig reaches it, and the API server has no certificate to show.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failSwapOn": False,
        "failCgroupV1": False,
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "clusterDNS": [host],
        "clusterDomain": DOMAIN,
        "resolvConf": str(resolver),
        # The machine is shared with whatever else runs on it: its disk and memory say nothing about pods.
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "localStorageCapacityIsolation": False,
        # Tests wait for pods.
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
        "serializeImagePulls": False,
        "maxPods": 60,
    }  # fmt: skip
