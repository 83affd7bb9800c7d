"""A burst of runs over three clusters: how long until all have their Jobs, and whether a GPU was ever given away twice.

    python benchmarks/fleet_burst.py [--runs 1000] [--scarce] [--run-seconds 20]

Three control planes of this machine (US-ORD1, US-IAD1, EU-FRA1) with simulated GPU nodes, and one `lightcompute operator`, which serves
them all as TrainingClusters; all share this machine's cores, and the components make as many requests as they allow themselves when nobody
says otherwise. Each cluster has two of the types A100-40GB, A100-80GB and L40S, and all
runs, applied at once, want the three in this order. There are exactly as many GPUs as runs, a third of them in each cluster. Goals: all
Jobs within 30 s for 1,000 runs, no run with two.

With --scarce there are half as many GPUs, and runs that end after --run-seconds: the line is to drain, each run to succeed, and little
time to pass between the end of a run and the next one's Job.

In both, the Jobs and pods of every cluster are watched all the time. GPUs that Jobs which are not over want, or pods which are not, are
added up at each version of each API server's store: never may they be more than a pool has. If they were, or the record has a gap, or
not everything came to be, it ends with 1. Everything that it starts ends with it, after Ctrl-C too.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from gpu_watch import GpuWatch
from machine import machine
from operator_process import Operator, comes, create_all, tell, until, untuned

from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.paths import RUNS
from support.gpu_audit import By, Most, most_at_once
from support.testcluster.control_plane import ControlPlane
from support.testcluster.fleet import CLUSTERS, Pool, join

REPOSITORY = Path(__file__).parent.parent
NAMESPACE = "default"
TYPES = ("A100-40GB", "A100-80GB", "L40S")
POOLS = {
    "us-ord1": ("A100-40GB", "L40S"),
    "us-iad1": ("A100-80GB", "A100-40GB"),
    "eu-fra1": ("L40S", "A100-80GB"),
}
"""The types of each cluster."""
GPUS_PER_NODE = 8
GOAL_SECONDS = 30
"""For 1,000 runs."""
_BURST_SECONDS = 600
_PATIENCE_SECONDS = 600
_STILL_SECONDS = 20
"""So long it is still watched when everything has come to be."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Three clusters, the first of which has the runs."""

    planes: tuple[ControlPlane, ...]
    capacity: Mapping[tuple[str, str], int]
    """GPUs by cluster and type."""

    @property
    def gpus(self) -> int:
        """All of them."""
        return sum(self.capacity.values())


def shares(gpus: int) -> dict[tuple[str, str], int]:
    """GPUs of each pool, as even as may be."""
    pools = [(cluster, gpu_type) for cluster, types in POOLS.items() for gpu_type in types]
    each, more = divmod(gpus, len(pools))
    return {pool: each + (number < more) for number, pool in enumerate(pools)}


def a_fleet(folder: Path, capacity: Mapping[tuple[str, str], int], until_end: ExitStack) -> Fleet:
    """Starts the clusters and joins them; `until_end` stops them."""
    planes: list[ControlPlane] = []
    for name, types in POOLS.items():
        plane = until_end.enter_context(untuned(folder / name, name))
        planes.append(plane)
        for gpu_type in types:
            nodes, rest = divmod(capacity[name, gpu_type], GPUS_PER_NODE)
            plane.add_nodes(nodes, gpu_type, gpus=GPUS_PER_NODE)
            plane.add_nodes(1 if rest else 0, gpu_type, gpus=rest)
        if plane is planes[0]:
            for file in sorted((REPOSITORY / "crds").glob("*.yaml")):
                plane.api.apply_crd(file)
        pools = tuple(Pool(gpu_type=gpu_type, gpus_per_node=GPUS_PER_NODE) for gpu_type in types)
        join(planes[0], plane, pools, operator_namespace=NAMESPACE)
    return Fleet(planes=tuple(planes), capacity=capacity)


def a_run(name: str, **variables: str) -> Document:
    """A run of one GPU of any type, whose simulated trainer does as `variables` say."""
    return {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "training": {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100},
            "trainer": {"env": [{"name": k, "value": v} for k, v in variables.items()]},
            "placement": {"gpuTypes": list(TYPES)},
            "budget": {"limitUSD": "20.00"},
        },
    }


async def all_joined(fleet: Fleet) -> None:
    """Waits until every GPU of the fleet is counted as free, or ends the benchmark."""
    api = fleet.planes[0].api

    def counted() -> bool:
        found = api.get(CLUSTERS)["items"]
        return sum(int(each.get("status", {}).get("freeGPUs", 0)) for each in found) == fleet.gpus

    await until(counted, seconds=120, what="every GPU counted")


@dataclass(frozen=True, kw_only=True)
class Start:
    """What had been used when the first run was applied."""

    at: float
    cpu_seconds: float
    requests: Counter[str]

    @classmethod
    def of(cls, operator: Operator) -> Start:
        """Now."""
        requests, cpu_seconds = operator.requests(), operator.cpu_seconds
        return cls(at=time.perf_counter(), cpu_seconds=cpu_seconds, requests=requests)

    def used(self, operator: Operator, *, runs: int) -> dict[str, Any]:
        """What `runs` have cost the operator since."""
        requests = operator.requests() - self.requests
        return {
            "operator_cpu_seconds": operator.cpu_seconds - self.cpu_seconds,
            "operator_peak_memory_mib": operator.peak_memory_mib,
            "requests_per_run": requests.total() / runs,
            "of_which": {
                what: round(count / runs, 2)
                for what, count in requests.most_common()
                if count * 10 > runs
            },
        }


