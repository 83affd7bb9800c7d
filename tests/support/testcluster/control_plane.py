"""A real control plane as plain processes: etcd, API server, controller manager, scheduler, and kwok for nodes that exist in name only.

Everything of it lies in one folder and listens on free loopback ports, so several stand side by side. It ends with `stop`, and with the
process that started it, however that ends. It is started by a thread that lives as long as it should: the kernel takes a thread's end for
its parent's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from support.testcluster import flags
from support.testcluster.cluster import Cluster
from support.testcluster.components import (
    START_SECONDS,
    kill,
    make_components,
    new_layout,
    prepare,
    start,
)
from support.testcluster.flags import HOST, Layout
from support.testcluster.kubeconfig import Access, write_kubeconfig
from support.testcluster.kubelet import SimulatedKubelet
from support.testcluster.nodes import LOST, MANAGED, POOL, gpu_node, is_ready, is_unreachable, lost
from support.testcluster.processes import Component

_FIRST = ("etcd", "kube-apiserver")
"""The others are told by their kubeconfigs whom to trust, and the API server makes its certificate when it starts."""


class ControlPlane(Cluster):
    """One control plane of our own."""

    is_simulated = True

    def __init__(
        self,
        *,
        name: str,
        layout: Layout,
        access: Access,
        components: Mapping[str, Component],
        audit_log: Path | None,
    ):
        super().__init__(
            name=name, folder=layout.folder, kubeconfig=layout.kubeconfig("admin"), access=access
        )
        self.layout = layout
        self.audit_log = audit_log
        self._components = components
        self._kubelet = SimulatedKubelet(
            port=layout.kubelet_port,
            certificate=layout.ca_file,
            key=layout.certificates / "apiserver.key",
            api=self.api,
        )

    @classmethod
    def start(
        cls,
        folder: Path,
        name: str = "us-ord1",
        *,
        apiserver_flags: tuple[str, ...] = (),
        controller_manager_flags: tuple[str, ...] = (),
        scheduler_flags: tuple[str, ...] = (),
        audit: bool = False,
        kwok: bool = True,
        users: Mapping[str, str] | None = None,
        host: str = HOST,
        within: tuple[str, ...] = (),
    ) -> Self:
        """Starts one and waits until it is ready. Raises `NoBinaries` where the programs cannot be built.

        Flags are added behind ours and win over them. `audit` has every request written to `audit_log`. `users` are further users
        with their group, each of whom gets a kubeconfig. `within` is a command that runs the components where `host` is an address.
        """
        layout = new_layout(folder, host)
        tokens = prepare(layout, {**flags.USERS, **(users or {})})
        audit_log = folder / "audit.log" if audit else None
        commands = {
            "etcd": flags.etcd(layout),
            "kube-apiserver": (*flags.apiserver(layout, audit_log=audit_log), *apiserver_flags),
            "kube-controller-manager": (*flags.controller_manager(layout), *controller_manager_flags),
            "kube-scheduler": (*flags.scheduler(layout), *scheduler_flags),
        }  # fmt: skip
        components = make_components(layout, commands, tokens, kwok=kwok, within=within)
        access = Access(
            server=f"https://{host}:{layout.apiserver_port}",
            token=tokens["admin"],
            ca_file=layout.ca_file,
        )
        try:
            start(components, _FIRST)
            for user, token in tokens.items():
                own = Access(server=access.server, token=token, ca_file=access.ca_file)
                write_kubeconfig(layout.kubeconfig(user), own, name=name)
            start(components, tuple(each for each in components if each not in _FIRST))
            return cls(
                name=name, layout=layout, access=access, components=components, audit_log=audit_log
            )
        except BaseException:
            kill(components)
            raise

    @property
    def components(self) -> tuple[Component, ...]:
        """Its processes."""
        return tuple(self._components.values())

    @property
    def pids(self) -> tuple[int, ...]:
        """Numbers of its processes."""
        return tuple(component.pid for component in self.components)

    def component(self, name: str) -> Component:
        """One of etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok."""
        return self._components[name]

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Waits until every component says that it is ready."""
        for component in self.components:
            component.wait_ready(seconds)

    def add_nodes(
        self,
        count: int,
        gpu_type: str = "A100-40GB",
        *,
        gpus: int = 8,
        labels: Mapping[str, str] | None = None,
        taints: tuple[dict[str, str], ...] = (),
        pool: str | None = None,
    ) -> tuple[str, ...]:
        """Adds simulated nodes to a pool and waits until they are ready; gives their names."""
        pool = pool or gpu_type.lower()
        there = self.api.get("/api/v1/nodes", labelSelector=f"{POOL}={pool}")["items"]
        names = tuple(f"{pool}-{number}" for number in range(len(there), len(there) + count))
        for name in names:
            node = gpu_node(
                name,
                gpu_type=gpu_type,
                gpus=gpus,
                kubelet_port=self.layout.kubelet_port,
                labels={POOL: pool, "topology.kubernetes.io/region": self.name, **(labels or {})},
                taints=taints,
            )
            self.api.post("/api/v1/nodes", node)
        for name in names:
            self.api.eventually(f"/api/v1/nodes/{name}", is_ready)
        return names

    def lose_node(self, name: str) -> None:
        """The node is heard from no more: it is Unknown, its pods stay as they are, and the controllers do the rest.

        A trainer that was going to end by itself still does; one that never ends stays.
        """
        path = f"/api/v1/nodes/{name}"
        self.api.patch(path, {"metadata": {"labels": {MANAGED: None}}})
        status = lost(datetime.now(UTC).isoformat())
        self.api.patch(f"{path}/status", {"status": status}, kind="strategic")
        self._mark_pods(name, lost="true")
        self.api.eventually(path, is_unreachable)

    def find_node(self, name: str) -> None:
        """A lost node is back, with its pods."""
        path = f"/api/v1/nodes/{name}"
        endpoint = {"kubeletEndpoint": {"Port": self.layout.kubelet_port}}
        self.api.patch(
            f"{path}/status", {"status": {"daemonEndpoints": endpoint}}, kind="strategic"
        )
        self.api.patch(path, {"metadata": {"labels": {MANAGED: "true"}}})
        self.api.eventually(path, is_ready)
        self._mark_pods(name, lost=None)

    def _mark_pods(self, node: str, *, lost: str | None) -> None:
        """The stages leave marked pods alone: kwok hears of the node and of its pods by two watches, in either order."""
        pods = self.api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")["items"]
        for pod in pods:
            path = (
                f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            )
            self.api.patch(path, {"metadata": {"annotations": {LOST: lost}}})

    def stop(self) -> None:
        """Ends every process, and waits until all are gone."""
        self._kubelet.stop()
        super().stop()
        kill(self._components)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
