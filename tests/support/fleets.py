"""Runs in several clusters, as a test sees them: what is placed where, and whether more was ever placed than there is."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightcompute.api import labels
from support import fleet_audit as audited
from support.fleet_audit import fleet_violations, most_held, overcommitted
from support.run_audit import Change, violations
from support.run_spaces import Run, Space, a_space
from support.run_watch import RunWatch
from support.testcluster.api import ApiFault
from support.testcluster.cluster import Cluster
from support.testcluster.control_plane import ControlPlane
from support.testcluster.fleet import CLUSTERS, NAMESPACE, Pool, join, make_namespace
from support.testcluster.proxy import FaultProxy

Document = dict[str, Any]
GPUS = 2
TYPES = {"us-ord1": "A100-40GB", "us-iad1": "A100-80GB", "eu-fra1": "L40S"}
"""The one type of each cluster, in the order in which runs here want them."""
_ALL_RUNS = "/apis/lightcompute.dev/v1alpha1/trainingruns"
PATIENCE = {
    "kube.worker_cluster.PROBE_SECONDS": 0.5,
    "kube.worker_cluster.PROBE_AGAIN_SECONDS": 0.5,
    "kube.worker_cluster.UNREACHABLE_SECONDS": 6.0,
    "kube.worker_cluster.TIMEOUT_SECONDS": 2.0,
    "kube.atlas.TELL_SECONDS": 0.3,
    "kube.sweep.ROUND_SECONDS": 1.0,
    "kube.sweep.GRACE_SECONDS": 2.0,
    "core.checks_end.OWED_AFTER_SECONDS": 8,
}
"""What would make tests wait for minutes."""


@dataclass(kw_only=True)
class Fleet:
    """Three clusters and a space for runs in the first."""

    planes: tuple[ControlPlane, ...]
    space: Space
    folder: Path
    watches: Mapping[str, RunWatch]
    clusters: RunWatch
    """The record of the TrainingClusters."""
    proxies: dict[str, FaultProxy] = field(default_factory=dict)

    @property
    def api(self) -> Any:
        """The first cluster."""
        return self.planes[0].api

    def plane(self, name: str) -> ControlPlane:
        """One of them."""
        return next(plane for plane in self.planes if plane.name == name)

    def join(self, *names: str, **spec: Any) -> None:
        """Makes these clusters places for runs."""
        for name in names or tuple(TYPES):
            plane = self.plane(name)
            proxy = self.proxies.get(name)
            join(
                self.planes[0],
                plane,
                (Pool(gpu_type=TYPES[name], gpus_per_node=GPUS),),
                operator_namespace=self.space.namespace,
                kubeconfig=None if proxy is None else proxy.kubeconfig,
                **spec,
            )

    def behind_a_proxy(self, name: str) -> FaultProxy:
        """From now on `name` is reached through a proxy."""
        proxy = FaultProxy.start(self.plane(name), folder=self.folder / name)
        self.space.stack.callback(proxy.stop)
        self.proxies[name] = proxy
        return proxy

    def reachable(self, *names: str, seconds: float = 60) -> None:
        """Returns when these clusters can be used."""
        for name in names or tuple(TYPES):
            self.condition(name, "Reachable", "True", seconds=seconds)

    def condition(
        self, name: str, type_: str, status: str, reason: str = "", *, seconds: float = 60
    ) -> Document:
        """The condition of a TrainingCluster, once it is so."""
        found: list[Document] = []

        def holds(cluster: Document) -> bool:
            found[:] = [
                each
                for each in cluster.get("status", {}).get("conditions", ())
                if each["type"] == type_ and each["status"] == status
            ]
            return bool(found) and (not reason or found[0]["reason"] == reason)

        self.api.eventually(f"{CLUSTERS}/{name}", holds, seconds=seconds)
        return found[0]

    def submit(self, name: str, sim: Mapping[str, object] | None = None, **spec: Any) -> Run:
        """A run that wants the types in their order, and no other."""
        placement = {"gpuTypes": list(TYPES.values()), **spec.pop("placement", {})}
        return self.space.submit(name, sim, placement=placement, **spec)

    def jobs(self, cluster: str) -> list[Document]:
        """Jobs of runs in `cluster`, wherever they are."""
        namespace = self.space.namespace if cluster == self.planes[0].name else NAMESPACE
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        found: list[Document] = self.plane(cluster).api.get(path, labelSelector=labels.RUN_UID)[
            "items"
        ]
        return found

    def most_at_once(self, cluster: str) -> int:
        """GPUs that attempts held or asked for at once, at most, in everything that was recorded there."""
        return most_held(self.watches[cluster].changes)

    def audit(self) -> tuple[str, ...]:
        """What did not hold at some moment until now, over all clusters."""
        now = time.monotonic()
        management = self.planes[0].name
        records = {name: watch.changes for name, watch in self.watches.items()}
        clusters = self.clusters.changes
        records[management] = tuple(
            sorted((*records[management], *clusters), key=lambda change: change.version)
        )
        return (
            *violations(records[management]),
            *fleet_violations(records, management=management, now=now),
            *(
                f"{name}: {told}"
                for name, record in records.items()
                for told in overcommitted(record, self._pools(name, clusters))
            ),
        )

    def _pools(self, cluster: str, clusters: tuple[Change, ...]) -> Iterator[audited.Pool]:
        """Each pool that `cluster` ever had, with the GPUs of its nodes, or of those that it may grow to."""
        nodes = self.plane(cluster).api.get("/api/v1/nodes")["items"]
        grown: dict[frozenset[tuple[str, str]], int] = {}
        for change in clusters:
            if change.document["metadata"]["name"] != cluster:
                continue
            for pool in change.document["spec"]["nodePools"]:
                selector = frozenset(pool.get("nodeSelector", {}).items())
                more = int(pool.get("maxNodes", 0)) * int(pool["gpusPerNode"])
                grown[selector] = max(more, grown.get(selector, 0))
        for selector, most in grown.items():
            there = sum(
                int(node["status"]["allocatable"]["nvidia.com/gpu"])
                for node in nodes
                if selector <= set(node["metadata"]["labels"].items())
            )
            yield audited.Pool(selector=selector, gpus=max(there, most))


def place_of(status: Document) -> str:
    """The cluster of the newest attempt."""
    return str(status["attempts"][-1]["place"]["cluster"])


def candidates(status: Document) -> dict[str, str]:
    """What became of each cluster in the last round."""
    return {each["place"]["cluster"]: each["reason"] for each in status["placement"]["candidates"]}


def free_gpus(fleet: Fleet) -> dict[str, int]:
    """What the status of each TrainingCluster says; -1 where it says nothing yet."""
    return {
        each["metadata"]["name"]: each.get("status", {}).get("freeGPUs", -1)
        for each in fleet.api.get(CLUSTERS)["items"]
    }


def lightcompute(fleet: Fleet, *words: str) -> subprocess.CompletedProcess[str]:
    """A command about the runs of the fleet."""
    where = ("-n", fleet.space.namespace, "--kubeconfig", str(fleet.planes[0].kubeconfig))
    return subprocess.run(
        [sys.executable, "-P", "-m", "lightcompute", *words, *where],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _gpus(job: Document) -> int:
    [container] = job["spec"]["template"]["spec"]["containers"]
    each = int(container["resources"]["limits"]["nvidia.com/gpu"])
    return each * int(job["spec"].get("completions") or 1)


@contextmanager
def a_fleet(
    planes: tuple[ControlPlane, ...], folder: Path, patience: Mapping[str, float] | None = None
) -> Iterator[Fleet]:
    """Afterwards no TrainingCluster is left, and nothing of the runs in other clusters."""
    first: Cluster = planes[0]
    _bury_runs(first)
    for plane in planes[1:]:
        make_namespace(plane)
    for plane in planes:
        # Nobody waits for the namespace of the test before, and what is in it holds GPUs until it is gone.
        for kind in ("/api/v1/pods", "/apis/batch/v1/jobs"):
            plane.api.eventually(
                f"{kind}?labelSelector={labels.RUN_UID}", lambda found: not found["items"]
            )
    options = ("--training-clusters",)
    with a_space(
        first, folder, options=options, patience={**PATIENCE, **(patience or {})}
    ) as space:
        others = {
            plane.name: space.stack.enter_context(RunWatch(plane, (NAMESPACE,)))
            for plane in planes[1:]
        }
        fleet = Fleet(
            planes=planes,
            space=space,
            folder=folder,
            watches={first.name: space.watch, **others},
            clusters=space.stack.enter_context(RunWatch(first, (), clusters=True)),
        )
        space.stack.callback(_tidy, planes)
        space.start_operator().wait_ready()
        yield fleet


def _bury_runs(cluster: Cluster) -> None:
    """Runs of earlier tests still wait in their namespaces, where nobody acts for them: people's commands count the runs of all namespaces."""
    for run in cluster.api.eventually(_ALL_RUNS, lambda found: "items" in found)["items"]:
        namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
        path = f"/apis/lightcompute.dev/v1alpha1/namespaces/{namespace}/trainingruns/{name}"
        with suppress(ApiFault):  # it may have gone by itself
            cluster.api.delete(path)
            cluster.api.patch(path, {"metadata": {"finalizers": None}})
    cluster.api.eventually(_ALL_RUNS, lambda found: not found["items"])


def _tidy(planes: tuple[ControlPlane, ...]) -> None:
    planes[0].api.delete(CLUSTERS)
    for plane in planes[1:]:
        for path in ("/apis/batch/v1", "/api/v1"):
            for kind in ("jobs",) if "batch" in path else ("configmaps", "services", "pods"):
                for each in plane.api.get(f"{path}/{kind}", labelSelector=labels.RUN_UID)["items"]:
                    name, namespace = each["metadata"]["name"], each["metadata"]["namespace"]
                    with suppress(ApiFault):  # gone already
                        plane.api.delete(
                            f"{path}/namespaces/{namespace}/{kind}/{name}",
                            {"propagationPolicy": "Background", "gracePeriodSeconds": 0},
                        )
