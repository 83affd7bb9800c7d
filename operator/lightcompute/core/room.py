"""Room for pods in a pool: GPUs by node. A pod is never split over nodes, and all pods of a run go into one pool.

A node is no more than the number of its free GPUs, so a pool of thousands is a handful of numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Need:
    """What an attempt takes up: `pods`, each with `gpus` on one node."""

    pods: int
    gpus: int

    @property
    def total(self) -> int:
        """GPUs of all pods."""
        return self.pods * self.gpus

    def __str__(self) -> str:
        return f"{self.gpus} on one node" if self.pods == 1 else f"{self.pods} x {self.gpus}"


@dataclass(frozen=True, kw_only=True)
class Room:
    """What may be put into a pool."""

    nodes: tuple[tuple[int, int], ...] = ()
    """(free GPUs, number of nodes that have so many free), fewest GPUs first."""
    growth: int = 0
    """Nodes that are added when pods wait for them."""
    gpus_per_node: int = 0
    """GPUs of a node that is added."""
    _free: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_free", sum(gpus * count for gpus, count in self.nodes))

    @property
    def free(self) -> int:
        """Free GPUs of the nodes that there are."""
        return self._free

    def holds(self, need: Need) -> bool:
        """Whether all pods of `need` find a node."""
        if need.gpus == 0:
            return bool(self.nodes) or self.growth > 0
        left = need.pods - self.growth * (self.gpus_per_node // need.gpus)
        for gpus, count in reversed(self.nodes):
            if left <= 0 or gpus < need.gpus:
                break
            left -= count * (gpus // need.gpus)
        return left <= 0

    def without(self, need: Need) -> Room:
        """What is left when as many pods of `need` as find room are put in: onto the fullest nodes that hold one, new ones last."""
        if need.gpus == 0:
            return self
        nodes, growth = Counter(dict(self.nodes)), self.growth
        for _ in range(need.pods):
            fits = [gpus for gpus, count in nodes.items() if count > 0 and gpus >= need.gpus]
            if fits:
                gpus = min(fits)
                nodes[gpus] -= 1
            elif growth > 0 and self.gpus_per_node >= need.gpus:
                gpus, growth = self.gpus_per_node, growth - 1
            else:
                break
            nodes[gpus - need.gpus] += 1
        return Room(nodes=_sorted(nodes), growth=growth, gpus_per_node=self.gpus_per_node)

    def closed(self) -> Room:
        """Nothing of it."""
        return Room(gpus_per_node=self.gpus_per_node)


def room_of(free: Iterable[int], *, growth: int = 0, gpus_per_node: int = 0) -> Room:
    """The room on nodes with `free` GPUs each; what holds more than it has counts as none."""
    return Room(
        nodes=_sorted(Counter(max(0, gpus) for gpus in free)),
        growth=max(0, growth),
        gpus_per_node=gpus_per_node,
    )


def _sorted(nodes: Counter[int]) -> tuple[tuple[int, int], ...]:
    return tuple(sorted((gpus, count) for gpus, count in nodes.items() if count > 0))
