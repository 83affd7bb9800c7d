"""A large cluster joins: what the operator remembers of it, how long until it has counted it, and how often it lists it.

    python benchmarks/cluster_memory.py [--nodes 2000] [--pods 10000] [--rest-seconds 720]

Two control planes of this machine: a small one with the operator, and one of other people's nodes and pods, in several states. The
operator, each time a new process, joins the second three times: while it is empty, which is what any cluster costs; with its nodes; and
with its pods too. Told are its memory before and after, seconds until the status of the TrainingCluster has the right counts, and bytes
for each node and each pod, from one step to the next. The first step holds what reading a page of a list takes for good: some 20 MiB.

Then nodes and pods change at the rate of kubelets for --rest-seconds, and lists are counted from the API server's audit log: a watch
that ends is to go on where it was. Last the API server is started anew, after which one list of each kind is what there has to be.

Goals: counts are right within 10 s; no list of all nodes or pods at rest (at most one in five minutes); at most two of each after a
restart. For bytes none is stated. It ends with 1 where counts are wrong. Everything that it starts ends with it, after Ctrl-C too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import busy_cluster
from machine import machine
from operator_process import Operator, comes, tell, until

from support.testcluster.control_plane import ControlPlane
from support.testcluster.fleet import CLUSTERS, join

REPOSITORY = Path(__file__).parent.parent
NAMESPACE = "default"
LARGE = ("/api/v1/nodes", "/api/v1/pods")
"""What is watched of a whole cluster; the rest is in the namespace of the runs."""
_SETTLE_SECONDS = 10
_JOIN_SECONDS = 300
_RETURN_SECONDS = 120

Counts = dict[str, tuple[int, int, int]]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where it all is."""

    folder: Path
    home: ControlPlane
    busy: ControlPlane

    def counts(self) -> Counts:
        """The pools as the status of the TrainingCluster has them; none while it is not known or does not answer."""
        status = (self.home.api.find(f"{CLUSTERS}/{self.busy.name}") or {}).get("status", {})
        if not any(
            each["type"] == "Reachable" and each["status"] == "True"
            for each in status.get("conditions", ())
        ):
            return {}
        return {
            pool["name"]: (
                pool.get("nodes", 0),
                pool.get("capacityGPUs", 0),
                pool.get("freeGPUs", 0),
            )
            for pool in status.get("nodePools", ())
        }

    @contextmanager
    def an_operator(self) -> Iterator[Operator]:
        """A new one, until the end of `with`."""
        operator = Operator(self.home.kubeconfig, self.folder, "--training-clusters")
        try:
            yield operator
        finally:
            operator.stop()

    def join(self) -> None:
        """The busy cluster becomes a place for runs."""
        join(
            self.home,
            self.busy,
            busy_cluster.POOLS,
            operator_namespace=NAMESPACE,
            kubeconfig=self.busy.layout.kubeconfig(busy_cluster.OPERATOR),
        )

    def part(self) -> None:
        """It is one no more."""
        self.home.api.delete(f"{CLUSTERS}/{self.busy.name}")
        self.home.api.delete(f"/api/v1/namespaces/{NAMESPACE}/secrets/{self.busy.name}")
        self.home.api.gone(f"{CLUSTERS}/{self.busy.name}")

    async def joined(self, operator: Operator, nodes: int, pods: int) -> float:
        """Joins it, tells what that did, and gives the bytes that the operator has grown by."""
        await operator.ready()
        await asyncio.sleep(_SETTLE_SECONDS)
        before, cpu_seconds = operator.memory_mib, operator.cpu_seconds
        wanted = busy_cluster.expected(nodes, pods)
        began = time.perf_counter()
        self.join()
        right = await comes(lambda: self.counts() == wanted, seconds=_JOIN_SECONDS, every=0.1)
        seconds = time.perf_counter() - began
        if not right:
            sys.exit(f"counted were {self.counts()}, and there are {wanted}")
        await asyncio.sleep(_SETTLE_SECONDS)
        after = operator.memory_mib
        tell(
            "a cluster joins",
            nodes=nodes,
            pods=pods,
            seconds_until_the_counts_are_right=seconds,
            memory_before_mib=before,
            memory_after_mib=after,
            memory_peak_mib=operator.peak_memory_mib,
            operator_cpu_seconds=operator.cpu_seconds - cpu_seconds,
            counts={pool: dict(zip(("nodes", "GPUs", "free"), each, strict=True)) for pool, each in wanted.items()},
            goals={"seconds_until_the_counts_are_right": 10},
        )  # fmt: skip
        return (after - before) * 2**20

    def asked(self) -> Counter[tuple[str, str]]:
        """Lists that the operator began and watches, by verb and path, from the audit log. A further page begins no list."""
        found: Counter[tuple[str, str]] = Counter()
        for line in busy_cluster.audit_log(self.busy.folder).read_text().splitlines():
            event = json.loads(line)
            path, _, query = event["requestURI"].partition("?")
            began = "ResponseStarted" if event["verb"] == "watch" else "ResponseComplete"
            if event["stage"] == began and "continue=" not in query:
                found[event["verb"], path] += 1
        return found


