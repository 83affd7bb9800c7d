"""A cluster full of what is not ours: nodes of several pools in several states, pods of others on them, and what must be counted of it.

Nothing runs it: no kubelet, no kwok, no node controller, so that nodes and pods stay as they are made however many there are. What a
kubelet and pods would change all the time is changed by `churn`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from support.testcluster.control_plane import ControlPlane
from support.testcluster.fleet import Pool, make_namespace
from support.testcluster.nodes import GPU, gpu_node

Document = dict[str, Any]
NAMESPACE = "others"
TYPES = ("A100-40GB", "A100-80GB", "L40S")
POOLS = tuple(Pool(gpu_type=gpu_type) for gpu_type in TYPES)
GPUS_PER_NODE = 8
OPERATOR = "operator"
"""The user that the operator is there, by whom its requests are told from those of others."""
HEARTBEAT_SECONDS = 300
"""A kubelet tells its node's status so often when nothing changes. Its Lease, more often, is nothing that the operator watches."""
POD_CHANGE_SECONDS = 600
"""So often something of a pod changes."""
_THREADS = 8
_AUDIT = f"""\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {{level: Metadata, users: ["{OPERATOR}"], verbs: [list, watch]}}
- {{level: None}}
"""
_NODE_KINDS = (*("ready",) * 6, "cordoned", "not ready", "tainted", "no GPUs")
_POD_KINDS = (
    *("running with a GPU",) * 8,
    *("running",) * 5,
    *("succeeded",) * 3,
    "failed",
    *("waits for a node",) * 2,
    "being deleted",
)
_HOLDING = frozenset({"running with a GPU", "being deleted"})
_PHASES = {"succeeded": "Succeeded", "failed": "Failed", "waits for a node": "Pending"}


def start(folder: Path, name: str) -> ControlPlane:
    """An empty one."""
    folder.mkdir(parents=True, exist_ok=True)
    policy = folder / "audit-policy-of-lists.yaml"
    policy.write_text(_AUDIT, encoding="utf-8")
    plane = ControlPlane.start(
        folder,
        name,
        kwok=False,
        users={OPERATOR: "system:masters"},
        apiserver_flags=(
            f"--audit-policy-file={policy}",
            f"--audit-log-path={audit_log(folder)}",
            # It marks each new node as not ready until the node controller has seen it.
            "--disable-admission-plugins=TaintNodesByCondition",
        ),
        controller_manager_flags=(
            # They would take nodes without a kubelet for lost, and what is on them for garbage.
            "--controllers=*,-node-lifecycle-controller,-pod-garbage-collector-controller",
        ),
    )
    try:
        make_namespace(plane, NAMESPACE)
    except BaseException:
        plane.stop()
        raise
    return plane


def audit_log(folder: Path) -> Path:
    """Where the API server notes lists and watches of the operator."""
    return folder / "lists.log"


def make_nodes(plane: ControlPlane, nodes: int) -> None:
    """Makes all of them."""
    _each(lambda number: _make_node(plane, number), range(nodes))


def make_pods(plane: ControlPlane, pods: int, *, nodes: int) -> None:
    """Makes all of them, spread over `nodes`."""
    _each(lambda number: _make_pod(plane, number, nodes), range(pods))


def expected(nodes: int, pods: int) -> dict[str, tuple[int, int, int]]:
    """What is to be counted of each pool: nodes that can be used, their GPUs, and those of them that nobody holds."""
    held = Counter(
        number % nodes for number in range(pods) if nodes and _pod_kind(number, nodes) in _HOLDING
    )
    found = {pool.name: (0, 0, 0) for pool in POOLS}
    for number in range(nodes):
        if _node_kind(number) == "ready":
            pool = _node_type(number).lower()
            usable, whole, free = found[pool]
            free += max(0, GPUS_PER_NODE - held[number])
            found[pool] = usable + 1, whole + GPUS_PER_NODE, free
    return found


class Churn:
    """Changes nodes and pods as kubelets would, without changing what is counted, from `with` to its end."""

    def __init__(self, plane: ControlPlane, nodes: int, pods: int) -> None:
        self._plane = plane
        self._nodes, self._pods = nodes, pods
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._beat, args=each, daemon=True)
            for each in (
                (self._node, nodes, HEARTBEAT_SECONDS),
                (self._pod, pods, POD_CHANGE_SECONDS),
            )
        ]
        self.changes: Counter[str] = Counter()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(30)

    def _beat(self, change: Callable[[int], None], count: int, seconds: float) -> None:
        """Each once in `seconds`, one after the other."""
        begin = time.monotonic()
        for number in itertools.count():
            due = begin + number * seconds / max(1, count)
            if self._end.wait(max(0.0, due - time.monotonic())) or not count:
                return
            change(number % count)

    def _node(self, number: int) -> None:
        status = {"conditions": _conditions(_node_kind(number) != "not ready")}
        path = f"/api/v1/nodes/{_node_name(number)}/status"
        self._plane.api.patch(path, {"status": status}, kind="strategic")
        self.changes["nodes"] += 1

    def _pod(self, number: int) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{_pod_name(number)}"
        note = {"others.invalid/changed": _now()}
        self._plane.api.patch(path, {"metadata": {"annotations": note}})
        self.changes["pods"] += 1


