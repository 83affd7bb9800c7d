"""GPUs of a cluster's pools, counted from its nodes and pods. Only what is counted is kept, so thousands of pods cost little.

A list after each gap in a watch makes good whatever was lost; what runs have reserved and no pod holds yet comes from the runs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lightcompute.api import labels
from lightcompute.core.quantity import whole
from lightcompute.core.room import Need, Room, room_of
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.former_pools import is_in, pools_for
from lightcompute.kube.holds import Hold
from lightcompute.kube.paths import NODES, PODS
from lightcompute.kube.pools import Pool
from lightcompute.kube.reflector import Reflector

_ACTIVE = "status.phase!=Succeeded,status.phase!=Failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenNode:
    """A node of some pool."""

    name: str
    pools: tuple[int, ...]
    """Pools whose selector fits; it is counted for the first of them."""
    gpus: int
    usable: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """A pod that asks for GPUs."""

    node: str
    gpus: tuple[tuple[str, int], ...]
    """Resource and number."""
    run_uid: str
    attempt: int


@dataclass(frozen=True, kw_only=True)
class Count:
    """A pool, counted."""

    room: Room
    whole: Room
    nodes: int
    capacity: int
    reserved: int
    runs: int


class Stock:
    """Nodes and pods of a cluster. `changed` is called when anything that counts did."""

    def __init__(
        self, client: ClusterClient, pools: tuple[Pool, ...], changed: Callable[[], None]
    ) -> None:
        self.pools = pools
        self._changed = changed
        self._resources = frozenset(pool.gpu_resource for pool in pools)
        self._nodes: dict[str, SeenNode] = {}
        self._held: Counter[tuple[str, str]] = Counter()
        """GPUs that pods hold, by node and resource."""
        self._placed: Counter[tuple[str, int]] = Counter()
        """Pods of runs that have a node, by UID of the run and attempt."""
        nodes: Reflector[SeenNode] = Reflector(
            client, NODES.all(), keep=self._kept_node, changed=self._node_changed
        )
        pods: Reflector[Holding] = Reflector(
            client,
            PODS.all(),
            keep=self._kept_pod,
            changed=self._pod_changed,
            fields=_ACTIVE,
        )
        self.reflectors: tuple[Reflector[Any], ...] = (nodes, pods)

    @property
    def is_synced(self) -> bool:
        """Whether everything was listed once."""
        return all(reflector.synced.is_set() for reflector in self.reflectors)

    def counts(self, holds: Iterable[Hold]) -> tuple[Count, ...]:
        """Each pool, less what `holds` have reserved there and no pod of theirs holds yet."""
        members: dict[int, list[SeenNode]] = defaultdict(list)
        for node in self._nodes.values():
            if node.usable:
                members[node.pools[0]].append(node)
        reserving: dict[int, list[Hold]] = defaultdict(list)
        for hold in holds:
            for index in pools_for(hold.place, self.pools):
                reserving[index].append(hold)
        return tuple(
            self._count(pool, members[index], reserving[index])
            for index, pool in enumerate(self.pools)
        )

    def overlaps(self) -> tuple[str, int] | None:
        """Two pools that share nodes, in words, and how many nodes they share."""
        shared = [node for node in self._nodes.values() if len(node.pools) > 1]
        if not shared:
            return None
        names = " and ".join(self.pools[index].place.pool for index in shared[0].pools[:2])
        return names, len(shared)

    def empty_pools(self) -> tuple[str, ...]:
        """Pools that no node belongs to, usable or not, and that do not grow."""
        filled = {node.pools[0] for node in self._nodes.values()}
        return tuple(
            pool.place.pool
            for index, pool in enumerate(self.pools)
            if index not in filled and not pool.max_nodes
        )

    def _count(self, pool: Pool, nodes: list[SeenNode], holds: list[Hold]) -> Count:
        growth = max(0, (pool.max_nodes or 0) - len(nodes))
        free = [node.gpus - self._held[node.name, pool.gpu_resource] for node in nodes]
        room = room_of(free, growth=growth, gpus_per_node=pool.gpus_per_node)
        reserved = 0
        for hold in holds:
            missing = hold.need.pods - self._placed[hold.run_uid, hold.attempt]
            if missing > 0:
                unplaced = Need(pods=missing, gpus=hold.need.gpus)
                room = room.without(unplaced)
                reserved += unplaced.total
        return Count(
            room=room,
            whole=room_of(
                (node.gpus for node in nodes), growth=growth, gpus_per_node=pool.gpus_per_node
            ),
            nodes=len(nodes),
            capacity=sum(node.gpus for node in nodes),
            reserved=reserved,
            runs=sum(is_in(hold.place, pool) for hold in holds),
        )

    # ---- nodes --------------------------------------------------------------------------------------

    def _kept_node(self, document: Document) -> SeenNode | None:
        metadata, spec = document["metadata"], document.get("spec") or {}
        status = document.get("status") or {}
        marks = metadata.get("labels") or {}
        pools = tuple(
            index for index, pool in enumerate(self.pools) if _fits(pool.node_selector, marks)
        )
        if not pools:
            return None
        pool = self.pools[pools[0]]
        return SeenNode(
            name=metadata["name"],
            pools=pools,
            gpus=whole((status.get("allocatable") or {}).get(pool.gpu_resource, 0)),
            usable=_is_ready(status)
            and not spec.get("unschedulable")
            and all(_tolerated(taint, pool) for taint in spec.get("taints") or ()),
        )

    def _node_changed(self, before: SeenNode | None, after: SeenNode | None) -> None:
        if before == after:
            return  # a node tells of itself every few minutes
        if before is not None:
            self._nodes.pop(before.name, None)
        if after is not None:
            self._nodes[after.name] = after
        self._changed()

    # ---- pods ---------------------------------------------------------------------------------------

    def _kept_pod(self, document: Document) -> Holding | None:
        spec = document.get("spec") or {}
        if (document.get("status") or {}).get("phase") in {"Succeeded", "Failed"}:
            return None
        marks = document["metadata"].get("labels") or {}
        run_uid = str(marks.get(labels.RUN_UID, ""))
        asked = {resource: _requested(spec, resource) for resource in self._resources}
        if run_uid:
            asked = _by_any_name(spec, asked)
        gpus = tuple((resource, count) for resource, count in sorted(asked.items()) if count > 0)
        if not gpus:
            return None
        number = str(marks.get(labels.ATTEMPT, ""))
        return Holding(
            node=spec.get("nodeName") or "",
            gpus=gpus,
            run_uid=run_uid,
            attempt=int(number) if number.isascii() and number.isdigit() else 0,
        )

    def _pod_changed(self, before: Holding | None, after: Holding | None) -> None:
        if before == after:
            return
        self._add(before, -1)
        self._add(after, 1)
        self._changed()

    def _add(self, pod: Holding | None, sign: int) -> None:
        if pod is None or not pod.node:
            return
        for resource, count in pod.gpus:
            self._held[pod.node, resource] += sign * count
            if not self._held[pod.node, resource]:
                del self._held[pod.node, resource]
        if pod.run_uid:
            self._placed[pod.run_uid, pod.attempt] += sign
            if not self._placed[pod.run_uid, pod.attempt]:
                del self._placed[pod.run_uid, pod.attempt]


def _fits(selector: Mapping[str, str], marks: Mapping[str, str]) -> bool:
    return all(marks.get(key) == value for key, value in selector.items())


def _is_ready(status: Document) -> bool:
    return any(
        each.get("type") == "Ready" and each.get("status") == "True"
        for each in status.get("conditions") or ()
    )


def _tolerated(taint: Document, pool: Pool) -> bool:
    """Whether pods of the pool put up with `taint`, by the rules of Kubernetes."""
    if taint.get("effect") == "PreferNoSchedule":
        return True
    return any(_tolerates(each, taint) for each in pool.tolerations)


def _tolerates(toleration: Document, taint: Document) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    key = toleration.get("key")
    if toleration.get("operator") == "Exists":
        return key in (None, "", taint.get("key"))
    same = (toleration.get("value") or "") == (taint.get("value") or "")
    return key == taint.get("key") and same


def _requested(spec: Document, resource: str) -> int:
    """What the scheduler counts for a pod: its containers and sidecars together, or its largest start-up container."""
    together = sum(_asked(each, resource) for each in spec.get("containers") or ())
    largest = 0
    for each in spec.get("initContainers") or ():
        asked = _asked(each, resource)
        if each.get("restartPolicy") == "Always":
            together += asked
        else:
            largest = max(largest, asked)
    return max(together, largest)


def _by_any_name(spec: Document, asked: Mapping[str, int]) -> dict[str, int]:
    """What a pod of a run holds of each resource of `asked`: it may be from before its pool got another one.

    Its GPUs are those of its node by whatever name. Where it asks for none of these resources, its largest extended one is taken
    for the GPUs: rather too many than one that is given away twice.
    """
    most = max(asked.values(), default=0) or max(
        (_requested(spec, resource) for resource in _extended(spec)), default=0
    )
    return {resource: count or most for resource, count in asked.items()}


def _extended(spec: Document) -> set[str]:
    """Resources of devices that a pod asks for: those with a domain, other than Kubernetes' own."""
    containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    given = (container.get("resources") or {} for container in containers)
    names = {
        name for each in given for part in each.values() if isinstance(part, dict) for name in part
    }
    return {name for name in names if "/" in name and not name.startswith("kubernetes.io/")}


def _asked(container: Document, resource: str) -> int:
    resources = container.get("resources") or {}
    for part in ("requests", "limits"):
        given = resources.get(part) or {}
        if resource in given:
            return whole(given[resource])
    return 0