async def at_rest(place: Place, operator: Operator, options: argparse.Namespace) -> bool:
    """Nothing that counts changes, and much that does not. Says whether the counts are right."""
    wanted = busy_cluster.expected(options.nodes, options.pods)
    asked, cpu_seconds = place.asked(), operator.cpu_seconds
    with busy_cluster.Churn(place.busy, options.nodes, options.pods) as churn:
        await asyncio.sleep(options.rest_seconds)
    since, right = place.asked() - asked, place.counts() == wanted
    tell(
        "a large cluster at rest",
        seconds=options.rest_seconds,
        changes_seen=dict(churn.changes),
        share_of_a_core=(operator.cpu_seconds - cpu_seconds) / options.rest_seconds,
        memory_mib=operator.memory_mib,
        counts_are_right=right,
        **_lists_and_watches(since),
        goals={"lists_of_all": dict.fromkeys(LARGE, 0), "counts_are_right": True},
    )
    return right


async def after_a_restart(place: Place, operator: Operator, options: argparse.Namespace) -> bool:
    """The API server forgets what it had told, so everything is listed once. Says whether the counts are right."""
    wanted = busy_cluster.expected(options.nodes, options.pods)
    asked = place.asked()
    began = time.perf_counter()
    await asyncio.to_thread(place.busy.component("kube-apiserver").kill)
    await asyncio.sleep(5)
    place.busy.component("kube-apiserver").start()
    await asyncio.to_thread(place.busy.component("kube-apiserver").wait_ready, _RETURN_SECONDS)
    answered = time.perf_counter() - began

    def listed() -> bool:
        since = place.asked() - asked
        return all(since["watch", path] for path in LARGE) and place.counts() == wanted

    await until(listed, seconds=_RETURN_SECONDS, what="everything watched again")
    seconds = time.perf_counter() - began
    await asyncio.sleep(60)
    right = place.counts() == wanted
    tell(
        "the API server of the large cluster was gone for a moment",
        seconds_until_it_answered=answered,
        seconds_until_all_is_watched=seconds,
        memory_mib=operator.memory_mib,
        memory_peak_mib=operator.peak_memory_mib,
        counts_are_right=right,
        **_lists_and_watches(place.asked() - asked),
        goals={"lists_of_all": dict.fromkeys(LARGE, 2), "counts_are_right": True},
    )
    return right


def _lists_and_watches(asked: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    def of(verb: str) -> dict[str, int]:
        return {path: count for (of, path), count in sorted(asked.items()) if of == verb}

    lists = of("list")
    return {
        "lists_of_all": {path: lists.pop(path, 0) for path in LARGE},
        # A sweep for what no run owns lists the namespace of the runs once a minute.
        "lists_in_the_namespace_of_runs": lists,
        "watches": of("watch"),
    }


def measure(options: argparse.Namespace, place: Place) -> bool:
    """All of it. Says whether the counts were right. What makes nodes and pods is outside of any event loop, where Ctrl-C ends it."""
    nodes, pods = options.nodes, options.pods
    with place.an_operator() as operator:
        empty = asyncio.run(place.joined(operator, 0, 0))
    place.part()
    began = time.perf_counter()
    busy_cluster.make_nodes(place.busy, nodes)
    tell("the nodes are made", nodes=nodes, seconds=time.perf_counter() - began)
    with place.an_operator() as operator:
        with_nodes = asyncio.run(place.joined(operator, nodes, 0))
    place.part()
    began = time.perf_counter()
    busy_cluster.make_pods(place.busy, pods, nodes=nodes)
    tell("the pods are made", pods=pods, seconds=time.perf_counter() - began)
    with place.an_operator() as operator:
        full = asyncio.run(place.joined(operator, nodes, pods))
        tell(
            "what is remembered",
            bytes_of_an_empty_cluster=empty,
            bytes_a_node=(with_nodes - empty) / max(1, nodes),
            bytes_a_pod=(full - with_nodes) / max(1, pods),
            bytes_a_node_or_pod=(full - empty) / max(1, nodes + pods),
        )
        right = asyncio.run(at_rest(place, operator, options))
        right = asyncio.run(after_a_restart(place, operator, options)) and right
        if complaints := operator.complaints():
            tell("what the operators complained of", **dict(complaints.most_common(10)))
    return right


def main() -> int:
    """Starts the clusters, measures, stops them."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--rest-seconds", type=int, default=720)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"# {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as name, ExitStack() as until_end:
        folder = Path(name)
        home = until_end.enter_context(
            ControlPlane.start(folder / "us-ord1", "us-ord1", kwok=False)
        )
        for file in sorted((REPOSITORY / "crds").glob("*.yaml")):
            home.api.apply_crd(file)
        busy = until_end.enter_context(busy_cluster.start(folder / "eu-fra1", "eu-fra1"))
        place = Place(folder=folder, home=home, busy=busy)
        right = measure(options, place)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