def _each(make: Callable[[int], None], numbers: Iterable[int]) -> None:
    """Several at once. What is still to be made is left out after a fault or Ctrl-C."""
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            for done in [pool.submit(make, number) for number in numbers]:
                done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


# ---- nodes ------------------------------------------------------------------------------------------


def _node_kind(number: int) -> str:
    return _NODE_KINDS[number % len(_NODE_KINDS)]


def _node_type(number: int) -> str:
    return TYPES[number // len(_NODE_KINDS) % len(TYPES)]


def _node_name(number: int) -> str:
    return f"node-{number}"


def _make_node(plane: ControlPlane, number: int) -> None:
    kind = _node_kind(number)
    node = gpu_node(
        _node_name(number),
        gpu_type=_node_type(number),
        gpus=0 if kind == "no GPUs" else GPUS_PER_NODE,
        kubelet_port=plane.layout.kubelet_port,
        labels={f"others.invalid/label-{each}": f"value-{each}" for each in range(12)},
        taints=({"key": "others.invalid/reserved", "effect": "NoSchedule"},)
        if kind == "tainted"
        else (),
    )
    if kind == "no GPUs":
        del node["metadata"]["labels"]["lightcompute.dev/gpu-type"]
    if kind == "cordoned":
        node["spec"]["unschedulable"] = True
    node["status"]["conditions"] = _conditions(kind != "not ready")
    node["status"]["images"] = [
        {
            "names": [f"registry.invalid/team/image-{each}@sha256:{number:032x}{each:032x}"],
            "sizeBytes": 1_000_000 * each,
        }
        for each in range(40)
    ]
    plane.api.post("/api/v1/nodes", node)


def _conditions(ready: bool) -> list[Document]:
    pressures = ("MemoryPressure", "DiskPressure", "PIDPressure")
    states = [*((type_, "False") for type_ in pressures), ("Ready", "True" if ready else "False")]
    return [
        {
            "type": type_,
            "status": status,
            "reason": "KubeletSaysSo",
            "message": "kubelet says so",
            "lastHeartbeatTime": _now(),
        }
        for type_, status in states
    ]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# ---- pods -------------------------------------------------------------------------------------------


def _pod_kind(number: int, nodes: int) -> str:
    """Moved by one each time that all nodes have got a pod, so that a node gets pods of several kinds."""
    return _POD_KINDS[(number + number // nodes) % len(_POD_KINDS)]


def _pod_name(number: int) -> str:
    return f"pod-{number}"


def _make_pod(plane: ControlPlane, number: int, nodes: int) -> None:
    kind, pods = _pod_kind(number, nodes), f"/api/v1/namespaces/{NAMESPACE}/pods"
    plane.api.post(pods, _pod(number, kind, _node_name(number % nodes)))
    path = f"{pods}/{_pod_name(number)}"
    if kind != "waits for a node":
        plane.api.patch(f"{path}/status", {"status": _pod_status(_PHASES.get(kind, "Running"))})
    if kind == "being deleted":
        # No kubelet says that it has ended: it holds its GPU, as one does that takes its time.
        plane.api.delete(path, {"gracePeriodSeconds": 86_400})


def _pod(number: int, kind: str, node: str) -> Document:
    """About as large as pods are."""
    container: Document = {
        "name": "main",
        "image": "registry.invalid/team/image:1",
        "env": [{"name": f"VARIABLE_{each}", "value": f"value-{each}" * 4} for each in range(30)],
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
    }
    if kind != "running":
        container["resources"] = {"limits": {"cpu": "1", "memory": "1Gi", GPU: "1"}}
    spec: Document = {
        "automountServiceAccountToken": False,
        "containers": [container, {"name": "sidecar", "image": "registry.invalid/sidecar:1"}],
        "terminationGracePeriodSeconds": 86_400,
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": f"volume-{each}", "emptyDir": {}} for each in range(4)],
        # Nobody looks for a node for it. Those that have one were put there.
        "schedulerName": "nobody",
    }
    if kind != "waits for a node":
        spec["nodeName"] = node
    marks = {f"others.invalid/label-{each}": f"value-{each}" for each in range(8)}
    return {"metadata": {"name": _pod_name(number), "labels": marks}, "spec": spec}


def _pod_status(phase: str) -> Document:
    now = _now()
    return {
        "phase": phase,
        "startTime": now,
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "conditions": [
            {"type": type_, "status": "True", "lastTransitionTime": now}
            for type_ in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ],
        "containerStatuses": [
            {
                "name": name,
                "image": "registry.invalid/team/image:1",
                "imageID": f"registry.invalid/team/image@sha256:{'0' * 64}",
                "containerID": f"containerd://{'0' * 64}",
                "ready": phase == "Running",
                "restartCount": 0,
                "state": {"running": {"startedAt": now}}
                if phase == "Running"
                else {"terminated": {"exitCode": int(phase == "Failed"), "finishedAt": now}},
            }
            for name in ("main", "sidecar")
        ],
    }
