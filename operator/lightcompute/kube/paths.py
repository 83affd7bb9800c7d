"""Where things are in the API: the paths of the kinds that we read and write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from runcontract.base import API_VERSION


class Kind(NamedTuple):
    """A kind of object in a namespace."""

    root: str
    plural: str

    def all(self) -> str:
        """The collection over all namespaces."""
        return f"{self.root}/{self.plural}"

    def within(self, namespace: str | None) -> str:
        """The collection in `namespace`, or over all when it is None."""
        return (
            self.all() if namespace is None else f"{self.root}/namespaces/{namespace}/{self.plural}"
        )

    def named(self, namespace: str, name: str, part: str = "") -> str:
        """One object, or its `part`, such as `status`."""
        return f"{self.within(namespace)}/{name}{part and '/'}{part}"


@dataclass(frozen=True)
class ClusterKind:
    """A kind of object that is in no namespace."""

    root: str
    plural: str

    def all(self) -> str:
        """The collection."""
        return f"{self.root}/{self.plural}"

    def named(self, name: str, part: str = "") -> str:
        """One object, or its `part`, such as `status`."""
        return f"{self.all()}/{name}{part and '/'}{part}"


RUNS = Kind(f"/apis/{API_VERSION}", "trainingruns")
BUDGETS = Kind(f"/apis/{API_VERSION}", "trainingbudgets")
JOBS = Kind("/apis/batch/v1", "jobs")
PODS = Kind("/api/v1", "pods")
CONFIG_MAPS = Kind("/api/v1", "configmaps")
SERVICES = Kind("/api/v1", "services")
SECRETS = Kind("/api/v1", "secrets")
CLAIMS = Kind("/api/v1", "persistentvolumeclaims")
EVENTS = Kind("/api/v1", "events")
LEASES = Kind("/apis/coordination.k8s.io/v1", "leases")
CLUSTERS = ClusterKind(f"/apis/{API_VERSION}", "trainingclusters")
NODES = ClusterKind("/api/v1", "nodes")
NAMESPACES = ClusterKind("/api/v1", "namespaces")
