"""A real cluster of one node on this machine: pods are processes, images are images. For the tests that need no less.

Everything is in namespaces of its own (see `space`), which tests reach at one address. Ends with `stop`, or with the process that started it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.realnode import cgroups, node, store
from support.realnode.images import pause
from support.realnode.programs import ready
from support.realnode.space import Space
from support.realnode.store import Store
from support.testcluster.api import Api, Document
from support.testcluster.control_plane import ControlPlane

GPU_TYPE = "A100-40GB"
GPU_RESOURCE = "nvidia.com/gpu"
LABELS = {"lightcompute.dev/gpu-type": GPU_TYPE, "topology.kubernetes.io/region": "us-ord1"}
_READY_SECONDS = 120


@dataclass(frozen=True, kw_only=True)
class Rig:
    """The cluster, and what is beneath it."""

    folder: Path
    plane: ControlPlane
    space: Space
    store: Store

    @property
    def api(self) -> Api:
        """Its API server, as an administrator."""
        return self.plane.api

    @property
    def kubeconfig(self) -> Path:
        """For helm, kubectl and our own commands; of an administrator."""
        return self.plane.kubeconfig


@contextmanager
def running(folder: Path, *, gpus: int = 4) -> Iterator[Rig]:
    """A rig with that many GPUs in name. Raises `NoRealNode` where the machine cannot have one."""
    ready()
    with store.alone(), _running(folder, "containerd", gpus) as rig:
        yield rig


@contextmanager
def running_beside(rig: Rig, folder: Path, *, gpus: int = 4) -> Iterator[Rig]:
    """A second one, of which what runs in `rig` reaches the API server, and whose pods reach what listens there."""
    with _running(folder, "containerd-beside", gpus) as second:
        second.space.link(rig.space)
        yield second


@contextmanager
def _running(folder: Path, images_in: str, gpus: int) -> Iterator[Rig]:
    with ExitStack() as stack:
        cgroup = cgroups.make(images_in)
        stack.callback(cgroups.remove, cgroup)
        images = store.cache() / images_in
        space = stack.enter_context(Space.make(folder / "node", binds={images: store.SEEN}))
        plane = stack.enter_context(_control_plane(folder / "control-plane", space))
        rig = Rig(folder=folder, plane=plane, space=space, store=_store(space))
        stack.callback(rig.store.stop)
        _start_node(rig, cgroup, stack)
        _give_gpus(rig.api, gpus)
        yield rig


def _control_plane(folder: Path, space: Space) -> ControlPlane:
    return ControlPlane.start(
        folder,
        audit=True,
        kwok=False,
        users={node.USER: node.GROUP},
        # Its name is known to nobody.
        apiserver_flags=("--kubelet-preferred-address-types=InternalIP",),
        host=space.host,
        within=space.network,
    )


def _store(space: Space) -> Store:
    made = Store(space, pause_image=pause.NAME)
    made.start()
    made.load(pause.NAME, pause.archive)
    return made


def _start_node(rig: Rig, cgroup: str, stack: ExitStack) -> None:
    node.network(rig.space, api_port=rig.plane.layout.apiserver_port)
    names = node.name_server(rig.space, kubeconfig=rig.kubeconfig)
    kubelet = node.kubelet(
        rig.space,
        kubeconfig=rig.plane.layout.kubeconfig(node.USER),
        cgroup=cgroup,
        labels=LABELS,
    )
    for component in (names, kubelet):
        stack.callback(component.kill)
        component.start()
    for component in (names, kubelet):
        component.wait_ready()
    rig.api.eventually(f"/api/v1/nodes/{node.NAME}", _is_ready, seconds=_READY_SECONDS)


def _is_ready(found: Document) -> bool:
    tainted = any(each["effect"] == "NoSchedule" for each in found["spec"].get("taints", ()))
    conditions = {each["type"]: each["status"] for each in found["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and not tainted


def _give_gpus(api: Api, gpus: int) -> None:
    """GPUs in name: pods that ask for them are counted, and compute on the processor."""
    name = GPU_RESOURCE.replace("/", "~1")
    patch = [
        {"op": "add", "path": f"/status/{field}/{name}", "value": str(gpus)}
        for field in ("capacity", "allocatable")
    ]
    api.patch(f"/api/v1/nodes/{node.NAME}/status", patch, kind="json")
