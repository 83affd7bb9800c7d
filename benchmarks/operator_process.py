"""`lightcompute operator` as a process that a benchmark starts, asks and ends, and what the scripts that do so share."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lightcompute.kube.client import ClusterClient, Document
from lightcompute.local import leash
from support.testcluster.control_plane import ControlPlane
from support.testcluster.flags import CONTROLLERS_AS_SHIPPED, SCHEDULER_AS_SHIPPED
from support.testcluster.processes import free_ports

AT_ONCE = 20
_LAST_WORDS = 2000
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def untuned(folder: Path, name: str) -> ControlPlane:
    """A control plane as in a cluster that nobody tuned. The tests have theirs hurry, which takes the processors from what is measured."""
    return ControlPlane.start(
        folder,
        name,
        controller_manager_flags=CONTROLLERS_AS_SHIPPED,
        scheduler_flags=SCHEDULER_AS_SHIPPED,
    )


class Operator:
    """One operator; `options` are added behind those that say where it is reached."""

    def __init__(self, kubeconfig: Path, folder: Path, *options: str) -> None:
        self._log = folder / "operator.log"
        (self._port,) = free_ports(1)
        self.started_at = time.perf_counter()
        command = (
            *(sys.executable, "-P", "-m", "lightcompute", "operator"),
            *("--kubeconfig", str(kubeconfig), "--log-format", "json"),
            *("--http-host", "127.0.0.1", "--http-port", str(self._port), *options),
        )
        # It dies with the benchmark, however that ends. Ctrl-C is for the benchmark, which then stops it in order.
        held = (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *command)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                held, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    async def ready(self, seconds: float = 120) -> None:
        """Waits until it says that it is ready, or ends the benchmark."""
        end = time.perf_counter() + seconds
        while not self._answers("/readyz"):
            if self._process.poll() is not None:
                sys.exit(
                    f"the operator ended with {self._process.returncode}:\n{self.last_words()}"
                )
            if time.perf_counter() > end:
                sys.exit(f"the operator was not ready in {seconds:.0f} s:\n{self.last_words()}")
            await asyncio.sleep(0.05)

    def last_words(self) -> str:
        """The end of its log."""
        return self._log.read_bytes()[-_LAST_WORDS:].decode(errors="replace")

    def complaints(self) -> Counter[str]:
        """How often it logged which warning or error, by its first words."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
        return Counter(
            f"{line['level']}: {line['message'][:100]}" for line in lines if line["level"] != "INFO"
        )

    def _answers(self, path: str) -> bool:
        try:
            return bool(self._get(path))
        except OSError:
            return False

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def _series(self, name: str) -> Iterator[tuple[str, float]]:
        for line in self._get("/metrics").splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name:
                yield head, float(value)

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series of a metric that have these labels."""
        return sum(
            value
            for head, value in self._series(name)
            if all(f'{key}="{label}"' in head for key, label in labels.items())
        )

    def requests(self) -> Counter[str]:
        """Requests so far, by what was asked, as in "POST jobs"; renewals of the Lease are left out."""
        found: Counter[str] = Counter()
        for head, value in self._series("lightcompute_requests_total"):
            method, kind = _label(head, "method"), _label(head, "kind")
            if kind != "leases":
                found[f"{method} {kind}"] += round(value)
        return found

    def writes(self) -> float:
        """Requests so far that change something, but for renewals of the Lease."""
        asked = self.requests()
        return sum(count for what, count in asked.items() if what.partition(" ")[0] in _WRITES)

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def memory_mib(self) -> float:
        """Resident memory now."""
        return self._status("VmRSS:") / 1024

    @property
    def peak_memory_mib(self) -> float:
        """The most resident memory that it ever had."""
        return self._status("VmHWM:") / 1024

    def _status(self, key: str) -> int:
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(text.partition(key)[2].split()[0])

    def kill(self) -> None:
        """Without a word."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """As Kubernetes stops it."""
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()


def _label(series: str, name: str) -> str:
    return series.partition(f'{name}="')[2].partition('"')[0]


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


async def comes(holds: Callable[[], object], *, seconds: float, every: float = 0.02) -> bool:
    """Waits until `holds()`; False where that does not come."""
    end = time.perf_counter() + seconds
    while not holds():
        if time.perf_counter() > end:
            return False
        await asyncio.sleep(every)
    return True


async def until(holds: Callable[[], object], *, seconds: float, what: str) -> None:
    """Waits until `holds()`, or ends the benchmark."""
    if not await comes(holds, seconds=seconds):
        sys.exit(f"{what}: not after {seconds:.0f} s")