async def burst(
    fleet: Fleet,
    watches: Sequence[GpuWatch],
    operator: Operator,
    start: Start,
    runs: list[Document],
) -> bool:
    """All runs at once. Says whether as many got Jobs as there is room for."""
    at_once = min(len(runs), fleet.gpus)
    client = await ClusterClient.connect(fleet.planes[0].kubeconfig)
    try:
        await create_all(client, runs, RUNS.within(NAMESPACE))
    finally:
        await client.close()
    applied = time.perf_counter() - start.at
    full = await comes(
        lambda: sum(len(watch.first_job_at) for watch in watches) >= at_once,
        seconds=_BURST_SECONDS,
    )
    used = start.used(operator, runs=at_once)
    arrivals = sorted(at - start.at for watch in watches for at in watch.first_job_at.values())
    tell(
        "a burst of runs, seconds from the first apply until every GPU has a Job",
        runs=len(runs),
        gpus=fleet.gpus,
        jobs=len(arrivals),
        applied=applied,
        half_of_the_jobs=arrivals[(at_once - 1) // 2] if full else None,
        last_job=arrivals[at_once - 1] if full else None,
        **used,
        goals={"last_job": GOAL_SECONDS} if fleet.gpus >= len(runs) else {},
    )
    return full


async def all_in_phase(
    operator: Operator, start: Start, phase: str, runs: int, **known: Any
) -> bool:
    """Waits until all are in `phase`. Says whether that came."""

    def there() -> float:
        return operator.metric("lightcompute_runs", phase=phase)

    come = await comes(
        lambda: there() >= runs, seconds=_PATIENCE_SECONDS + 10 * known.get("at_least", 0), every=1
    )
    seconds = time.perf_counter() - start.at
    used = start.used(operator, runs=runs)
    what = f"all runs {phase}, seconds from the first apply"
    tell(what, runs=runs, so_far=there(), seconds=seconds, **known, **used)
    return come


def judged(fleet: Fleet, watches: Sequence[GpuWatch]) -> bool:
    """Prints what was ever wanted at once of each pool, and how many Jobs it got. Says whether all is well."""
    well = True
    for plane, watch in zip(fleet.planes, watches, strict=True):
        most = most_at_once(watch.claims)
        jobs: dict[str, set[str]] = {gpu_type: set() for gpu_type in POOLS[plane.name]}
        for claim in watch.claims:
            if claim.by is By.JOBS:
                jobs[claim.gpu_type].add(claim.uid)
        for gpu_type in POOLS[plane.name]:
            capacity = fleet.capacity[plane.name, gpu_type]
            peaks = {by: most.get((by, gpu_type), Most(gpus=0, version=0)) for by in By}
            within = all(peak.gpus <= capacity for peak in peaks.values())
            well = well and within
            tell(
                f"{plane.name}, {gpu_type}: GPUs wanted at once, at most",
                capacity=capacity,
                **{f"by_{by.value.lower()}": peak.gpus for by, peak in peaks.items()},
                jobs=len(jobs[gpu_type]),
                **({} if within else {"at_version": _too_much(peaks, capacity)}),
            )
    changes = sum(len(watch.claims) for watch in watches)
    gaps = [gap for watch in watches for gap in watch.gaps]
    jobs_of = sum((watch.jobs for watch in watches), Counter[str]())
    twice = sum(jobs > 1 for jobs in jobs_of.values())
    tell(
        "what was watched",
        changes=changes,
        gaps=gaps,
        oversubscribed="unknown" if gaps and well else not well,
        runs_with_two_jobs=twice,
        goals={"oversubscribed": False, "runs_with_two_jobs": 0},
    )
    return well and not gaps


def _too_much(peaks: Mapping[By, Most], capacity: int) -> dict[str, int]:
    return {by.value: peak.version for by, peak in peaks.items() if peak.gpus > capacity}


def variables(options: argparse.Namespace) -> dict[str, str]:
    """What the simulated trainers do."""
    if options.scarce:
        return {"SIM_RUN_SECONDS": str(options.run_seconds)}
    return {"SIM_NEVER_ENDS": "1", "SIM_SILENT": "1"}


async def measure(options: argparse.Namespace, fleet: Fleet, folder: Path) -> bool:
    """All of it. Says whether all is well."""
    async with AsyncExitStack() as until_end:
        watches = [await until_end.enter_async_context(GpuWatch(each)) for each in fleet.planes]
        operator = Operator(fleet.planes[0].kubeconfig, folder, "--training-clusters")
        until_end.callback(operator.stop)
        await operator.ready()
        await all_joined(fleet)
        tell("the operator with three clusters and no runs", memory_mib=operator.memory_mib)
        count = options.runs
        runs = [a_run(f"burst-{number}", **variables(options)) for number in range(count)]
        start = Start.of(operator)
        well = await burst(fleet, watches, operator, start, runs)
        if well and options.scarce:
            at_least = options.run_seconds * -(-count // fleet.gpus)
            well = await all_in_phase(operator, start, "Succeeded", count, at_least=at_least)
        elif well:
            well = await all_in_phase(operator, start, "Running", count)
        await asyncio.sleep(_STILL_SECONDS)
        if complaints := operator.complaints():
            tell("what the operator complained of", **dict(complaints.most_common(10)))
        return judged(fleet, watches) and well


def main() -> int:
    """Starts the clusters, measures, stops them."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--scarce", action="store_true", help="half as many GPUs as runs")
    parser.add_argument("--run-seconds", type=int, default=20, help="of each run with --scarce")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"# {machine()}", flush=True)
    with tempfile.TemporaryDirectory() as name, ExitStack() as until_end:
        folder = Path(name)
        gpus = options.runs // 2 if options.scarce else options.runs
        fleet = a_fleet(folder, shares(gpus), until_end)
        well = asyncio.run(measure(options, fleet, folder))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
