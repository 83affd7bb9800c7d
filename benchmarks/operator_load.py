"""The operator under load on a real API server: from apply to Job, a burst of runs, many running ones at rest, and a restart.

    python benchmarks/operator_load.py [--runs 1000] [--quiet-applies 50] [--rest-seconds 120]

One control plane of this machine (API server, etcd, controller manager, scheduler) with simulated GPU nodes, and `lightcompute operator`
as a process of its own; all share this machine's cores. The components make as many requests as they allow themselves when nobody says
otherwise (20 a second for each controller, 50 for the scheduler). Goals: a Job within 0.5 s of one apply (median) and 1 s (99th percentile); in a
burst of 1,000 every Job within 20 s, aimed at 12, and no run twice; 1,000 running runs under 150 MiB, no writes at rest, less than 10 %
of one core; after a restart every run looked at within 15 s. Plain Job creation by the same client is the floor beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from machine import machine
from operator_process import Operator, create_all, tell, until, untuned

from lightcompute.api import labels
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.paths import JOBS, RUNS
from lightcompute.kube.reflector import Reflector
from support.testcluster.control_plane import ControlPlane

REPOSITORY = Path(__file__).parent.parent
NAMESPACE = "default"
OPTIONS = ("--price-per-gpu-hour-usd", "1.00")


@dataclass(kw_only=True)
class Arrivals:
    """When the Jobs of runs were first seen by a watch, and how many each run got."""

    at: dict[str, float] = field(default_factory=dict)
    jobs: Counter[str] = field(default_factory=Counter)

    def changed(self, before: Document | None, after: Document | None) -> None:
        """The watch says so."""
        if before is None and after is not None:
            uid = after["metadata"]["labels"].get(labels.RUN_UID, "")
            self.at.setdefault(uid, time.perf_counter())
            self.jobs[uid] += 1


def a_run(name: str, **variables: str) -> Document:
    """A small run whose simulated trainer does as `variables` say."""
    return {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "training": {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100},
            "trainer": {"env": [{"name": k, "value": v} for k, v in variables.items()]},
            "budget": {"limitUSD": "20.00"},
        },
    }


async def quiet_applies(client: ClusterClient, arrivals: Arrivals, count: int) -> None:
    """One apply at a time: how long until its Job is there."""
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        run = await client.create(RUNS.within(NAMESPACE), a_run(f"quiet-{number}"))
        uid = run["metadata"]["uid"]
        await until(partial(arrivals.at.__contains__, uid), seconds=30, what="a Job")
        seconds.append(arrivals.at[uid] - began)
        await asyncio.sleep(0.2)
    seconds.sort()
    tell(
        "one apply on a quiet cluster, seconds until its Job is seen",
        applies=count,
        median=statistics.median(seconds),
        p99=seconds[min(int(len(seconds) * 0.99), len(seconds) - 1)],
        goals={"median": 0.5, "p99": 1.0},
    )


async def requests_per_run(client: ClusterClient, operator: Operator, count: int) -> None:
    """From apply to success."""
    before = operator.metric("lightcompute_requests_total"), operator.writes()
    names = [f"whole-{number}" for number in range(count)]
    await create_all(client, [a_run(name) for name in names], RUNS.within(NAMESPACE))

    async def all_succeeded() -> bool:
        runs = [await client.get(RUNS.named(NAMESPACE, name)) for name in names]
        return all((each.get("status") or {}).get("phase") == "Succeeded" for each in runs)

    end = time.perf_counter() + 300
    while not await all_succeeded():
        if time.perf_counter() > end:
            sys.exit("not every run succeeded in 300 s")
        await asyncio.sleep(1)
    tell(
        "requests of the operator for one run, from apply to success",
        runs=count,
        requests=(operator.metric("lightcompute_requests_total") - before[0]) / count,
        writes=(operator.writes() - before[1]) / count,
    )


async def burst(client: ClusterClient, arrivals: Arrivals, operator: Operator, count: int) -> None:
    """All at once."""
    documents = [a_run(f"burst-{n}", SIM_NEVER_ENDS="1", SIM_SILENT="1") for n in range(count)]
    began = time.perf_counter()
    runs = await create_all(client, documents, RUNS.within(NAMESPACE))
    applied_s = time.perf_counter() - began
    uids = [run["metadata"]["uid"] for run in runs]
    await until(lambda: all(uid in arrivals.at for uid in uids), seconds=300, what="every Job")
    last = max(arrivals.at[uid] for uid in uids) - began
    tell(
        "a burst of runs, seconds from the first apply to the last Job",
        runs=count,
        applied=applied_s,
        last_job=last,
        twice=sum(arrivals.jobs[uid] > 1 for uid in uids),
        operator_memory_mib=operator.memory_mib,
        goals={"last_job": 20, "aim": 12, "twice": 0},
    )


async def at_rest(operator: Operator, count: int, seconds: int) -> None:
    """Every run runs, and nothing happens."""

    def running() -> float:
        return operator.metric("lightcompute_runs", phase="Running")

    end = time.perf_counter() + 600
    while (now_running := running()) < count and time.perf_counter() < end:
        await asyncio.sleep(2)
    settled = operator.writes()
    while time.perf_counter() < end:  # what the burst left to be done
        await asyncio.sleep(15)
        if operator.writes() == settled:
            break
        settled = operator.writes()
    before = (
        operator.cpu_seconds,
        operator.writes(),
        operator.metric("lightcompute_look_seconds_count"),
    )
    await asyncio.sleep(seconds)
    tell(
        "running runs at rest",
        running=now_running,
        seconds=seconds,
        share_of_a_core=(operator.cpu_seconds - before[0]) / seconds,
        writes=operator.writes() - before[1],
        looks_per_second=(operator.metric("lightcompute_look_seconds_count") - before[2]) / seconds,
        memory_mib=operator.memory_mib,
        goals={"share_of_a_core": 0.1, "writes": 0, "memory_mib": 150},
    )


async def restart(
    end: Callable[[], None], kubeconfig: Path, folder: Path, count: int, *, how: str
) -> Operator:
    """The old one ends; how long until the new one has looked at every run."""
    end()
    new = Operator(kubeconfig, folder, *OPTIONS)
    await new.ready()
    ready_s = time.perf_counter() - new.started_at
    while new.metric("lightcompute_look_seconds_count") < count:
        await asyncio.sleep(0.2)
        if time.perf_counter() - new.started_at > 300:
            sys.exit("not every run was looked at in 300 s")
    tell(
        f"restart after {how}, seconds until every run was looked at",
        runs=count,
        ready=ready_s,
        every_run_looked_at=time.perf_counter() - new.started_at,
        after_ready=time.perf_counter() - new.started_at - ready_s,
        goals={"every_run_looked_at": 15},
    )
    return new


async def floor(client: ClusterClient, count: int) -> None:
    """Plain Jobs from the same client, with no operator involved."""
    documents = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"plain-{number}", "namespace": NAMESPACE},
            "spec": {
                "suspend": True,
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [{"name": "trainer", "image": "none"}],
                    }
                },
            },
        }
        for number in range(count)
    ]
    began = time.perf_counter()
    await create_all(client, documents, JOBS.within(NAMESPACE))
    seconds = time.perf_counter() - began
    tell(
        "the floor: plain Jobs by the same client",
        jobs=count,
        seconds=seconds,
        per_second=count / seconds,
    )


async def measure(options: argparse.Namespace, cluster: ControlPlane, folder: Path) -> None:
    """All of it, on one cluster."""
    client = await ClusterClient.connect(cluster.kubeconfig)
    arrivals = Arrivals()
    jobs: Reflector[Document] = Reflector(
        client,
        JOBS.within(NAMESPACE),
        keep=lambda document: {"metadata": document["metadata"]},
        changed=arrivals.changed,
        selector=labels.RUN_UID,
    )
    watching = asyncio.create_task(jobs.run())
    await jobs.synced.wait()
    await floor(client, options.runs)
    operator = Operator(cluster.kubeconfig, folder, *OPTIONS)
    try:
        await operator.ready()
        tell("the operator with no runs", memory_mib=operator.memory_mib)
        await quiet_applies(client, arrivals, options.quiet_applies)
        await requests_per_run(client, operator, options.whole_runs)
        await burst(client, arrivals, operator, options.runs)
        await at_rest(operator, options.runs, options.rest_seconds)
        after = cluster.kubeconfig, folder, options.runs
        operator = await restart(operator.stop, *after, how="SIGTERM")
        operator = await restart(
            operator.kill, *after, how="SIGKILL (the old Lease of 15 s runs out first)"
        )
    finally:
        operator.stop()
        watching.cancel()
        await client.close()


def main() -> None:
    """Starts a cluster, measures, stops it."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--quiet-applies", type=int, default=50)
    parser.add_argument("--whole-runs", type=int, default=20)
    parser.add_argument("--rest-seconds", type=int, default=120)
    options = parser.parse_args()
    print(f"# {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with untuned(folder / "cluster", "us-ord1") as cluster:
            cluster.add_nodes(options.runs // 8 + 4)
            cluster.api.apply_crd(REPOSITORY / "crds" / "trainingruns.yaml")
            asyncio.run(measure(options, cluster, folder))


if __name__ == "__main__":
    main()
