"""The operator under load on a real API server: from apply to Job, a burst of runs, many running ones at rest, and a restart.

    python benchmarks/operator_load.py [--runs 1000] [--quiet-applies 50] [--rest-seconds 120]

One control plane of this machine (API server, etcd, controller manager, scheduler) with simulated GPU nodes, and `lightcompute operator`
as a process of its own; all share this machine's cores. Goals: a Job within 0.5 s of one apply (median) and 1 s (99th percentile); in a
burst of 1,000 every Job within 20 s, aimed at 12, and no run twice; 1,000 running runs under 150 MiB, no writes at rest, less than 10 %
of one core; after a restart every run looked at within 15 s. Plain Job creation by the same client is the floor beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from machine import machine

from lightcompute.api import labels
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.paths import JOBS, RUNS
from lightcompute.kube.reflector import Reflector
from support.testcluster.control_plane import ControlPlane

REPOSITORY = Path(__file__).parent.parent
NAMESPACE = "default"
AT_ONCE = 20
_PORT_LINE = re.compile(r"http://[^ ]*:(\d+)")


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


class Operator:
    """`lightcompute operator` as a process."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._log = (folder / "operator.log").open("ab")
        self._port = _free_port()
        self.started_at = time.perf_counter()
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "lightcompute",
                "operator",
                "--kubeconfig",
                str(kubeconfig),
                "--price-per-gpu-hour-usd",
                "1.00",
                "--http-host",
                "127.0.0.1",
                "--http-port",
                str(self._port),
                "--log-format",
                "json",
            ],
            stdout=self._log,
            stderr=self._log,
        )

    async def ready(self) -> None:
        """Waits until it says that it is ready."""
        while not self._answers("/readyz"):
            if self._process.poll() is not None:
                sys.exit(
                    f"the operator ended with {self._process.returncode}: see {self._log.name}"
                )
            await asyncio.sleep(0.05)

    def _answers(self, path: str) -> bool:
        try:
            return bool(self._get(path))
        except OSError:
            return False

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def metric(self, name: str, **labels_: str) -> float:
        """The sum over all series of a metric that have these labels."""
        total = 0.0
        for line in self._get("/metrics").splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(
                f'{k}="{v}"' in head for k, v in labels_.items()
            ):
                total += float(value)
        return total

    def writes(self) -> float:
        """Requests so far that change something, but for renewals of the Lease."""
        writing = sum(
            self.metric("lightcompute_requests_total", method=method)
            for method in ("POST", "PUT", "PATCH", "DELETE")
        )
        return writing - sum(
            self.metric("lightcompute_requests_total", method=method, kind="leases")
            for method in ("POST", "PUT", "PATCH", "DELETE")
        )

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mib(self) -> float:
        """Resident memory now."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def kill(self) -> None:
        """Without a word."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """As Kubernetes stops it."""
        self._process.terminate()
        self._process.wait(60)


def _free_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def tell(what: str, **figures: Any) -> None:
    """One line of figures."""
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({"what": what, **rounded}), flush=True)


async def create_all(client: ClusterClient, documents: list[Document], path: str) -> list[Document]:
    """Creates all, some at once."""
    waiting = asyncio.Semaphore(AT_ONCE)

    async def one(document: Document) -> Document:
        async with waiting:
            return await client.create(path, document)

    return list(await asyncio.gather(*(one(document) for document in documents)))


async def until(holds: Any, *, seconds: float, what: str) -> None:
    """Waits until `holds()`, or ends the benchmark."""
    end = time.perf_counter() + seconds
    while not holds():
        if time.perf_counter() > end:
            sys.exit(f"{what}: not after {seconds:.0f} s")
        await asyncio.sleep(0.02)


async def quiet_applies(client: ClusterClient, arrivals: Arrivals, count: int) -> None:
    """One apply at a time: how long until its Job is there."""
    seconds = []
    for number in range(count):
        began = time.perf_counter()
        run = await client.create(RUNS.within(NAMESPACE), a_run(f"quiet-{number}"))
        uid = run["metadata"]["uid"]
        await until(lambda uid=uid: uid in arrivals.at, seconds=30, what="a Job")
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
    new = Operator(kubeconfig, folder)
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
    operator = Operator(cluster.kubeconfig, folder)
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
        with ControlPlane.start(folder / "cluster", "us-ord1") as cluster:
            cluster.add_nodes(options.runs // 8 + 4)
            cluster.api.apply_crd(REPOSITORY / "crds" / "trainingruns.yaml")
            asyncio.run(measure(options, cluster, folder))


if __name__ == "__main__":
    main()
