"""What the operator tells Prometheus. Counters are counted where things happen; gauges are read off when somebody asks.

The names are a promise to dashboards: docs/operator.md lists them all, and a test holds it equal to what is exported.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lightcompute.api.money import MICRO_PER_USD, MicroUSD
from lightcompute.api.training_run import TrainingRun
from lightcompute.api.words import Phase

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GAUGES = {
    "lightcompute_looks_stuck": "Looks that take longer than 120 s.",
    "lightcompute_queue_keys": "Runs that wait for a look.",
    "lightcompute_waiting_runs": "Runs that wait for GPUs of a TrainingCluster.",
    "lightcompute_queue_oldest_seconds": "How long the run has waited for a look that has waited longest.",
    "lightcompute_lease_held": "1 while the Lease is certainly ours, 0 while nothing may be written.",
    "lightcompute_lease_transitions": "How often the Lease had changed hands when we got it: the fencing token; -1 before.",
}
"""Single numbers that are read off when somebody asks."""
_LOOK_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)


class Metrics:
    """Everything that is counted. It fits `workers.Tally` and `client.Heard`."""

    def __init__(self) -> None:
        # The time at which a counter began to exist is a second series for each, and tells nobody anything here.
        disable_created_metrics()  # type: ignore[no-untyped-call] # the one function of theirs without types
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("lightcompute_build", "What runs.", registry=self.registry).info(
            {"version": version("lightcompute")}
        )
        self._look_seconds = Histogram(
            "lightcompute_look_seconds",
            "Looks at runs, by how long they took.",
            buckets=_LOOK_SECONDS,
            registry=self.registry,
        )
        self._look_faults = self._counter(
            "lightcompute_look_faults",
            "Looks of which nothing came: world, conflict or bug.",
            "kind",
        )
        self._requests = self._counter(
            "lightcompute_requests",
            "Requests to the API server; code 0 stands for no answer.",
            "method",
            "kind",
            "code",
        )
        self._request_seconds = self._counter(
            "lightcompute_request_seconds", "Time until the API server began to answer.", "method"
        )
        self._log_reads = self._counter(
            "lightcompute_log_reads", "Logs of trainers that were read."
        )
        self._missed = self._counter(
            "lightcompute_watch_missed",
            "Changes and deletions of runs that the watch did not tell of and the resync found.",
        )

        self._swept = self._counter(
            "lightcompute_orphans_removed",
            "Objects in other clusters that no run owned any more and that were removed.",
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def looked(self, seconds: float) -> None:
        """A look took so long."""
        self._look_seconds.observe(seconds)

    def faulted(self, kind: str) -> None:
        """Nothing came of a look."""
        self._look_faults.labels(kind).inc()

    def missed(self, count: int) -> None:
        """The resync found so much that the watch had not told of."""
        self._missed.inc(count)

    def swept(self, count: int) -> None:
        """So much was removed from another cluster that no run owned."""
        self._swept.inc(count)

    def asked(self, method: str, path: str, code: int, seconds: float) -> None:
        """The API server was asked, and answered `code` or, for 0, did not answer."""
        self._requests.labels(method, kind_of(path), str(code)).inc()
        self._request_seconds.labels(method).inc(seconds)
        if path.endswith("/log"):
            self._log_reads.inc()

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)


def kind_of(path: str) -> str:
    """The kind of object that `path` is about, as in "jobs" or "pods/log"; "other" for what is about none."""
    parts = path.partition("?")[0].strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    if len(rest) > 2 and rest[0] == "namespaces":
        rest = rest[2:]
    if not rest:
        return "other"
    return f"{rest[0]}/{rest[2]}" if len(rest) > 2 else rest[0]


class Silences(Protocol):
    """Seconds for which each watch has been silent, by the kind that it watches."""

    def __call__(self) -> Iterable[tuple[str, float]]:
        """Now."""


class Gauges(Collector):
    """Numbers that are read off what the operator has in memory."""

    def __init__(
        self,
        runs: Callable[[], Iterable[TrainingRun]],
        silences: Silences,
        readers: Mapping[str, Callable[[], float]],
    ) -> None:
        assert readers.keys() == GAUGES.keys(), "a gauge without a reader, or the other way round"
        self._runs = runs
        self._silences = silences
        self._readers = readers

    def collect(self) -> Iterator[Metric]:
        """The metrics, one after the other."""
        yield from self._of_runs()
        silence = GaugeMetricFamily(
            "lightcompute_watch_silence_seconds",
            "Time since a watch was last heard of: an event, a bookmark, an answer.",
            labels=("kind",),
        )
        for kind, seconds in self._silences():
            silence.add_metric((kind,), seconds)
        yield silence
        for name, text in GAUGES.items():
            yield GaugeMetricFamily(name, text, value=self._readers[name]())

    def _of_runs(self) -> Iterator[Metric]:
        phases: Tally[tuple[str, str]] = Tally()
        spent: Tally[str] = Tally()
        for run in self._runs():
            namespace = run.metadata.namespace or ""
            phases[namespace, run.status.phase.value] += 1
            spent[namespace] += run.status.cost.spent_usd
        number = GaugeMetricFamily(
            "lightcompute_runs", "TrainingRuns by phase.", labels=("namespace", "phase")
        )
        for namespace in sorted(spent):
            for phase in Phase:
                number.add_metric((namespace, phase.value), phases[namespace, phase.value])
        yield number
        money = GaugeMetricFamily(
            "lightcompute_spent_usd",
            "What the TrainingRuns that exist have cost, in US dollars.",
            labels=("namespace",),
        )
        for namespace, amount in sorted(spent.items()):
            money.add_metric((namespace,), _dollars(amount))
        yield money


def _dollars(amount: MicroUSD) -> float:
    """Prometheus has floats only; this one is shown and never counted with."""
    return amount / MICRO_PER_USD
